"""Appends through HTTP: a batch is stored whole and in order, or not at all."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from itertools import batched
from typing import TYPE_CHECKING

import pytest

from conversations.contract.items import PLACEHOLDER_ID
from tests.support.contract_cases import EXAMPLES
from tests.support.http_helpers import HELLO, Json, error_of

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx


def test_the_documented_request_gets_the_documented_response(
    client: httpx.Client, conversation: str
) -> None:
    response = client.post(f"{conversation}/items", json={"items": [HELLO]})

    item_id = response.json()["data"][0]["id"]
    assert response.status_code == 200
    assert item_id.startswith("msg_")
    assert response.json() == {
        "object": "list",
        "data": [{"id": item_id, **HELLO}],
        "first_id": item_id,
        "last_id": item_id,
        "has_more": False,
    }


@pytest.mark.parametrize("examples", [*batched(EXAMPLES, 24, strict=False)], ids=lambda _: "")
def test_an_item_comes_back_as_it_was_given(
    examples: tuple[tuple[str, Json], ...],
    client: httpx.Client,
    record_property: Callable[[str, int], None],
) -> None:
    for name, item in examples:
        path = f"/conversations/{client.post('/conversations').json()['id']}/items"
        appended = client.post(path, json={"items": [item]}).json()
        listed = client.get(path).json()
        read = client.get(f"{path}/{appended['last_id']}").json()

        [response] = appended["data"]
        given = {key: value for key, value in item.items() if value not in (None, PLACEHOLDER_ID)}
        implied = {"id": response["id"], "type": "message" if "role" in item else "item_reference"}
        assert response == item | implied | given, name
        assert json.dumps(response) == json.dumps(listed["data"][0]) == json.dumps(read), name
    record_property("examples in and out by HTTP, equal", len(examples))


def test_a_batch_of_20_keeps_its_order_behind_what_was_there(
    client: httpx.Client, conversation: str
) -> None:
    client.post(f"{conversation}/items", json={"items": [HELLO]})
    batch = [{"role": "user", "content": str(index)} for index in range(20)]

    client.post(f"{conversation}/items", json={"items": batch})

    page = client.get(f"{conversation}/items", params={"limit": 100}).json()["data"]
    assert [item["content"] for item in page] == [
        HELLO["content"],
        *(item["content"] for item in batch),
    ]


def test_values_survive_to_the_last_digit(client: httpx.Client, conversation: str) -> None:
    odd = {
        **HELLO,
        "content": "\x00 \u2028 \U0001f600 é",
        "x": [1, 1.0, -0.0, 1e-7, 12345678901234567890, None, True, {"": {}}],
    }

    item = client.post(f"{conversation}/items", json={"items": [odd]}).json()["data"][0]

    assert json.dumps({**odd, "id": item["id"]}, sort_keys=True) == json.dumps(item, sort_keys=True)


def test_the_old_sdks_placeholder_is_no_id(client: httpx.Client, conversation: str) -> None:
    item = {**HELLO, "id": "msg_aa87e2b1112a455b8deabed784372198"}

    batches = [client.post(f"{conversation}/items", json={"items": [item, item]}) for _ in range(2)]

    ids = {item["id"] for batch in batches for item in batch.json()["data"]}
    assert len(ids) == 4
    assert item["id"] not in ids


def test_a_taken_id_is_rejected_with_the_whole_batch(
    client: httpx.Client, conversation: str
) -> None:
    client.post(
        f"{conversation}/items", json={"items": [{**HELLO, "id": "a"}, {**HELLO, "id": "b"}]}
    )

    batch = [HELLO, {**HELLO, "id": "b"}, {**HELLO, "id": "c"}, {**HELLO, "id": "a"}]
    response = client.post(f"{conversation}/items", json={"items": batch})

    error = error_of(response)
    assert response.status_code == 400
    assert error["code"] == "item_already_in_conversation"
    assert error["param"] == "items[1].id"
    assert "'b', 'a'" in error["message"]
    assert len(client.get(f"{conversation}/items").json()["data"]) == 2


def test_an_id_of_ours_that_is_posted_back_is_taken(
    client: httpx.Client, conversation: str
) -> None:
    item = client.post(f"{conversation}/items", json={"items": [HELLO]}).json()["data"][0]

    response = client.post(f"{conversation}/items", json={"items": [item]})

    assert error_of(response)["code"] == "item_already_in_conversation"


def test_an_item_of_one_conversation_may_be_posted_to_another(
    client: httpx.Client, conversation: str
) -> None:
    item = client.post(f"{conversation}/items", json={"items": [HELLO]}).json()["data"][0]
    other = f"/conversations/{client.post('/conversations').json()['id']}"

    client.post(f"{other}/items", json={"items": [item]}).raise_for_status()

    assert client.get(f"{other}/items/{item['id']}").json() == item


def test_a_reference_keeps_even_the_placeholder(client: httpx.Client, conversation: str) -> None:
    reference = {"type": "item_reference", "id": PLACEHOLDER_ID}

    response = client.post(f"{conversation}/items", json={"items": [reference]})

    assert response.json()["data"] == [reference]


def test_references_may_repeat_and_are_read_by_their_cursor(
    client: httpx.Client, conversation: str
) -> None:
    batch = [{**HELLO, "id": "a"}, {"id": "a"}, {"type": "item_reference", "id": "a"}, HELLO]
    page = client.post(f"{conversation}/items", json={"items": batch}).json()

    two = client.get(f"{conversation}/items", params={"limit": 2}).json()
    rest = client.get(f"{conversation}/items", params={"after": two["last_id"]}).json()

    assert [item["id"] for item in page["data"]][:3] == ["a", "a", "a"]
    assert two["data"] + rest["data"] == page["data"]
    assert client.get(f"{conversation}/items/{two['last_id']}").json() == page["data"][1]
    assert client.get(f"{conversation}/items/a").json() == page["data"][0]


@pytest.mark.parametrize("query", ["", "?include=a&include=b", "?include[]=a&include%5B%5D=b"])
@pytest.mark.parametrize("body", [{}, {"include": ["reasoning.encrypted_content"]}])
def test_include_is_accepted_wherever_a_client_puts_it(
    query: str, body: Json, client: httpx.Client, conversation: str
) -> None:
    response = client.post(f"{conversation}/items{query}", json={"items": [HELLO], **body})

    assert response.status_code == 200


def test_a_large_item_comes_back_equal(client: httpx.Client, conversation: str) -> None:
    image = "data:image/png;base64," + "".join(f"{n:x}" for n in range(100_000))
    part = {"type": "input_image", "detail": "auto", "image_url": image}
    item = {"type": "message", "role": "user", "content": [part]}

    appended = client.post(f"{conversation}/items", json={"items": [item]}).json()["data"]

    assert appended[0]["content"] == [part]
    assert client.get(f"{conversation}/items").json()["data"] == appended


def test_a_body_over_6_mb_is_too_large(client: httpx.Client, conversation: str) -> None:
    batch = [{**HELLO, "content": "x" * 700_000}] * 10

    response = client.post(f"{conversation}/items", json={"items": batch})

    assert (response.status_code, error_of(response)["code"]) == (413, "request_too_large")
    assert client.get(f"{conversation}/items").json()["data"] == []


@pytest.mark.parametrize(
    ("batch", "param"),
    [
        ([HELLO, {**HELLO, "content": "x", "k": [9e15] * 340_000}], "items[1]"),
        ([{**HELLO, "content": "x", "k": [9e15] * 200_000}] * 2, "items"),
    ],
    ids=["one item", "all together"],
)
def test_what_no_response_could_carry_is_too_large(
    batch: list[Json], param: str, client: httpx.Client, conversation: str
) -> None:
    """The limit applies to the response, in which a number can be longer than in the request."""
    body = json.dumps({"items": batch}).replace("9000000000000000.0", "9e15")

    response = client.post(f"{conversation}/items", content=body)

    assert (response.status_code, error_of(response)["param"]) == (413, param)
    assert client.get(f"{conversation}/items").json()["data"] == []


@pytest.mark.parametrize("path", ["{}/items", "/conversations"])
def test_ids_with_the_same_sequence_key_do_not_collide(
    path: str, client: httpx.Client, conversation: str
) -> None:
    key = "06f1e2v9m0c8i4a7k3p5s1q2to"
    batch = [{**HELLO, "id": f"msg_{key}"}, {**HELLO, "id": f"fc_{key}"}]

    response = client.post(path.format(conversation), json={"items": batch})

    assert response.status_code == 200


def test_writers_at_the_same_time_neither_mix_nor_lose(
    client: httpx.Client, conversation: str
) -> None:
    batches = [
        {"items": [{"role": "user", "content": f"{writer}.{index}"} for index in range(3)]}
        for writer in range(8)
    ]

    with ThreadPoolExecutor(8) as executor:
        list(executor.map(lambda batch: client.post(f"{conversation}/items", json=batch), batches))

    page = client.get(f"{conversation}/items", params={"limit": 100}).json()["data"]
    contents = [item["content"] for item in page]
    whole = [contents[start : start + 3] for start in range(0, 24, 3)]
    assert sorted(whole) == [[item["content"] for item in batch["items"]] for batch in batches]
