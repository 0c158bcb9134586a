"""Deleting items and conversations through HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.http_helpers import HELLO, Json, error_of

if TYPE_CHECKING:
    import httpx


@pytest.fixture
def ids(client: httpx.Client, conversation: str) -> list[str]:
    """Append six items, every other one with a client's id, and return their ids."""
    batch = [{**HELLO, "id": f"own_{index}"} if index % 2 else HELLO for index in range(6)]
    page = client.post(f"{conversation}/items", json={"items": batch}).json()
    return [item["id"] for item in page["data"]]


def delete(client: httpx.Client, conversation: str, item_ids: object) -> httpx.Response:
    return client.request(
        "DELETE", f"{conversation}/items", json={"item_ids": item_ids}, timeout=60
    )


def ids_left(client: httpx.Client, conversation: str, **query: str) -> list[str]:
    page = client.get(f"{conversation}/items", params={"limit": "100", **query}).json()
    return [item["id"] for item in page["data"]]


@pytest.mark.parametrize("index", [0, 1, 5])
def test_one_item_is_deleted_and_the_conversation_returned(
    index: int, client: httpx.Client, conversation: str, ids: list[str]
) -> None:
    response = client.delete(f"{conversation}/items/{ids[index]}")

    assert response.status_code == 200
    assert response.json() == client.get(conversation).json()
    assert client.get(f"{conversation}/items/{ids[index]}").status_code == 404
    assert ids_left(client, conversation) == [*ids[:index], *ids[index + 1 :]]


def test_many_items_are_deleted_and_the_conversation_returned(
    client: httpx.Client, conversation: str, ids: list[str]
) -> None:
    response = delete(client, conversation, [ids[4], ids[0], ids[1]])

    assert response.status_code == 200
    assert response.json() == client.get(conversation).json()
    assert ids_left(client, conversation) == [ids[2], ids[3], ids[5]]


@pytest.mark.parametrize("count", [50, 100])
def test_up_to_100_items_go_in_one_request(
    count: int, client: httpx.Client, conversation: str
) -> None:
    batches = [{"items": [HELLO] * 20}] * 5
    pages = [client.post(f"{conversation}/items", json=batch).json() for batch in batches]
    ids = [item["id"] for page in pages for item in page["data"]]

    delete(client, conversation, ids[:count]).raise_for_status()

    assert ids_left(client, conversation) == ids[count:]


def test_an_unknown_id_is_named_and_nothing_deleted(
    client: httpx.Client, conversation: str, ids: list[str]
) -> None:
    response = delete(client, conversation, [ids[0], ids[1], "nope", ids[2]])

    assert (response.status_code, error_of(response)["code"]) == (404, "item_not_found")
    assert error_of(response)["param"] == "item_ids[2]"
    assert "'nope'" in error_of(response)["message"]
    assert ids_left(client, conversation) == ids


@pytest.mark.parametrize(
    ("count", "size"),
    [
        (2, 1),
        (55, 1),
        (100, 20),
        *(pytest.param(*case, marks=pytest.mark.prove) for case in ((49, 1), (100, 1), (49, 20))),
    ],
)
def test_of_any_number_none_is_deleted_if_one_is_gone(
    count: int, size: int, client: httpx.Client, conversation: str
) -> None:
    """The rule is the same for one transaction and for several."""
    ids: list[str] = []
    while len(ids) < count:
        page = client.post(f"{conversation}/items", json={"items": [HELLO] * size}).json()
        ids += [item["id"] for item in page["data"]]
    client.delete(f"{conversation}/items/{ids[count // 2]}").raise_for_status()
    left = ids_left(client, conversation)

    response = delete(client, conversation, ids[:count])

    assert (response.status_code, error_of(response)["code"]) == (404, "item_not_found")
    assert error_of(response)["param"] == f"item_ids[{count // 2}]"
    assert ids_left(client, conversation) == left


def test_an_id_that_stands_twice_is_deleted_once(
    client: httpx.Client, conversation: str, ids: list[str]
) -> None:
    delete(client, conversation, [ids[0], ids[1], ids[0], ids[1]]).raise_for_status()

    assert ids_left(client, conversation) == ids[2:]


@pytest.mark.parametrize("index", [0, 1])
def test_what_is_deleted_cannot_be_deleted_again(
    index: int, client: httpx.Client, conversation: str, ids: list[str]
) -> None:
    path = f"{conversation}/items/{ids[index]}"
    client.delete(path).raise_for_status()

    one, many = client.delete(path), delete(client, conversation, [ids[5], ids[index]])

    assert (one.status_code, error_of(one)["param"]) == (404, "item_id")
    assert (many.status_code, error_of(many)["param"]) == (404, "item_ids[1]")
    assert ids[5] in ids_left(client, conversation)


@pytest.mark.parametrize("index", [0, 1])
def test_an_id_whose_item_was_deleted_names_the_item_that_is_posted_with_it(
    index: int, client: httpx.Client, conversation: str, ids: list[str]
) -> None:
    again = {**HELLO, "id": ids[index], "content": "again"}
    rejected = client.post(f"{conversation}/items", json={"items": [HELLO, again]})
    client.delete(f"{conversation}/items/{ids[index]}").raise_for_status()
    added = client.post(f"{conversation}/items", json={"items": [again]})
    twice = client.post(f"{conversation}/items", json={"items": [again]})

    assert (rejected.status_code, error_of(rejected)["param"]) == (400, "items[1].id")
    assert added.status_code == 200
    assert (twice.status_code, error_of(twice)["code"]) == (400, "item_already_in_conversation")
    assert client.get(f"{conversation}/items/{ids[index]}").json()["content"] == "again"
    assert ids_left(client, conversation) == [*ids[:index], *ids[index + 1 :], ids[index]]


@pytest.mark.parametrize("index", [0, 1])
def test_a_cursor_on_an_id_that_came_back_is_where_it_is_now(
    index: int, client: httpx.Client, conversation: str, ids: list[str]
) -> None:
    client.delete(f"{conversation}/items/{ids[index]}").raise_for_status()
    batch = [{**HELLO, "id": ids[index]}, HELLO]
    added = client.post(f"{conversation}/items", json={"items": batch}).json()["data"]

    behind = ids_left(client, conversation, after=ids[index])
    before = ids_left(client, conversation, after=ids[index], order="desc")
    client.delete(f"{conversation}/items/{ids[index]}").raise_for_status()

    assert behind == [added[1]["id"]]
    assert before == [*ids[:index], *ids[index + 1 :]][::-1]
    assert ids_left(client, conversation, after=ids[index]) == behind


def test_an_id_may_go_and_come_back_again_and_again(
    client: httpx.Client, conversation: str, ids: list[str]
) -> None:
    for turn in range(3):
        delete(client, conversation, [ids[0], ids[1]]).raise_for_status()
        batch = [{**HELLO, "id": name, "content": str(turn)} for name in (ids[0], ids[1])]
        client.post(f"{conversation}/items", json={"items": batch}).raise_for_status()

    assert ids_left(client, conversation) == [*ids[2:], ids[0], ids[1]]
    assert client.get(f"{conversation}/items/{ids[1]}").json()["content"] == "2"


def test_a_batch_may_bring_back_ids_of_several_batches(
    client: httpx.Client, conversation: str, ids: list[str]
) -> None:
    other = client.post(f"{conversation}/items", json={"items": [HELLO, HELLO]}).json()["data"]
    back = [ids[0], ids[1], ids[2], other[1]["id"]]
    delete(client, conversation, back).raise_for_status()

    batch = {"items": [{**HELLO, "id": name} for name in back]}
    client.post(f"{conversation}/items", json=batch).raise_for_status()

    assert ids_left(client, conversation) == [*ids[3:], other[0]["id"], *back]


@pytest.mark.parametrize("index", range(6))
def test_a_cursor_on_a_deleted_item_keeps_its_place(
    index: int, client: httpx.Client, conversation: str, ids: list[str]
) -> None:
    client.delete(f"{conversation}/items/{ids[index]}").raise_for_status()

    behind = ids_left(client, conversation, after=ids[index])
    before = ids_left(client, conversation, after=ids[index], order="desc")

    assert (behind, before) == (ids[index + 1 :], ids[:index][::-1])


def test_cursors_work_when_everything_is_deleted(
    client: httpx.Client, conversation: str, ids: list[str]
) -> None:
    delete(client, conversation, ids).raise_for_status()

    assert [ids_left(client, conversation, after=cursor) for cursor in ids] == [[]] * 6


def test_a_reference_is_deleted_by_its_cursor_and_alone(
    client: httpx.Client, conversation: str, ids: list[str]
) -> None:
    reference = {"type": "item_reference", "id": ids[0]}
    page = client.post(f"{conversation}/items", json={"items": [reference]}).json()

    client.delete(f"{conversation}/items/{page['last_id']}").raise_for_status()

    assert ids_left(client, conversation) == ids
    assert ids_left(client, conversation, after=page["last_id"], order="desc") == ids[::-1]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "item_ids"),
        ({"item_ids": None}, "item_ids"),
        ({"item_ids": "a"}, "item_ids"),
        ({"item_ids": []}, "item_ids"),
        ({"item_ids": [f"id_{index}" for index in range(101)]}, "item_ids"),
        ({"item_ids": ["a", "a b"]}, "item_ids[1]"),
        ({"item_ids": [5]}, "item_ids[0]"),
        ({"item_ids": ["x" * 65]}, "item_ids[0]"),
        ([], None),
    ],
    ids=str,
)
def test_a_wrong_list_of_ids_is_rejected_by_the_path_of_its_fault(
    body: Json, param: str | None, client: httpx.Client, conversation: str
) -> None:
    response = client.request("DELETE", f"{conversation}/items", json=body)

    assert (response.status_code, error_of(response)["param"]) == (400, param)


def test_no_body_is_rejected(client: httpx.Client, conversation: str, ids: list[str]) -> None:
    response = client.delete(f"{conversation}/items")

    assert (response.status_code, error_of(response)["code"]) == (400, "invalid_json")
    assert ids_left(client, conversation) == ids


def test_the_deletion_of_a_conversation_is_confirmed(
    client: httpx.Client, conversation: str
) -> None:
    conversation_id = conversation.rpartition("/")[2]

    response = client.delete(conversation)

    assert response.status_code == 200
    assert response.json() == {
        "id": conversation_id,
        "object": "conversation.deleted",
        "deleted": True,
    }
    assert client.delete(conversation).status_code == 404
