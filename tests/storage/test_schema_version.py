"""Conversations that a newer release wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conversations.storage import rows
from tests.support.http_helpers import HELLO, Json, error_of
from tests.support.log_lines import reading_log
from tests.support.table_rows import mark_deleted

if TYPE_CHECKING:
    import httpx

    from local.stack import DevStack


def make_newer(stack: DevStack, owner: str, conversation: str) -> None:
    pk = rows.partition(owner, conversation.rpartition("/")[2])
    with stack.engine.lock:
        stack.resources.dynamodb.update_item(
            TableName=stack.template.name("ConversationsTable"),
            Key=rows.primary_key(pk, rows.CONVERSATION_SK),
            UpdateExpression="SET v = :next",
            ExpressionAttributeValues={":next": {"N": "2"}},
        )


def everything(stack: DevStack) -> list[str]:
    with stack.engine.lock:
        table = stack.template.name("ConversationsTable")
        return sorted(map(str, stack.resources.dynamodb.scan(TableName=table)["Items"]))


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/conversations", None),
        ("GET", "{conversation}", None),
        ("POST", "{conversation}", {"metadata": {"topic": "weather"}}),
        ("DELETE", "{conversation}", None),
        ("POST", "{conversation}/items", {"items": [HELLO]}),
        ("GET", "{conversation}/items", None),
        ("GET", "{conversation}/items/mine", None),
        ("DELETE", "{conversation}/items/mine", None),
        ("DELETE", "{conversation}/items", {"item_ids": ["mine"]}),
    ],
)
def test_a_newer_conversation_is_neither_shown_nor_changed(  # noqa: PLR0913, PLR0917 - a table's columns
    method: str,
    path: str,
    body: Json | None,
    client: httpx.Client,
    conversation: str,
    owner: str,
    stack: DevStack,
) -> None:
    client.post(f"{conversation}/items", json={"items": [{**HELLO, "id": "mine"}]})
    make_newer(stack, owner, conversation)
    before = everything(stack)

    with reading_log(stack) as log:
        response = client.request(method, path.format(conversation=conversation), json=body)

    assert response.status_code == 500
    assert error_of(response)["code"] == "server_error"
    assert everything(stack) == before
    assert [line["error"] for line in log.lines("request failed")] == [
        "UnsupportedSchemaVersionError"
    ]


def test_a_newer_conversation_is_not_purged(
    client: httpx.Client, conversation: str, owner: str, stack: DevStack
) -> None:
    client.post(f"{conversation}/items", json={"items": [HELLO]})
    make_newer(stack, owner, conversation)
    before = everything(stack)

    with reading_log(stack) as log:
        mark_deleted(stack, owner, conversation.rpartition("/")[2])
        stack.drain_streams()

    assert len(everything(stack)) == len(before)
    assert {line["error"] for line in log.lines("purge failed")} == {
        "UnsupportedSchemaVersionError"
    }


def test_a_row_of_today_names_no_version(
    client: httpx.Client, conversation: str, stack: DevStack
) -> None:
    client.post(f"{conversation}/items", json={"items": [HELLO]})

    table = stack.template.name("ConversationsTable")
    with stack.engine.lock:
        found = stack.resources.dynamodb.scan(TableName=table)["Items"]
    assert found
    assert not [row for row in found if "v" in row]
