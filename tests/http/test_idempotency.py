"""A request that a client sends twice takes effect once, through HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.clock import move_clock
from tests.support.http_helpers import HELLO, Json, error_of

if TYPE_CHECKING:
    import httpx

    from tests.support.issue_key import IssueKey

BATCH: Json = {"items": [{**HELLO, "id": "mine"}, HELLO, {**HELLO, "content": "x" * 50_000}]}
OTHER: Json = {"items": [{**HELLO, "content": "other"}]}
KEY = {"Idempotency-Key": "k1"}
DAY = 24 * 3600


def append(
    client: httpx.Client, conversation: str, body: Json, headers: dict[str, str] | None = None
) -> httpx.Response:
    return client.post(f"{conversation}/items", json=body, headers=headers)


def retried(count: int) -> dict[str, str]:
    """Return the header by which the SDKs mark a retry."""
    return {"x-stainless-retry-count": str(count)}


def count_items(client: httpx.Client, conversation: str) -> int:
    return len(client.get(f"{conversation}/items", params={"limit": 100}).json()["data"])


def test_the_same_key_and_body_get_the_first_response(
    client: httpx.Client, conversation: str
) -> None:
    first, again = (append(client, conversation, BATCH, KEY) for _ in range(2))

    assert first.status_code == again.status_code == 200
    assert again.content == first.content
    assert count_items(client, conversation) == 3


def test_the_response_is_the_same_when_items_were_deleted_in_between(
    client: httpx.Client, conversation: str
) -> None:
    first = append(client, conversation, BATCH, KEY)
    for item in first.json()["data"][:2]:
        client.delete(f"{conversation}/items/{item['id']}").raise_for_status()

    assert append(client, conversation, BATCH, KEY).content == first.content
    assert count_items(client, conversation) == 1


def test_the_response_is_the_same_behind_many_other_appends(
    client: httpx.Client, conversation: str
) -> None:
    first = append(client, conversation, BATCH, KEY)
    for _ in range(6):
        append(client, conversation, OTHER).raise_for_status()

    assert append(client, conversation, BATCH, KEY).content == first.content
    assert count_items(client, conversation) == 9


def test_a_key_with_another_body_is_rejected_and_not_to_be_sent_again(
    client: httpx.Client, conversation: str
) -> None:
    append(client, conversation, BATCH, KEY).raise_for_status()

    response = append(client, conversation, OTHER, KEY)

    assert (response.status_code, response.headers["x-should-retry"]) == (422, "false")
    assert error_of(response) == {
        "message": error_of(response)["message"],
        "type": "idempotency_error",
        "param": "Idempotency-Key",
        "code": "idempotency_key_reused",
    }
    assert count_items(client, conversation) == 3


def test_a_rejected_batch_does_not_use_up_its_key(client: httpx.Client, conversation: str) -> None:
    append(client, conversation, BATCH).raise_for_status()

    rejected = append(client, conversation, BATCH, KEY)
    response = append(client, conversation, OTHER, KEY)

    assert error_of(rejected)["code"] == "item_already_in_conversation"
    assert response.status_code == 200


@pytest.mark.parametrize("key", [b"", b"x" * 256, b"a\tb", b"\xe9"])
def test_an_odd_key_is_rejected_by_name(
    key: bytes, client: httpx.Client, conversation: str
) -> None:
    headers = [(b"Idempotency-Key", key)]
    response = client.post(f"{conversation}/items", json=BATCH, headers=headers)

    assert (response.status_code, error_of(response)["param"]) == (400, "Idempotency-Key")
    assert count_items(client, conversation) == 0


def test_two_keys_are_rejected(client: httpx.Client, conversation: str) -> None:
    headers = [("Idempotency-Key", "one"), ("idempotency-key", "two")]
    response = client.post(f"{conversation}/items", json=BATCH, headers=headers)

    assert (response.status_code, error_of(response)["param"]) == (400, "Idempotency-Key")
    assert count_items(client, conversation) == 0


def test_a_key_of_255_characters_is_taken(client: httpx.Client, conversation: str) -> None:
    key = {"Idempotency-Key": "x" * 255}

    responses = [append(client, conversation, BATCH, key).content for _ in range(2)]

    assert responses[0] == responses[1]


@pytest.mark.parametrize(("seconds", "count"), [(DAY - 60, 1), (DAY + 60, 2)])
def test_a_key_expires_after_a_day(
    seconds: int,
    count: int,
    client: httpx.Client,
    conversation: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    append(client, conversation, OTHER, KEY).raise_for_status()
    move_clock(monkeypatch, seconds)

    append(client, conversation, OTHER, KEY).raise_for_status()

    assert count_items(client, conversation) == count


def test_an_expired_key_may_have_another_body(
    client: httpx.Client, conversation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(client, conversation, BATCH, KEY).raise_for_status()
    move_clock(monkeypatch, DAY + 60)

    first, again = (append(client, conversation, OTHER, KEY) for _ in range(2))

    assert first.status_code == 200
    assert again.content == first.content


def test_a_key_is_of_one_conversation(client: httpx.Client, conversation: str) -> None:
    other = f"/conversations/{client.post('/conversations').json()['id']}"

    append(client, conversation, BATCH, KEY).raise_for_status()
    append(client, other, OTHER, KEY).raise_for_status()

    assert (count_items(client, conversation), count_items(client, other)) == (3, 1)


def test_a_key_is_no_way_into_a_deleted_conversation(
    client: httpx.Client, conversation: str
) -> None:
    append(client, conversation, BATCH, KEY).raise_for_status()
    client.delete(conversation).raise_for_status()

    assert append(client, conversation, BATCH, KEY).status_code == 404


def test_a_create_with_the_same_key_makes_one_conversation(client: httpx.Client) -> None:
    body = {"items": BATCH["items"], "metadata": {"k": "v"}}

    first, again = (client.post("/conversations", json=body, headers=KEY) for _ in range(2))

    assert first.status_code == 200
    assert again.content == first.content
    assert len(client.get("/conversations").json()["data"]) == 1
    assert count_items(client, f"/conversations/{first.json()['id']}") == 3


def test_a_repeated_create_gets_the_first_response_whatever_came_after(
    client: httpx.Client,
) -> None:
    first = client.post("/conversations", json={"metadata": {"k": "v"}}, headers=KEY)
    path = f"/conversations/{first.json()['id']}"
    client.post(path, json={"metadata": {"k": "changed"}}).raise_for_status()
    append(client, path, OTHER).raise_for_status()
    again = client.post("/conversations", json={"metadata": {"k": "v"}}, headers=KEY)
    client.delete(path).raise_for_status()
    late = client.post("/conversations", json={"metadata": {"k": "v"}}, headers=KEY)

    assert first.content == again.content == late.content


def test_a_create_with_a_used_key_and_another_body_is_rejected(client: httpx.Client) -> None:
    client.post("/conversations", headers=KEY).raise_for_status()

    response = client.post("/conversations", json=OTHER, headers=KEY)

    assert (response.status_code, error_of(response)["code"]) == (422, "idempotency_key_reused")
    assert len(client.get("/conversations").json()["data"]) == 1


def test_a_create_and_an_append_may_use_one_key(client: httpx.Client) -> None:
    made = client.post("/conversations", json=BATCH, headers=KEY).json()["id"]

    append(client, f"/conversations/{made}", OTHER, KEY).raise_for_status()

    assert count_items(client, f"/conversations/{made}") == 4


def test_two_owners_may_use_one_key(client: httpx.Client, issue_key: IssueKey) -> None:
    mine = client.post("/conversations", json=BATCH, headers=KEY).json()
    stranger = {"Authorization": f"Bearer {issue_key('other')}", **KEY}

    theirs = client.post("/conversations", json=OTHER, headers=stranger)

    assert theirs.status_code == 200
    assert theirs.json()["id"] != mine["id"]


def test_a_marked_retry_gets_the_first_response(client: httpx.Client, conversation: str) -> None:
    first = append(client, conversation, OTHER, retried(0))
    again = [append(client, conversation, OTHER, retried(count)) for count in (1, 2)]

    assert [response.content for response in again] == [first.content] * 2
    assert count_items(client, conversation) == 1


def test_a_retry_after_a_deletion_gets_the_first_response(
    client: httpx.Client, conversation: str
) -> None:
    first = append(client, conversation, OTHER, retried(0))
    client.delete(f"{conversation}/items/{first.json()['last_id']}").raise_for_status()

    assert append(client, conversation, OTHER, retried(1)).content == first.content
    assert count_items(client, conversation) == 0


@pytest.mark.parametrize(
    "headers",
    [retried(0), {"x-stainless-retry-count": "no"}, {}],
    ids=["marked as none", "marked with no number", "unmarked"],
)
def test_what_is_no_retry_is_appended_again(
    headers: dict[str, str], client: httpx.Client, conversation: str
) -> None:
    first, again = (append(client, conversation, OTHER, headers).json() for _ in range(2))

    assert first["last_id"] != again["last_id"]
    assert count_items(client, conversation) == 2


def test_a_retry_whose_first_try_never_came_is_appended(
    client: httpx.Client, conversation: str
) -> None:
    append(client, conversation, BATCH).raise_for_status()

    append(client, conversation, OTHER, retried(1)).raise_for_status()

    assert count_items(client, conversation) == 4


def test_a_retry_behind_another_append_is_appended(client: httpx.Client, conversation: str) -> None:
    append(client, conversation, OTHER).raise_for_status()
    append(client, conversation, BATCH).raise_for_status()

    append(client, conversation, OTHER, retried(1)).raise_for_status()

    assert count_items(client, conversation) == 5


def test_a_retry_with_a_key_of_its_own_is_no_repetition_of_an_equal_body(
    client: httpx.Client, conversation: str
) -> None:
    """The first attempt of the second request never arrived; the SDK marks the next attempt."""
    first = append(client, conversation, OTHER, KEY).json()

    second, again = (
        append(client, conversation, OTHER, {"Idempotency-Key": "k2", **retried(count)}).json()
        for count in (1, 2)
    )

    assert first["last_id"] != second["last_id"] == again["last_id"]
    assert count_items(client, conversation) == 2
