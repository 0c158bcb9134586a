"""Rows of the conversations table, read and written below the store."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from conversations.storage import rows

if TYPE_CHECKING:
    from local.stack import DevStack


def mark_deleted(stack: DevStack, owner: str, conversation_id: str) -> None:
    """Write the tombstone of a conversation as a delete request does, and nothing else."""
    pk = rows.partition(owner, conversation_id)
    with stack.engine.lock:
        stack.resources.dynamodb.update_item(
            TableName=stack.template.name("ConversationsTable"),
            Key=rows.primary_key(pk, rows.CONVERSATION_SK),
            UpdateExpression="SET deleted_at = :now REMOVE #owner",
            ExpressionAttributeNames={"#owner": "owner"},
            ExpressionAttributeValues={":now": {"N": "1"}},
        )


def count_rows(stack: DevStack) -> Counter[tuple[str, str]]:
    """Count the rows by kind and conversation."""
    table = stack.template.name("ConversationsTable")
    found = stack.resources.dynamodb.scan(TableName=table)["Items"]
    return Counter(
        (row["sk"]["S"].partition("#")[0], row["pk"]["S"].partition("/")[2]) for row in found
    )
