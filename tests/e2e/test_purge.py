"""Deleted data is removed from table and bucket, through the table's stream."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.e2e.stacks import CONVERSATIONS, LARGE
from tests.e2e.waiting import is_soon
from tests.support.http_helpers import HELLO

if TYPE_CHECKING:
    from tests.e2e.stacks import Stack


def test_deleted_conversation_leaves_nothing_of_its_content(stack: Stack, key: str) -> None:
    conversation_id = stack.request("POST", CONVERSATIONS, key, {}).json()["id"]
    path = f"{CONVERSATIONS}/{conversation_id}"
    appended = stack.request("POST", f"{path}/items", key, {"items": [HELLO, LARGE]}).json()
    assert [item["content"] for item in appended["data"]] == [
        HELLO["content"],
        LARGE["content"],
    ]
    assert len(stack.rows(conversation_id)) == 2
    assert len(stack.objects(conversation_id)) == 1

    assert stack.request("DELETE", path, key).status_code == 200

    assert stack.request("GET", path, key).status_code == 404
    assert is_soon(lambda: stack.rows(conversation_id) == ["C"], seconds=60)
    assert stack.objects(conversation_id) == []
