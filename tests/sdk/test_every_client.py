"""Every operation of every unmodified client over HTTP; the run prints the table of results."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

import pytest
from openai.types.conversations import ConversationItem

from conversations.auth.api_keys import SCOPES, ApiKeyRepository
from conversations.http.rendering import to_openai
from tests.support.contract_cases import with_type
from tests.support.sdk_walkthroughs import (
    MKA1,
    OPENAI,
    OPENAI_ITEMS,
    PYTHON,
    sent_by_mka1,
    walk_through,
)

if TYPE_CHECKING:
    from local.stack import DevStack
    from tests.support.http_helpers import Json


@pytest.fixture(scope="module")
def walkthroughs() -> dict[str, Json]:
    """Cache the walkthroughs of this session."""
    return {}


@pytest.fixture(scope="module")
def walkthrough(
    request: pytest.FixtureRequest, running_stack: DevStack, walkthroughs: dict[str, Json]
) -> Json:
    """Return the result of each operation of one client, on one conversation."""
    client = request.param
    if client not in walkthroughs:
        running_stack.reset()
        table = running_stack.template.name("ApiKeysTable")
        api_keys = ApiKeyRepository(running_stack.resources.dynamodb, table)
        key, _ = api_keys.create(account="acme", name="walkthrough", scopes=SCOPES)
        walkthroughs.update(walk_through(client, running_stack.url, key))
    return {"client": client, **walkthroughs[client]}


def by(clients: list[str]) -> pytest.MarkDecorator:
    """Run a test with each of the *clients*, whose walkthroughs run once, in one worker."""
    params = [pytest.param(client, marks=pytest.mark.xdist_group("clients")) for client in clients]
    return pytest.mark.parametrize(
        "walkthrough", params, indirect=True, ids=clients, scope="module"
    )


@by(MKA1 + OPENAI)
def test_create(walkthrough: Json) -> None:
    made = walkthrough["create"]

    assert (made["object"], made["metadata"]) == ("conversation", {"topic": "weather"})
    assert made["created_at"] > 0


@by(MKA1 + OPENAI)
def test_get(walkthrough: Json) -> None:
    assert walkthrough["get"] == walkthrough["create"]


@by(MKA1 + OPENAI)
def test_update(walkthrough: Json) -> None:
    assert walkthrough["update"]["id"] == walkthrough["create"]["id"]
    assert walkthrough["update"]["metadata"] == {"topic": "weather", "mood": "calm"}


@by(MKA1)
def test_list(walkthrough: Json) -> None:
    assert walkthrough["list"]["data"] == [walkthrough["update"]]
    assert (walkthrough["list"]["last_id"], walkthrough["list"]["has_more"]) == (
        walkthrough["create"]["id"],
        False,
    )


@by(MKA1 + OPENAI)
def test_create_items(walkthrough: Json) -> None:
    client = walkthrough["client"]
    given = sent_by_mka1(client) if client in MKA1 else OPENAI_ITEMS
    shown = [item if client in MKA1 else to_openai(with_type(item)) for item in given]

    assert walkthrough["create_items"] == [
        {**item, "id": item.get("id") or response["id"]}
        for item, response in zip(shown, walkthrough["create_items"], strict=True)
    ]


@by(MKA1 + OPENAI)
def test_list_items(walkthrough: Json) -> None:
    assert walkthrough["list_items"] == walkthrough["create_items"]


@by(MKA1 + OPENAI)
def test_get_item(walkthrough: Json) -> None:
    own = [item for item in walkthrough["create_items"] if item["type"] != "item_reference"]

    assert walkthrough["get_item"] == own


@by(MKA1 + OPENAI)
def test_delete_item(walkthrough: Json) -> None:
    assert walkthrough["delete_item"]["id"] == walkthrough["create"]["id"]
    assert walkthrough["create_items"][0] not in walkthrough["left"]


@by(MKA1)
def test_delete_items(walkthrough: Json) -> None:
    *_, reference, last = walkthrough["create_items"]

    assert walkthrough["delete_items"]["id"] == walkthrough["create"]["id"]
    assert walkthrough["left"] == [last, reference]


@by(MKA1 + OPENAI)
def test_delete(walkthrough: Json) -> None:
    whole = {"id": walkthrough["create"]["id"], "object": "conversation.deleted", "deleted": True}

    assert walkthrough["delete"] == whole
    assert walkthrough["gone"] == "404 conversation_not_found"


@by(MKA1)
def test_mka1_takes_each_item_for_what_it_is(walkthrough: Json) -> None:
    message, same, *others = walkthrough["kinds"]

    assert "InputMessage" in message
    assert same == message
    assert len(set(others)) == 22
    assert all(kind.endswith("WithID") for kind in others)


@by(PYTHON)
def test_openai_takes_each_item_for_what_it_is(walkthrough: Json) -> None:
    union, _ = get_args(ConversationItem)
    kinds = {
        get_args(kind.model_fields["type"].annotation)[0]: kind.__name__ for kind in get_args(union)
    }

    assert walkthrough["kinds"] == [kinds[item["type"]] for item in walkthrough["list_items"]]


@by(MKA1 + OPENAI)
def test_include_asks_for_what_it_names(walkthrough: Json) -> None:
    before, after = (
        {item["type"]: item for item in walkthrough[page]} for page in ("list_items", "include")
    )

    assert "encrypted_content" in before["reasoning"]
    assert "encrypted_content" not in after["reasoning"]
    assert "image_url" in before["computer_call_output"]["output"]
    assert "image_url" in after["computer_call_output"]["output"]
