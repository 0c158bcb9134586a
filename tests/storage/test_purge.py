"""The purge function, with records of the table's stream."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conversations.storage import rows
from tests.support.http_helpers import HELLO, LARGE
from tests.support.table_rows import count_rows, mark_deleted

if TYPE_CHECKING:
    import httpx

    from local.stack import DevStack


KEPT = {
    *("pk", "sk", "created_at", "updated_at", "appended_at", "deleted_at", "expires_at"),
    *("last_body", "rev", *rows.RECENT_BATCHES),
}
"""Attributes that the row of a deleted conversation keeps; none of them is content."""


def test_a_deleted_conversation_leaves_its_own_row_alone(
    stack: DevStack, client: httpx.Client, conversation: str, owner: str
) -> None:
    batch = [{**HELLO, "id": str(index)} for index in range(15)]
    client.post(f"{conversation}/items", json={"items": [*batch, LARGE]}).raise_for_status()
    kept = client.post("/conversations", json={"items": [HELLO, LARGE]}).json()["id"]

    mark_deleted(stack, owner, conversation.rpartition("/")[2])
    stack.drain_streams()

    gone = conversation.rpartition("/")[2]
    assert count_rows(stack) == {("C", gone): 1, ("C", kept): 1, ("b", kept): 1}
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
    assert row.keys() <= KEPT, "Remove content in `DELETION`; add what is no content to `KEPT`."
