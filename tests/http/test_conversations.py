"""Creating and reading conversations, and their authorization, through HTTP."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.support.clock import move_clock
from tests.support.http_helpers import HELLO, Json, error_of

if TYPE_CHECKING:
    from conversations.auth.api_keys import ApiKeyRepository
    from local.stack import DevStack
    from tests.support.issue_key import IssueKey


@pytest.mark.parametrize(
    "body", [b"", b"{}", b'{"items": null, "metadata": null}', b'{"items": [], "metadata": {}}']
)
def test_a_conversation_is_made_of_nothing(body: bytes, client: httpx.Client) -> None:
    response = client.post("/conversations", content=body)

    made = response.json()
    assert response.status_code == 200
    assert made["id"].startswith("conv_")
    assert abs(made["created_at"] - time.time()) < 60
    assert (made["object"], made["deleted_at"], made["metadata"]) == ("conversation", None, {})
    assert client.get(f"/conversations/{made['id']}").json() == made


def test_a_conversation_in_a_response_is_what_a_read_returns(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has no field that is older than the change that the response is about."""
    body = {"items": [{**HELLO, "id": "a"}, {**HELLO, "id": "b"}], "metadata": {"k": "v"}}
    key = {"Idempotency-Key": "create"}
    made = client.post("/conversations", json=body, headers=key).json()
    path = f"/conversations/{made['id']}"
    assert client.get(path).json() == made
    move_clock(monkeypatch, 10)

    assert client.post("/conversations", json=body, headers=key).json() == made
    for method, suffix, change in (
        ("POST", "", {"metadata": {"k": "w"}}),
        ("DELETE", "/items/a", None),
        ("DELETE", "/items", {"item_ids": ["b"]}),
    ):
        move_clock(monkeypatch, 10)
        response = client.request(method, path + suffix, json=change)
        assert response.json() == client.get(path).json()
        assert client.get("/conversations").json()["data"] == [response.json()]


def test_a_conversation_begins_with_the_items_it_is_given(client: httpx.Client) -> None:
    items = [{**HELLO, "id": "first"}, {**HELLO, "content": "x" * 100_000}]

    made = client.post("/conversations", json={"items": items, "metadata": {"k": "é"}}).json()
    client.post(f"/conversations/{made['id']}/items", json={"items": [HELLO]}).raise_for_status()

    page = client.get(f"/conversations/{made['id']}/items").json()["data"]
    assert made["metadata"] == {"k": "é"}
    assert [item["content"] for item in page] == [
        HELLO["content"],
        "x" * 100_000,
        HELLO["content"],
    ]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"items": [HELLO] * 21}, "items"),
        ({"items": [{**HELLO, "role": "tool"}]}, "items[0].role"),
        ({"items": {}}, "items"),
        ({"metadata": []}, "metadata"),
        ({"metadata": {"k": 1}}, "metadata.k"),
        ({"metadata": {"k": "v" * 513}}, "metadata.k"),
        ({"metadata": {str(n): "" for n in range(17)}}, "metadata"),
        ([], None),
    ],
)
def test_a_wrong_body_makes_no_conversation(
    body: object, param: str | None, client: httpx.Client
) -> None:
    response = client.post("/conversations", json=body)

    assert (response.status_code, error_of(response)["param"]) == (400, param)


ROUTES = [
    ("GET", "/conversations/{}"),
    ("GET", "/conversations/{}/items"),
    ("GET", "/conversations/{}/items/first"),
    ("POST", "/conversations/{}/items"),
]


@pytest.fixture
def theirs(client: httpx.Client) -> str:
    """Return the id of a conversation of the account of *client*."""
    conversation_id: str = client.post(
        "/conversations", json={"items": [{**HELLO, "id": "first"}]}
    ).json()["id"]
    return conversation_id


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_anothers_conversation_looks_like_a_missing_one(
    method: str, path: str, theirs: str, client: httpx.Client, issue_key: IssueKey
) -> None:
    body = {"items": [HELLO]} if method == "POST" else None
    stranger = {"Authorization": f"Bearer {issue_key('other')}"}

    rejected = client.request(method, path.format(theirs), json=body, headers=stranger)
    missing = client.request(method, path.format("conv_none"), json=body, headers=stranger)

    assert (rejected.status_code, missing.status_code) == (404, 404)
    assert error_of(rejected) == {
        **error_of(missing),
        "message": error_of(missing)["message"].replace("conv_none", theirs),
    }
    assert len(client.get(f"/conversations/{theirs}/items").json()["data"]) == 1


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_end_users_of_one_account_are_strangers(
    method: str, path: str, base_url: str, issue_key: IssueKey
) -> None:
    auth = {"Authorization": f"Bearer {issue_key('acme', may_delegate=True)}"}
    with httpx.Client(base_url=base_url, headers=auth) as client:
        made = client.post(
            "/conversations",
            json={"items": [{**HELLO, "id": "first"}]},
            headers={"X-On-Behalf-Of": "ann"},
        ).json()
        body = {"items": [HELLO]} if method == "POST" else None
        statuses = [
            client.request(
                method,
                path.format(made["id"]),
                json=body,
                headers={"X-On-Behalf-Of": end_user} if end_user else {},
            ).status_code
            for end_user in ("ann", "bob", None)
        ]

    assert statuses == [200, 404, 404]


def test_a_key_without_the_right_may_not_speak_for_end_users(client: httpx.Client) -> None:
    response = client.post("/conversations", headers={"X-On-Behalf-Of": "ann"})

    assert (response.status_code, error_of(response)["code"]) == (403, "delegation_not_allowed")


@pytest.mark.parametrize("end_user", [b"", b"x" * 257, b"a\tb", b"\xe9"])
def test_an_odd_end_user_is_rejected_by_name(
    end_user: bytes, base_url: str, issue_key: IssueKey
) -> None:
    headers = {
        b"Authorization": f"Bearer {issue_key(may_delegate=True)}".encode(),
        b"X-On-Behalf-Of": end_user,
    }

    response = httpx.post(f"{base_url}/conversations", headers=headers)

    assert (response.status_code, error_of(response)["param"]) == (400, "X-On-Behalf-Of")


def test_two_end_users_are_not_one(base_url: str, issue_key: IssueKey) -> None:
    key = issue_key(may_delegate=True)
    headers = [("Authorization", f"Bearer {key}"), *[("X-On-Behalf-Of", "ann")] * 2]

    response = httpx.post(f"{base_url}/conversations", headers=headers)

    assert (response.status_code, error_of(response)["param"]) == (400, "X-On-Behalf-Of")


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Basic YTpi",
        "Bearer a b",
        "Bearer lck_junk",
        "Bearer sk-other",
    ],
)
def test_no_key_and_a_wrong_key_are_rejected_alike(
    authorization: str | None, base_url: str
) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}

    response = httpx.post(f"{base_url}/conversations", headers=headers)

    assert response.status_code == 401
    assert error_of(response) == {
        "message": error_of(response)["message"],
        "type": "authentication_error",
        "param": None,
        "code": "invalid_api_key",
    }
    assert "lck_junk" not in response.text


def test_an_expired_and_a_revoked_key_are_rejected(
    base_url: str, issue_key: IssueKey, api_keys: ApiKeyRepository
) -> None:
    expired = issue_key("a", expires_at=int(time.time()) - 1)
    revoked = issue_key("b")
    api_keys.revoke(next(key.key_id for key in api_keys.list_all() if key.account == "b"))

    for key in (expired, revoked):
        response = httpx.post(
            f"{base_url}/conversations", headers={"Authorization": f"Bearer {key}"}
        )
        assert error_of(response)["code"] == "invalid_api_key"


def test_a_key_does_what_its_scopes_say(base_url: str, issue_key: IssueKey) -> None:
    reader = {"Authorization": f"Bearer {issue_key(scopes=frozenset({'read'}))}"}
    writer = {"Authorization": f"Bearer {issue_key(scopes=frozenset({'write'}))}"}

    made = httpx.post(f"{base_url}/conversations", headers=writer)
    rejected = httpx.post(f"{base_url}/conversations", headers=reader)
    url = f"{base_url}/conversations/{made.json()['id']}"

    assert (rejected.status_code, error_of(rejected)["code"]) == (403, "insufficient_scope")
    assert httpx.get(url, headers=reader).status_code == 200
    assert httpx.get(url, headers=writer).status_code == 403


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/llm/nothing"),
        ("PUT", "/api/v1/llm/conversations"),
        ("GET", "/api/v1/llm/conversations/a/b/c"),
        ("GET", "/api/v1/llm/conversation"),
        ("OPTIONS", "/api/v1/llm/conversations"),
    ],
)
def test_an_unknown_route_is_not_found(method: str, path: str, shared_stack: DevStack) -> None:
    response = httpx.request(method, f"{shared_stack.url}{path}")

    assert (response.status_code, error_of(response)["code"]) == (404, "route_not_found")


def test_a_form_is_rejected_with_its_content_type(client: httpx.Client, conversation: str) -> None:
    response = client.post(f"{conversation}/items", data={"items": "hello"})

    error = error_of(response)
    assert (response.status_code, error["code"], error["param"]) == (400, "invalid_json", None)
    assert str(error["message"]).endswith(
        "The Content-Type is 'application/x-www-form-urlencoded'. Send application/json."
    )


def test_every_response_is_spaced_alike(client: httpx.Client, conversation: str) -> None:
    client.post(f"{conversation}/items", json={"items": [HELLO]}).raise_for_status()
    responses = [
        client.get("/conversations"),
        client.get(conversation),
        client.get(f"{conversation}/items"),
        client.get("/conversations/conv_none"),
        client.delete(conversation),
    ]

    for response in responses:
        assert response.text == json.dumps(
            response.json(), ensure_ascii=False, separators=(",", ":")
        )


UNKNOWN_FIELDS = [
    ("POST", "", {"metadata": {}, "tags": 5}, "tags", "Valid parameters are: metadata."),
    (
        "POST",
        "/items",
        {"items": [HELLO], "metadata": {}},
        "metadata",
        "Valid parameters are: items, include.",
    ),
    ("DELETE", "/items", {"item_id": ["a"]}, "item_id", "Did you mean 'item_ids'?"),
]


@pytest.mark.parametrize("case", UNKNOWN_FIELDS, ids=lambda case: case[3])
def test_an_unknown_field_of_a_body_is_rejected_with_the_nearest_name(
    case: tuple[str, str, Json, str, str], client: httpx.Client, conversation: str
) -> None:
    method, suffix, body, name, hint = case

    response = client.request(method, conversation + suffix, json=body)

    error = error_of(response)
    assert (response.status_code, error["code"], error["param"]) == (400, "unknown_parameter", name)
    assert str(error["message"]).endswith(hint)
    assert client.get(f"{conversation}/items").json()["data"] == []


def test_a_misspelt_field_of_a_create_makes_no_conversation(client: httpx.Client) -> None:
    response = client.post("/conversations", json={"itmes": [HELLO]})

    assert response.status_code == 400
    assert error_of(response)["message"] == (
        "\"itmes\" is not a parameter of this request. Did you mean 'items'?"
    )
    assert client.get("/conversations").json()["data"] == []


def test_an_unknown_field_of_an_item_is_kept(client: httpx.Client, conversation: str) -> None:
    item = {**HELLO, "mood": {"of": "the day"}}

    [kept] = client.post(f"{conversation}/items", json={"items": [item]}).json()["data"]

    assert kept == {**item, "id": kept["id"]}
