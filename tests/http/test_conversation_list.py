"""Listing conversations, and filtering them by metadata, through HTTP."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support.http_helpers import HELLO, Json, error_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx

TEAMS = ["red", "blue", "red", "blue", "red"]


@pytest.fixture
def made(client: httpx.Client) -> list[str]:
    """Create five conversations, and return their ids, the oldest first."""
    return [
        client.post(
            "/conversations", json={"metadata": {"team": team, "index": str(index)}}
        ).json()["id"]
        for index, team in enumerate(TEAMS)
    ]


def listing(client: httpx.Client, query: str | Mapping[str, str | int] = "") -> list[str]:
    page = client.get("/conversations", params=query).json()
    return [entry["id"] for entry in page["data"]]


def test_an_owner_without_conversations_has_an_empty_list(client: httpx.Client) -> None:
    assert client.get("/conversations").json() == {
        "object": "list",
        "data": [],
        "first_id": "",
        "last_id": "",
        "has_more": False,
    }


def test_an_entry_is_the_conversation_itself(client: httpx.Client, made: list[str]) -> None:
    page = client.get("/conversations").json()

    assert page["data"] == [client.get(f"/conversations/{name}").json() for name in made]
    assert (page["first_id"], page["last_id"]) == (made[0], made[-1])
    assert page["has_more"] is False


def test_a_conversation_says_whose_it_is_and_that_it_is_there(
    client: httpx.Client, made: list[str], owner: str
) -> None:
    response = client.get(f"/conversations/{made[0]}").json()

    assert (response["identity"], response["deleted_at"]) == (owner, None)


def test_the_order_is_ascending_by_default(client: httpx.Client, made: list[str]) -> None:
    assert listing(client) == listing(client, "order=asc") == made
    assert listing(client, "order=desc") == made[::-1]


@pytest.mark.parametrize("change", ["append", "metadata", "delete"])
def test_whatever_changes_a_conversation_moves_it_to_the_end(
    change: str, client: httpx.Client, made: list[str]
) -> None:
    path = f"/conversations/{made[1]}"
    if change == "metadata":
        client.post(path, json={"metadata": {"k": "v"}}).raise_for_status()
    else:
        item = client.post(f"{path}/items", json={"items": [HELLO]}).json()["last_id"]
    if change == "delete":
        client.post(f"/conversations/{made[2]}/items", json={"items": [HELLO]}).raise_for_status()
        client.delete(f"{path}/items/{item}").raise_for_status()

    assert listing(client, "order=desc&limit=1") == [made[1]]


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5, 50])
@pytest.mark.parametrize("order", ["asc", "desc"])
def test_pages_join_to_the_whole_in_both_orders(
    order: str, limit: int, client: httpx.Client, made: list[str]
) -> None:
    seen: list[str] = []
    query: dict[str, str | int] = {"order": order, "limit": limit}
    has_more = True
    while has_more:
        page = client.get("/conversations", params=query).json()
        seen += [entry["id"] for entry in page["data"]]
        query["after"], has_more = page["last_id"], page["has_more"]

        assert has_more == (len(seen) < len(made))

    assert seen == (made if order == "asc" else made[::-1])


def test_a_page_has_20_by_default_and_50_at_most(client: httpx.Client) -> None:
    for _ in range(51):
        client.post("/conversations").raise_for_status()

    page, most = (client.get(f"/conversations{query}").json() for query in ("", "?limit=50"))

    assert (len(page["data"]), page["has_more"]) == (20, True)
    assert (len(most["data"]), most["has_more"]) == (50, True)
    assert len(listing(client, {"after": most["last_id"]})) == 1


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("limit=0", "limit"),
        ("limit=51", "limit"),
        ("limit=x", "limit"),
        ("order=up", "order"),
        ("after=a%20b", "after"),
        ("search=", "search"),
        ("metadata=team", "metadata"),
        ("metadata=[]", "metadata"),
        ('metadata={"team":1}', "metadata"),
        ("metadata=", "metadata"),
        ("metadata={}&metadata={}", "metadata"),
        ("team=red&limit=5&team=blue", "team"),
        ('team=red&metadata={"team":"blue"}', "team"),
    ],
)
def test_a_wrong_query_value_is_rejected_by_name(
    query: str, param: str, client: httpx.Client
) -> None:
    response = client.get(f"/conversations?{query}")

    assert (response.status_code, error_of(response)["param"]) == (400, param)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("limt", "limit"),
        ("LIMIT", "limit"),
        ("limits", "limit"),
        ("ordre", "order"),
        ("serach", "search"),
        ("seerch", "search"),
        ("metdata", "metadata"),
        ("aftr", "after"),
    ],
)
def test_a_misspelt_parameter_is_no_metadata(
    name: str, meant: str, client: httpx.Client, made: list[str]
) -> None:
    client.post(f"/conversations/{made[0]}", json={"metadata": {name: "5"}}).raise_for_status()

    response = client.get("/conversations", params={name: "5"})

    error = error_of(response)
    assert (response.status_code, error["code"], error["param"]) == (400, "unknown_parameter", name)
    assert f"Did you mean '{meant}'?" in error["message"]
    assert listing(client, {"metadata": json.dumps({name: "5"})}) == [made[0]]


@pytest.mark.parametrize(
    "name",
    [
        *("topic", "user", "name", "order_id", "filter", "folder", "title", "user_id", "data"),
        *("research", "searched", "offer", "later", "format"),
    ],
)
def test_a_plausible_name_is_metadata(name: str, client: httpx.Client) -> None:
    made = client.post("/conversations", json={"metadata": {name: "x"}}).json()["id"]

    assert listing(client, {name: "x"}) == [made]


def test_an_unknown_cursor_is_not_found(client: httpx.Client, made: list[str]) -> None:
    response = client.get("/conversations", params={"after": "conv_none"})

    assert (response.status_code, error_of(response)["param"]) == (404, "after")
    assert made


@pytest.mark.parametrize(
    "query",
    [
        {"metadata": json.dumps({"team": "red"})},
        {"team": "red"},
        {"metadata": "{}", "team": "red"},
    ],
    ids=["JSON", "exploded", "both"],
)
def test_a_filter_finds_those_that_have_the_pair(
    query: dict[str, str], client: httpx.Client, made: list[str]
) -> None:
    assert listing(client, query) == [made[0], made[2], made[4]]


@pytest.mark.parametrize(
    "query",
    [
        {"metadata": json.dumps({"team": "red", "index": "2"})},
        {"team": "red", "index": "2"},
        {"metadata": json.dumps({"team": "red"}), "index": "2"},
    ],
    ids=["JSON", "exploded", "both"],
)
def test_a_filter_of_two_pairs_wants_both(
    query: dict[str, str], client: httpx.Client, made: list[str]
) -> None:
    assert listing(client, query) == [made[2]]


@pytest.mark.parametrize("value", ["rosé", "", "a&b=c", '"', "red"])
def test_a_filter_compares_to_the_last_character(value: str, client: httpx.Client) -> None:
    made = client.post("/conversations", json={"metadata": {"team": value}}).json()["id"]
    client.post("/conversations", json={"metadata": {"team": f"{value}!"}}).raise_for_status()

    assert listing(client, {"team": value}) == [made]
    assert listing(client, {"metadata": json.dumps({"team": value})}) == [made]


def test_a_filtered_list_is_paged_exactly(client: httpx.Client, made: list[str]) -> None:
    query: dict[str, str | int] = {"team": "red", "limit": 2}
    first = client.get("/conversations", params=query).json()
    rest = client.get("/conversations", params={**query, "after": first["last_id"]}).json()

    assert [entry["id"] for entry in first["data"] + rest["data"]] == [made[0], made[2], made[4]]
    assert (first["has_more"], rest["has_more"]) == (True, False)


def test_deleted_ones_are_left_out_and_keep_their_place(
    client: httpx.Client, made: list[str]
) -> None:
    client.delete(f"/conversations/{made[2]}").raise_for_status()

    assert listing(client) == [made[0], made[1], made[3], made[4]]
    assert listing(client, {"after": made[2]}) == [made[3], made[4]]
    assert listing(client, {"after": made[2], "order": "desc"}) == [made[1], made[0]]


def test_what_is_left_when_the_rest_is_deleted_is_no_more(
    client: httpx.Client, made: list[str]
) -> None:
    for name in made[2:]:
        client.delete(f"/conversations/{name}").raise_for_status()

    page = client.get("/conversations", params={"limit": 2}).json()

    assert ([entry["id"] for entry in page["data"]], page["has_more"]) == (made[:2], False)


def test_an_update_merges_and_null_removes(client: httpx.Client, made: list[str]) -> None:
    path = f"/conversations/{made[0]}"

    response = client.post(path, json={"metadata": {"index": None, "gone": None, "new": "é"}})

    assert response.json()["metadata"] == {"team": "red", "new": "é"}
    assert response.json() == client.get(path).json()


@pytest.mark.parametrize("metadata", [{}, None])
def test_an_update_of_nothing_changes_nothing(
    metadata: Json | None, client: httpx.Client, made: list[str]
) -> None:
    before = client.get(f"/conversations/{made[0]}").json()

    response = client.post(f"/conversations/{made[0]}", json={"metadata": metadata})

    assert (response.status_code, response.json()) == (200, before)


def test_the_17th_pair_is_rejected_whenever_it_comes(client: httpx.Client, made: list[str]) -> None:
    path = f"/conversations/{made[0]}"
    client.post(path, json={"metadata": {str(n): "" for n in range(14)}}).raise_for_status()

    late = client.post(path, json={"metadata": {"one": "too many"}})
    at_once = client.post(path, json={"metadata": {str(n): "" for n in range(17)}})
    instead = client.post(path, json={"metadata": {"one": "more", "0": None}})

    assert (late.status_code, error_of(late)["param"]) == (400, "metadata")
    assert (at_once.status_code, error_of(at_once)["param"]) == (400, "metadata")
    assert len(instead.json()["metadata"]) == 16


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "metadata"),
        ({"metadata": []}, "metadata"),
        ({"metadata": {"k": 1}}, "metadata.k"),
        ({"metadata": {"k": "v" * 513}}, "metadata.k"),
        ([], None),
    ],
    ids=["no metadata", "an array", "a number", "a long value", "no object"],
)
def test_a_wrong_update_changes_nothing(
    body: object, param: str | None, client: httpx.Client, made: list[str]
) -> None:
    before = client.get(f"/conversations/{made[0]}").json()

    response = client.post(f"/conversations/{made[0]}", json=body)

    assert (response.status_code, error_of(response)["param"]) == (400, param)
    assert client.get(f"/conversations/{made[0]}").json() == before
