"""Every operation of every client, unchanged, over HTTP; the run ends with the table of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

import pytest
from openai.types.conversations import ConversationItem

from conversations.auth.api_keys import SCOPES, ApiKeys
from conversations.http.rendering import as_openai
from tests.support.contract_cases import answered
from tests.support.sdk_walkthroughs import (
    MKA1,
    OPENAI,
    OPENAI_ITEMS,
    PYTHON,
    sent_by_mka1,
    take_tours,
)

if TYPE_CHECKING:
    from local.stack import LocalStack
    from tests.support.http_helpers import Json


@pytest.fixture(scope="module")
def tours() -> dict[str, Json]:
    """The tours taken so far."""
    return {}


@pytest.fixture(scope="module")
def tour(request: pytest.FixtureRequest, running_stack: LocalStack, tours: dict[str, Json]) -> Json:
    """What each operation of one client answered, on one conversation."""
    client = request.param
    if client not in tours:
        running_stack.reset()
        table = running_stack.template.name("ApiKeysTable")
        api_keys = ApiKeys(running_stack.resources.dynamodb, table)
        key, _ = api_keys.create(account="acme", name="tour", scopes=SCOPES)
        tours.update(take_tours(client, running_stack.url, key))
    return {"client": client, **tours[client]}


def by(clients: list[str]) -> pytest.MarkDecorator:
    """Try it by each of the *clients*, whose tours are taken once, by one worker."""
    params = [pytest.param(client, marks=pytest.mark.xdist_group("clients")) for client in clients]
    return pytest.mark.parametrize("tour", params, indirect=True, ids=clients, scope="module")


@by(MKA1 + OPENAI)
def test_create(tour: Json) -> None:
    made = tour["create"]

    assert (made["object"], made["metadata"]) == ("conversation", {"topic": "weather"})
    assert made["created_at"] > 0


@by(MKA1 + OPENAI)
def test_get(tour: Json) -> None:
    assert tour["get"] == tour["create"]


@by(MKA1 + OPENAI)
def test_update(tour: Json) -> None:
    assert tour["update"] == {**tour["create"], "metadata": {"topic": "weather", "mood": "calm"}}


@by(MKA1)
def test_list(tour: Json) -> None:
    assert tour["list"]["data"] == [tour["update"]]
    assert (tour["list"]["last_id"], tour["list"]["has_more"]) == (tour["create"]["id"], False)


@by(MKA1 + OPENAI)
def test_create_items(tour: Json) -> None:
    client = tour["client"]
    given = sent_by_mka1(client) if client in MKA1 else OPENAI_ITEMS
    shown = [item if client in MKA1 else as_openai(answered(item)) for item in given]

    assert tour["create_items"] == [
        {**item, "id": item.get("id") or answer["id"]}
        for item, answer in zip(shown, tour["create_items"], strict=True)
    ]


@by(MKA1 + OPENAI)
def test_list_items(tour: Json) -> None:
    assert tour["list_items"] == tour["create_items"]


@by(MKA1 + OPENAI)
def test_get_item(tour: Json) -> None:
    own = [item for item in tour["create_items"] if item["type"] != "item_reference"]

    assert tour["get_item"] == own


@by(MKA1 + OPENAI)
def test_delete_item(tour: Json) -> None:
    assert tour["delete_item"] == tour["update"]
    assert tour["create_items"][0] not in tour["left"]


@by(MKA1)
def test_delete_items(tour: Json) -> None:
    *_, reference, last = tour["create_items"]

    assert tour["delete_items"] == tour["update"]
    assert tour["left"] == [last, reference]


@by(MKA1 + OPENAI)
def test_delete(tour: Json) -> None:
    whole = {"id": tour["create"]["id"], "object": "conversation.deleted", "deleted": True}

    assert tour["delete"] == whole
    assert tour["gone"] == "404 conversation_not_found"


@by(MKA1)
def test_mka1_takes_each_item_for_what_it_is(tour: Json) -> None:
    message, same, *others = tour["kinds"]

    assert "InputMessage" in message
    assert same == message
    assert len(set(others)) == 22
    assert all(kind.endswith("WithID") for kind in others)


@by(PYTHON)
def test_openai_takes_each_item_for_what_it_is(tour: Json) -> None:
    union, _ = get_args(ConversationItem)
    kinds = {
        get_args(kind.model_fields["type"].annotation)[0]: kind.__name__ for kind in get_args(union)
    }

    assert tour["kinds"] == [kinds[item["type"]] for item in tour["list_items"]]


@by(MKA1 + OPENAI)
def test_include_asks_for_what_it_names(tour: Json) -> None:
    before, after = (
        {item["type"]: item for item in tour[page]} for page in ("list_items", "include")
    )

    assert "encrypted_content" in before["reasoning"]
    assert "encrypted_content" not in after["reasoning"]
    assert "image_url" in before["computer_call_output"]["output"]
    assert "image_url" in after["computer_call_output"]["output"]
