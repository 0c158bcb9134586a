"""Shortcuts of moto: their results are moto's own."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from moto.dynamodb.models import dynamodb_backends

from conversations.storage import rows
from tests.support.moto_shortcuts import restore_moto

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_dynamodb.client import DynamoDBClient

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


class Requests:
    """Random requests to a table and its index, with responses that can be compared."""

    def __init__(self, dynamodb: DynamoDBClient, table: str, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311 - no secret
        self.dynamodb: Any = dynamodb
        self.table = table

    def run(self, count: int) -> Iterator[str]:
        """Yield each response, with the table and its stream after it."""
        for _ in range(count):
            send = self.random.choice([self.transact, self.transact, self.query, self.put])
            try:
                found = send()
            except ClientError as error:
                found = dict(error.response)
            found.pop("ResponseMetadata")
            yield json.dumps([send.__name__, found, *self.state()], default=repr)

    def state(self) -> list[Any]:
        backends = [each for regions in dynamodb_backends.values() for each in regions.values()]
        [table] = [each.tables[self.table] for each in backends if self.table in each.tables]
        assert table.stream_shard is not None
        assert table.stream_shard.table is table
        images = [record.record["dynamodb"] for record in table.stream_shard.items]
        changes = [[image.get("OldImage"), image.get("NewImage")] for image in images]
        return [self.dynamodb.scan(TableName=self.table)["Items"], changes]

    def key(self) -> Row:
        pick = self.random.choice
        return rows.primary_key(pick("abc"), pick(["C", "b#1", "b#2", "p#x"]))

    def value(self) -> Any:
        texts = self.random.choices("xyz", k=2)
        return self.random.choice(
            [
                {"S": texts[0]},
                {"N": str(self.random.randrange(3))},
                {"M": {name: {"S": name} for name in texts}},
                {"SS": sorted({*texts})},
                {"L": [{"S": name} for name in texts]},
            ]
        )

    def row(self) -> Row:
        names = self.random.sample(["one", "two", "three"], 2)
        row = self.key() | {name: self.value() for name in names}
        return row | {"owner": {"S": self.random.choice("mn")}, "updated_at": {"N": "1"}}

    def put(self) -> Any:
        return self.dynamodb.put_item(TableName=self.table, Item=self.row())

    def query(self) -> Any:
        is_index = self.random.random() < 1 / 3
        request: dict[str, Any] = {
            "KeyConditionExpression": "#key = :key AND begins_with(sk, :start)",
            "ExpressionAttributeNames": {"#key": "pk"},
            "ExpressionAttributeValues": {
                ":key": {"S": self.random.choice("abc")},
                ":start": {"S": self.random.choice(["b#", "p", "x"])},
            },
            "ProjectionExpression": self.random.choice(["pk, sk", "sk, one, two"]),
        }
        if is_index:
            request |= {
                "IndexName": rows.BY_OWNER,
                "KeyConditionExpression": "#key = :key",
                "ExpressionAttributeNames": {"#key": "owner"},
                "ExpressionAttributeValues": {":key": {"S": self.random.choice("mn")}},
            }
        request |= {"Limit": self.random.randint(1, 3)} if self.random.random() < 1 / 2 else {}
        found = self.dynamodb.query(
            TableName=self.table, ScanIndexForward=self.random.random() < 1 / 2, **request
        )
        if start := found.get("LastEvaluatedKey"):
            rest = self.dynamodb.query(TableName=self.table, ExclusiveStartKey=start, **request)
            found["rest"] = rest["Items"]
        return found

    def transact(self) -> Any:
        actions = [self.action() for _ in range(self.random.randint(1, 4))]
        return self.dynamodb.transact_write_items(TransactItems=actions)

    def action(self) -> dict[str, Any]:
        pick = self.random.choice
        condition = pick(["attribute_exists(pk)", "attribute_not_exists(pk) OR two <> :value"])
        fields: dict[str, Any] = {"TableName": self.table, "ConditionExpression": condition}
        fields |= {"ReturnValuesOnConditionCheckFailure": "ALL_OLD"} if pick([0, 1]) else {}
        change = pick(["SET one = :value, two = one", "SET one.x = :value", "ADD one :value"])
        change += pick(["", " REMOVE two", " REMOVE three", " DELETE three :value", " SET b = one"])
        kind = pick(["Put", "Update", "Update", "Update", "Delete", "ConditionCheck"])
        fields |= {"Item": self.row()} if kind == "Put" else {"Key": self.key()}
        fields |= {"UpdateExpression": change} if kind == "Update" else {}
        if ":value" in condition + fields.get("UpdateExpression", ""):
            fields["ExpressionAttributeValues"] = {":value": self.value()}
        return {kind: fields}


@pytest.mark.parametrize("seed", range(2))
def test_results_are_those_of_moto_itself(stack: DevStack, seed: int) -> None:
    table, dynamodb = stack.template.name("ConversationsTable"), stack.resources.dynamodb
    with stack.engine.lock:
        shortened = [*Requests(dynamodb, table, seed).run(80)]
        stack.resources.recreate()
        with pytest.MonkeyPatch.context() as patch:
            restore_moto(patch)
            expected = [*Requests(dynamodb, table, seed).run(80)]

    assert shortened == expected
    committed = sum('["transact", {"Consumed' in response for response in expected)
    cancelled = sum("Transaction cancelled" in response for response in expected)
    assert min(committed, cancelled) > 4
