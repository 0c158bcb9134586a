"""The routes under `/v1`, which behave as OpenAI's."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest
from openai import OpenAI
from openai.types.conversations import (
    Conversation,
    ConversationDeletedResource,
    ConversationItem,
    ConversationItemList,
)
from pydantic import BaseModel, TypeAdapter

from conversations.http.dialects import MKA1, OPENAI
from tests.support.contract_cases import EXAMPLES
from tests.support.http_helpers import HELLO, Json
from tests.support.returned_items import UNKNOWN_TO_OPENAI

if TYPE_CHECKING:
    import httpx

    from local.stack import DevStack
    from tests.support.issue_key import IssueKey

SHOWN: Json = {
    **HELLO,
    "content": [{"type": "input_text", "text": HELLO["content"]}],
    "status": "completed",
}


@pytest.fixture
def mka1(shared_stack: DevStack) -> str:
    return f"{shared_stack.url}{MKA1.prefix}"


@pytest.fixture
def openai(shared_stack: DevStack) -> str:
    return f"{shared_stack.url}{OPENAI.prefix}"


@pytest.fixture
def ids(client: httpx.Client, conversation: str) -> list[str]:
    """Append 25 items, and return their ids in order."""
    pages = [
        client.post(f"{conversation}/items", json={"items": [HELLO] * count}).json()["data"]
        for count in (20, 5)
    ]
    return [item["id"] for page in pages for item in page]


def typed(model: type[BaseModel], response: httpx.Response) -> Any:
    """Return the response; check that openai's type parses it without a change."""
    model.model_validate(response.json(), strict=True)
    return response.json()


def test_a_list_of_items_begins_with_the_newest_by_default(
    client: httpx.Client, conversation: str, openai: str, ids: list[str]
) -> None:
    newest = client.get(f"{openai}{conversation}/items").json()
    oldest = client.get(f"{openai}{conversation}/items", params={"order": "asc"}).json()

    assert [item["id"] for item in newest["data"]] == ids[:-21:-1]
    assert (newest["first_id"], newest["last_id"], newest["has_more"]) == (ids[-1], ids[5], True)
    assert [item["id"] for item in oldest["data"]] == ids[:20]


def test_a_list_of_conversations_begins_with_the_newest_by_default(
    client: httpx.Client, mka1: str, openai: str
) -> None:
    made = [client.post(f"{prefix}/conversations").json()["id"] for prefix in (mka1, openai)]

    newest = client.get(f"{openai}/conversations").json()

    assert [entry["id"] for entry in newest["data"]] == made[::-1]


def test_a_conversation_is_one_and_the_same_under_both_prefixes(
    client: httpx.Client, mka1: str, openai: str
) -> None:
    response = client.post(f"{openai}/conversations", json={"metadata": {"topic": "weather"}})

    made = typed(Conversation, response)

    assert client.get(f"{mka1}/conversations/{made['id']}").json() == made
    assert client.get(f"{openai}/conversations/{made['id']}").json() == made


def test_an_item_is_kept_as_it_was_given_and_shown_in_either_dialect(
    client: httpx.Client, conversation: str, mka1: str, openai: str
) -> None:
    for prefix in (openai, mka1):
        client.post(f"{prefix}{conversation}/items", json={"items": [HELLO]})

    for prefix, shown in ((openai, SHOWN), (mka1, HELLO)):
        page = client.get(f"{prefix}{conversation}/items").json()["data"]
        assert page == [{"id": item["id"], **shown} for item in page]
        assert len(page) == 2


def test_the_response_to_a_deletion_has_openais_type(
    client: httpx.Client, conversation: str, openai: str, ids: list[str]
) -> None:
    typed(Conversation, client.delete(f"{openai}{conversation}/items/{ids[0]}"))
    typed(ConversationDeletedResource, client.delete(f"{openai}{conversation}"))


@pytest.mark.parametrize(
    "header", [{"Idempotency-Key": "k"}, {"x-stainless-retry-count": "1"}], ids=["key", "retry"]
)
def test_a_replay_has_the_same_dialect(
    header: dict[str, str], client: httpx.Client, conversation: str, openai: str
) -> None:
    responses = [
        client.post(f"{openai}{conversation}/items", json={"items": [HELLO]}, headers=header)
        for _ in range(2)
    ]

    [item] = responses[0].json()["data"]
    assert responses[0].json() == responses[1].json()
    assert item == {"id": item["id"], **SHOWN}
    assert len(client.get(f"{conversation}/items").json()["data"]) == 1


def test_openais_types_take_every_example_that_they_can_say(
    client: httpx.Client, conversation: str, openai: str
) -> None:
    known = [item for name, item in EXAMPLES if name not in UNKNOWN_TO_OPENAI]
    batch = [
        {**item, "id": f"own_{index}"} if item.get("id") else item
        for index, item in enumerate(known)
    ]
    items = f"{openai}{conversation}/items"

    appended = [
        item
        for part in itertools.batched(batch, 20, strict=False)
        for item in typed(ConversationItemList, client.post(items, json={"items": part}))["data"]
    ]

    listed: list[Json] = []
    query: dict[str, str | int] = {"order": "asc", "limit": 50}
    while len(listed) < len(known):
        page = typed(ConversationItemList, client.get(items, params=query))
        listed += page["data"]
        query["after"] = page["last_id"]
    read = [client.get(f"{items}/{item['id']}").json() for item in appended]
    assert appended == listed == read
    assert len(appended) == len(known)
    TypeAdapter(list[ConversationItem]).validate_python(read, strict=True)


def test_openais_client_sees_its_own_types(openai: str, issue_key: IssueKey) -> None:
    batch: Any = [{"role": "user", "content": str(index)} for index in range(3)]
    with OpenAI(api_key=issue_key(), base_url=openai, max_retries=0) as client:
        made = client.conversations.create()
        client.conversations.items.create(made.id, items=batch)
        listed: list[Any] = list(client.conversations.items.list(made.id, limit=2))

    assert [item.content[0].text for item in listed] == ["2", "1", "0"]
    assert [item.to_dict()["status"] for item in listed] == ["completed"] * 3


def test_a_page_that_fills_a_response_fits_in_either_dialect(
    client: httpx.Client, conversation: str, mka1: str, openai: str
) -> None:
    message = {**HELLO, "content": ["x" * 245] * 1000}
    for count in (20, 3):
        client.post(f"{conversation}/items", json={"items": [message] * count}).raise_for_status()

    pages = [
        client.get(f"{prefix}{conversation}/items", params={"limit": 100}).json()
        for prefix in (mka1, openai)
    ]

    assert [len(page["data"]) for page in pages] == [23, 23]
