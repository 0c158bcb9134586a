"""Shortcuts of moto that could hide a fault of the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conversations.storage import rows

if TYPE_CHECKING:
    from conversations.storage.rows import Row
    from local.stack import DevStack


@pytest.mark.parametrize(
    "change", ["SET metadata.topic = :text", "ADD scopes :set", "DELETE scopes :set"]
)
def test_a_cancelled_transaction_changes_no_part_of_a_value(stack: DevStack, change: str) -> None:
    table, dynamodb = stack.template.name("ConversationsTable"), stack.resources.dynamodb
    key = rows.primary_key("owner/conversation", rows.CONVERSATION_SK)
    scopes = ["read", "write"] if "DELETE" in change else ["read"]
    row: Row = {**key, "metadata": rows.text_map({"topic": "old"}), "scopes": {"SS": scopes}}
    value = {":text": {"S": "new"}} if ":text" in change else {":set": {"SS": ["write"]}}
    absent = rows.primary_key("owner/conversation", "absent")

    with stack.engine.lock:
        dynamodb.put_item(TableName=table, Item=row)
        with pytest.raises(dynamodb.exceptions.TransactionCanceledException):
            dynamodb.transact_write_items(
                TransactItems=[
                    {
                        "Update": {
                            "TableName": table,
                            "Key": key,
                            "UpdateExpression": change,
                            "ExpressionAttributeValues": value,
                        }
                    },
                    {
                        "ConditionCheck": {
                            "TableName": table,
                            "Key": absent,
                            "ConditionExpression": "attribute_exists(pk)",
                        }
                    },
                ]
            )
        found = dynamodb.get_item(TableName=table, Key=key)["Item"]

    assert found == row
