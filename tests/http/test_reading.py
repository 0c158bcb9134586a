"""Listing and reading items through HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.http_helpers import HELLO, error_of

if TYPE_CHECKING:
    import httpx


@pytest.fixture
def ids(client: httpx.Client, conversation: str) -> list[str]:
    """Append 25 items, the even ones with a client's id, and return their ids."""
    batch = [{**HELLO, "id": f"own_{index}"} if index % 2 == 0 else HELLO for index in range(25)]
    pages = [
        client.post(f"{conversation}/items", json={"items": part}).json()["data"]
        for part in (batch[:20], batch[20:])
    ]
    return [item["id"] for page in pages for item in page]


@pytest.mark.parametrize("limit", [1, 7, 24, 25, 100])
@pytest.mark.parametrize("order", ["asc", "desc"])
def test_pages_join_to_the_whole_in_both_orders(
    order: str, limit: int, client: httpx.Client, conversation: str, ids: list[str]
) -> None:
    seen: list[str] = []
    query: dict[str, str | int] = {"order": order, "limit": limit}
    while True:
        page = client.get(f"{conversation}/items", params=query).json()
        seen += [item["id"] for item in page["data"]]
        if not page["has_more"]:
            break
        assert len(page["data"]) == limit
        query["after"] = page["last_id"]

    assert seen == (ids if order == "asc" else ids[::-1])


def test_a_page_has_20_items_in_ascending_order_by_default(
    client: httpx.Client, conversation: str, ids: list[str]
) -> None:
    page = client.get(f"{conversation}/items").json()

    assert [item["id"] for item in page["data"]] == ids[:20]
    assert (page["first_id"], page["last_id"], page["has_more"]) == (ids[0], ids[19], True)


def test_an_empty_page_has_empty_strings_for_ids(client: httpx.Client, conversation: str) -> None:
    page = client.get(f"{conversation}/items").json()

    assert page == {"object": "list", "data": [], "first_id": "", "last_id": "", "has_more": False}


def test_behind_the_last_item_there_is_nothing_more(
    client: httpx.Client, conversation: str, ids: list[str]
) -> None:
    page = client.get(f"{conversation}/items", params={"after": ids[-1]}).json()

    assert (page["data"], page["has_more"]) == ([], False)


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=-1", "limit"),
        ("limit=1.5", "limit"),
        ("limit=", "limit"),
        ("limit=%D9%A3", "limit"),
        ("limit=99999999999999999999", "limit"),
        ("order=up", "order"),
        ("order=", "order"),
        ("after=a%20b", "after"),
        ("after=", "after"),
        ("after=" + "a" * 65, "after"),
        ("limit=5&limit=6", "limit"),
        ("order=asc&order=asc", "order"),
        ("after=a&limit=5&after=b", "after"),
    ],
)
def test_a_wrong_query_value_is_rejected_by_name(
    query: str, param: str, client: httpx.Client, conversation: str
) -> None:
    response = client.get(f"{conversation}/items?{query}")

    assert (response.status_code, error_of(response)["param"]) == (400, param)


@pytest.mark.parametrize("after", ["nope", "msg_00000000000000000000000000"])
def test_an_unknown_cursor_is_not_found(
    after: str, client: httpx.Client, conversation: str, ids: list[str]
) -> None:
    response = client.get(f"{conversation}/items", params={"after": after})

    assert (response.status_code, error_of(response)["param"]) == (404, "after")
    assert ids


def test_an_item_is_read_by_either_kind_of_id(
    client: httpx.Client, conversation: str, ids: list[str]
) -> None:
    for item_id in ids[:2]:
        assert client.get(f"{conversation}/items/{item_id}").json() == {"id": item_id, **HELLO}


@pytest.mark.parametrize("prefix", ["fc_", "msg_"])
def test_an_id_that_was_never_given_is_not_found(
    prefix: str, client: httpx.Client, conversation: str, ids: list[str]
) -> None:
    generated = ids[1].removeprefix("msg_")
    made_up = prefix + (generated if prefix != "msg_" else generated[::-1])

    response = client.get(f"{conversation}/items/{made_up}")

    assert (response.status_code, error_of(response)["code"]) == (404, "item_not_found")


@pytest.mark.parametrize(
    "odd", ["a%20b", "a.b", "a%22b", "a%0Ab", "a%3Fb", "%C3%A9", "a%00b", "a%23b", "x" * 65]
)
def test_an_id_with_invalid_characters_is_rejected_by_name(
    odd: str, client: httpx.Client, conversation: str
) -> None:
    for path, param in [
        (f"/conversations/{odd}", "conversation_id"),
        (f"/conversations/{odd}/items", "conversation_id"),
        (f"{conversation}/items/{odd}", "item_id"),
    ]:
        response = client.get(path)
        assert (response.status_code, error_of(response)["param"]) == (400, param), path


@pytest.mark.parametrize(
    ("text", "most"), [("x" * 1_400_000, 4), ('"' * 700_000, 2)], ids=["letters", "quotes"]
)
def test_a_page_ends_before_it_is_too_large_for_a_response(
    text: str, most: int, client: httpx.Client, conversation: str
) -> None:
    for _ in range(most + 1):
        body = {"items": [{**HELLO, "content": text}]}
        client.post(f"{conversation}/items", json=body).raise_for_status()

    first = client.get(f"{conversation}/items").json()
    rest = client.get(f"{conversation}/items", params={"after": first["last_id"]}).json()

    assert (len(first["data"]), first["has_more"]) == (most, True)
    assert (len(rest["data"]), rest["has_more"]) == (1, False)
