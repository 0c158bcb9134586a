"""`include` through HTTP: without it, every field is returned."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING

import pytest

from conversations.http.dialects import MKA1, OPENAI, PREFIXES
from tests.support.http_helpers import Json, error_of
from tests.support.includable_items import INCLUDABLE_ITEMS as ITEMS

if TYPE_CHECKING:
    import httpx

    from local.stack import DevStack

ALL = [*ITEMS.values()]
UNKNOWN = "message.output_text.colour"


def without(value: str) -> Json:
    """Return the item without the field that the value selects."""
    item = deepcopy(ITEMS[value])
    match value:
        case "code_interpreter_call.outputs":
            item["outputs"] = None
        case "computer_call_output.output.image_url":
            del item["output"]["image_url"]
        case "message.input_image.image_url":
            del item["content"][1]["image_url"]
        case "message.output_text.logprobs":
            del item["content"][0]["logprobs"]
        case "web_search_call.action.sources":
            del item["action"]["sources"]
        case _:
            del item[value.partition(".")[2]]
    return item


def only(*included: str) -> list[Json]:
    """Return all items, with only the *included* large fields."""
    return [item if value in included else without(value) for value, item in ITEMS.items()]


@pytest.fixture(params=PREFIXES)
def items(request: pytest.FixtureRequest, shared_stack: DevStack, conversation: str) -> str:
    """Return the URL of a conversation's items, under either prefix."""
    return f"{shared_stack.url}{request.param}{conversation}/items"


@pytest.fixture
def openais(shared_stack: DevStack, conversation: str) -> str:
    return f"{shared_stack.url}{OPENAI.prefix}{conversation}/items"


@pytest.fixture
def mka1s(shared_stack: DevStack, conversation: str) -> str:
    return f"{shared_stack.url}{MKA1.prefix}{conversation}/items"


def shown(client: httpx.Client, items: str, query: str) -> list[Json]:
    """Return the items; check that the list and each get return the same."""
    listed: list[Json] = client.get(f"{items}?{query}&order=asc").raise_for_status().json()["data"]
    read = [client.get(f"{items}/{item['id']}?{query}").json() for item in listed]
    assert listed == read
    return listed


def test_without_include_every_field_is_returned(client: httpx.Client, items: str) -> None:
    appended = client.post(items, json={"items": ALL}).json()["data"]

    assert appended == shown(client, items, "") == ALL


@pytest.mark.parametrize("value", ITEMS)
def test_included_fields_are_returned_and_others_omitted(
    value: str, client: httpx.Client, items: str
) -> None:
    response = client.post(items, json={"items": ALL, "include": [value]})

    assert response.json()["data"] == only(value)
    assert shown(client, items, f"include={value}") == only(value)
    assert client.get(items, params={"order": "asc"}).json()["data"] == ALL


@pytest.mark.parametrize(
    "query",
    [
        "include={}&include={}",
        "include[]={}&include[]={}",
        "include%5B%5D={}&include={}",
        "include={},{}",
        "include[]={},{}",
        "include=,{},&include[]={}&include=",
    ],
)
def test_several_values_are_accepted_in_any_spelling(
    query: str, client: httpx.Client, items: str
) -> None:
    values = ("reasoning.encrypted_content", "message.output_text.logprobs")

    appended = client.post(f"{items}?{query.format(*values)}", json={"items": ALL})

    assert appended.json()["data"] == only(*values)
    assert shown(client, items, query.format(*values)) == only(*values)


def test_body_and_query_ask_together(client: httpx.Client, items: str) -> None:
    body = {"items": ALL, "include": ["file_search_call.results"]}

    response = client.post(f"{items}?include[]=web_search_call.results", json=body)

    assert response.json()["data"] == only("file_search_call.results", "web_search_call.results")


@pytest.mark.parametrize("nothing", [None, []])
def test_to_ask_for_nothing_is_not_to_ask(
    nothing: object, client: httpx.Client, items: str
) -> None:
    response = client.post(items, json={"items": ALL, "include": nothing})

    assert response.json()["data"] == ALL


def test_a_repetition_is_shown_as_it_asks(client: httpx.Client, items: str) -> None:
    query, headers = "include=file_search_call.results", {"Idempotency-Key": "k"}

    responses = [
        client.post(f"{items}?{query}", json={"items": ALL}, headers=headers) for _ in range(2)
    ]

    assert responses[0].json() == responses[1].json()
    assert responses[0].json()["data"] == only("file_search_call.results")


@pytest.mark.parametrize("query", ["include=", "include[]=", "include=,", "include=&include[]="])
def test_an_empty_include_asks_for_nothing(query: str, client: httpx.Client, items: str) -> None:
    appended = client.post(f"{items}?{query}", json={"items": ALL}).json()["data"]

    assert appended == shown(client, items, query) == ALL


@pytest.mark.parametrize("unknown", ["", "file_search_call.results,web_search_call"])
def test_mka1_passes_over_what_has_no_meaning_in_a_body(
    unknown: str, client: httpx.Client, mka1s: str
) -> None:
    body = {"items": ALL, "include": [unknown]}

    assert client.post(mka1s, json=body).json()["data"] == ALL


@pytest.mark.parametrize("unknown", [UNKNOWN, f"{UNKNOWN},web_search_call"])
def test_mka1_passes_over_what_has_no_meaning(
    unknown: str, client: httpx.Client, mka1s: str
) -> None:
    body = {"items": ALL, "include": [unknown]}
    known = "file_search_call.results"

    assert client.post(mka1s, json=body).json()["data"] == ALL
    assert shown(client, mka1s, f"include={unknown}") == ALL
    assert shown(client, mka1s, f"include={unknown}&include={known}") == only(known)


@pytest.mark.parametrize("name", ["include", "include[]"])
@pytest.mark.parametrize("unknown", [UNKNOWN, f"file_search_call.results,{UNKNOWN}"])
def test_openai_rejects_an_unknown_value_by_its_name(
    unknown: str, name: str, client: httpx.Client, openais: str
) -> None:
    query = {name: unknown}

    for response in (
        client.get(openais, params=query),
        client.get(f"{openais}/msg_1", params=query),
        client.post(openais, params=query, json={"items": ALL}),
    ):
        assert (response.status_code, error_of(response)["param"]) == (400, name)
        assert error_of(response)["code"] == "invalid_value"
        assert f'got "{UNKNOWN}"' in error_of(response)["message"]
    assert client.get(openais).json()["data"] == []


def test_openai_rejects_an_unknown_value_in_the_body_by_its_place(
    client: httpx.Client, openais: str
) -> None:
    body = {"items": ALL, "include": ["file_search_call.results", UNKNOWN]}

    response = client.post(openais, json=body)

    assert (response.status_code, error_of(response)["param"]) == (400, "include[1]")
    assert client.get(openais).json()["data"] == []


def test_text_content_has_no_parts_to_leave_anything_out_of(
    client: httpx.Client, mka1s: str
) -> None:
    message = {"type": "message", "id": "m", "role": "user", "content": "Hello"}

    response = client.post(
        mka1s, json={"items": [message], "include": ["file_search_call.results"]}
    )

    assert response.json()["data"] == [message]
