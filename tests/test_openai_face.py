"""The same routes under `/v1`, in the manner of OpenAI."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from wire import HELLO

from conversations.requests import MKA1_PREFIX, OPENAI_PREFIX

if TYPE_CHECKING:
    import httpx

    from local.stack import LocalStack


@pytest.fixture
def mka1(stack: LocalStack) -> str:
    return f"{stack.url}{MKA1_PREFIX}"


@pytest.fixture
def openai(stack: LocalStack) -> str:
    return f"{stack.url}{OPENAI_PREFIX}"


@pytest.fixture
def ids(client: httpx.Client, conversation: str) -> list[str]:
    """The ids of 25 items, in their order."""
    pages = [
        client.post(f"{conversation}/items", json={"items": [HELLO] * count}).json()["data"]
        for count in (20, 5)
    ]
    return [item["id"] for page in pages for item in page]


def test_a_list_of_items_begins_with_the_newest_unless_told(
    client: httpx.Client, conversation: str, openai: str, ids: list[str]
) -> None:
    newest = client.get(f"{openai}{conversation}/items").json()
    oldest = client.get(f"{openai}{conversation}/items", params={"order": "asc"}).json()

    assert [item["id"] for item in newest["data"]] == ids[:-21:-1]
    assert (newest["first_id"], newest["last_id"], newest["has_more"]) == (ids[-1], ids[5], True)
    assert [item["id"] for item in oldest["data"]] == ids[:20]


def test_a_list_of_conversations_begins_with_the_newest_unless_told(
    client: httpx.Client, mka1: str, openai: str
) -> None:
    made = [client.post(f"{prefix}/conversations").json()["id"] for prefix in (mka1, openai)]

    newest = client.get(f"{openai}/conversations").json()

    assert [entry["id"] for entry in newest["data"]] == made[::-1]


def test_a_conversation_is_one_and_the_same_under_both_prefixes(
    client: httpx.Client, mka1: str, openai: str
) -> None:
    made = client.post(f"{openai}/conversations", json={"metadata": {"topic": "weather"}}).json()

    assert client.get(f"{mka1}/conversations/{made['id']}").json() == made
    assert client.get(f"{openai}/conversations/{made['id']}").json() == made
