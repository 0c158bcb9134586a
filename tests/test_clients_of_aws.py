"""DynamoDB's client takes and gives what boto3's does, past botocore's model of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError

from conversations import clients

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_dynamodb.client import DynamoDBClient

    from local.stack import LocalStack

KEY = {"pk": {"S": "a/b"}, "sk": {"S": "i#1"}}
ROW: dict[str, Any] = {
    **KEY,
    "data": {"B": bytes(range(256))},
    "size": {"N": "12.5"},
    "metadata": {"M": {"B": {"S": "B"}, "S": {"S": "\u00e9\U0001f600"}}},
    "is_it": {"BOOL": True},
    "none": {"NULL": True},
    "list": {"L": [{"B": b"x"}, {"S": ""}]},
}


@pytest.fixture
def table(stack: LocalStack) -> str:
    return stack.template.name("ConversationsTable")


@pytest.fixture
def client(stack: LocalStack) -> DynamoDBClient:
    assert stack
    return clients.dynamodb()


READS: dict[str, Callable[[DynamoDBClient, str], Any]] = {
    "GetItem": lambda client, table: client.get_item(TableName=table, Key=KEY),
    "Query": lambda client, table: client.query(
        TableName=table,
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": "a/b"}},
        Limit=1,
    ),
    "BatchGetItem": lambda client, table: client.batch_get_item(
        RequestItems={table: {"Keys": [KEY], "ConsistentRead": True}}
    ),
    "TransactGetItems": lambda client, table: client.transact_get_items(
        TransactItems=[{"Get": {"TableName": table, "Key": KEY}}]
    ),
    "UpdateItem": lambda client, table: client.update_item(
        TableName=table,
        Key=KEY,
        UpdateExpression="SET seen = :seen",
        ExpressionAttributeValues={":seen": {"B": b"\x00\xff"}},
        ReturnValues="ALL_NEW",
    ),
}


@pytest.mark.parametrize("operation", READS)
def test_a_row_comes_back_as_it_was_put(client: DynamoDBClient, table: str, operation: str) -> None:
    client.transact_write_items(TransactItems=[{"Put": {"TableName": table, "Item": ROW}}])
    stock = boto3.client("dynamodb")

    ours, theirs = (READS[operation](each, table) for each in (client, stock))

    assert without_metadata(ours) == without_metadata(theirs)
    assert repr(ROW["data"]["B"]) in repr(ours)


def without_metadata(answer: dict[str, Any]) -> dict[str, Any]:
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


def test_a_cancelled_transaction_says_why_and_shows_the_row(
    client: DynamoDBClient, table: str
) -> None:
    put: Any = {
        "TableName": table,
        "Item": ROW,
        "ConditionExpression": "attribute_not_exists(pk)",
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }
    client.transact_write_items(TransactItems=[{"Put": put}])

    with pytest.raises(ClientError) as raised:
        client.transact_write_items(TransactItems=[{"Put": put}])

    [reason] = raised.value.response["CancellationReasons"]
    assert reason["Code"] == "ConditionalCheckFailed"
    assert reason["Item"] == ROW
