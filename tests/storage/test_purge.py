"""The purge function, fed by the table's stream."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from conversations import ids
from conversations.storage import rows
from tests.support.http_helpers import HELLO

if TYPE_CHECKING:
    import httpx

    from local.stack import DevStack

LARGE = {**HELLO, "content": "".join(f"{number:x}" for number in range(30_000))}


def test_a_deleted_conversation_leaves_its_own_row_alone(
    stack: DevStack, client: httpx.Client, conversation: str
) -> None:
    batch = [{**HELLO, "id": str(place)} for place in range(15)]
    client.post(f"{conversation}/items", json={"items": [*batch, LARGE]}).raise_for_status()
    kept = client.post("/conversations", json={"items": [HELLO, LARGE]}).json()["id"]

    mark_deleted(stack, conversation.rpartition("/")[2])
    stack.drain_streams()

    gone = conversation.rpartition("/")[2]
    assert remaining(stack) == {("c", gone): 1, ("c", kept): 1, ("b", kept): 1}
    bucket = stack.template.name("PayloadBucket")
    assert stack.resources.s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 1
    assert client.get(conversation).status_code == 404
    assert client.get(f"/conversations/{kept}/items").status_code == 200


def test_the_row_of_a_deleted_conversation_keeps_nothing_of_its_metadata(
    stack: DevStack, client: httpx.Client, conversation: str
) -> None:
    client.post(conversation, json={"metadata": {"patient": "Ann"}}).raise_for_status()

    client.delete(conversation).raise_for_status()

    table = stack.template.name("ConversationsTable")
    with stack.engine.lock:
        [row] = stack.resources.dynamodb.scan(TableName=table)["Items"]
    assert "deleted_at" in row
    assert "Ann" not in str(row)


def mark_deleted(stack: DevStack, conversation_id: str) -> None:
    pk = rows.partition(ids.owner_of("acme", ""), conversation_id)
    with stack.engine.lock:
        stack.resources.dynamodb.update_item(
            TableName=stack.template.name("ConversationsTable"),
            Key=rows.primary_key(pk, rows.CONVERSATION_SK),
            UpdateExpression="SET deleted_at = :now REMOVE #owner",
            ExpressionAttributeNames={"#owner": "owner"},
            ExpressionAttributeValues={":now": {"N": "1"}},
        )


def remaining(stack: DevStack) -> Counter[tuple[str, str]]:
    """How many rows there are of each kind and conversation."""
    table = stack.template.name("ConversationsTable")
    found = stack.resources.dynamodb.scan(TableName=table)["Items"]
    return Counter(
        (row["sk"]["S"].partition("#")[0], row["pk"]["S"].partition("/")[2]) for row in found
    )
