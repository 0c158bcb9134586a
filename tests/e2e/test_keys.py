"""The deployed authorizer, through HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conversations.auth.api_keys import SCOPES, ApiKeyRepository
from tests.e2e.stacks import CONVERSATIONS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.stacks import Stack


def status(stack: Stack, **headers: str) -> int:
    return stack.request("GET", CONVERSATIONS, **headers).status_code


@pytest.mark.parametrize(
    "header",
    ["lck_0", "Basic eDp5", "Bearer a b", f"Bearer {'x' * 257}", "Bearer lck_0"],
)
def test_what_is_no_key_opens_nothing(stack: Stack, header: str) -> None:
    assert status(stack, Authorization=header) == 401


def test_unknown_key_opens_nothing(stack: Stack) -> None:
    unknown = "lck_" + "0" * 43 + "000000"

    assert status(stack, Authorization=f"Bearer {unknown}") == 401


def test_expired_key_opens_nothing(stack: Stack) -> None:
    table = ApiKeyRepository(stack.cloud.aws("dynamodb"), stack.outputs["ApiKeysTableName"])
    expired, _ = table.create(
        account="acme", name="expired", scopes=SCOPES, may_delegate=False, expires_at=1_700_000_000
    )

    assert status(stack, Authorization=f"Bearer {expired}") == 401


def test_revoked_key_opens_nothing(stack: Stack) -> None:
    created = stack.keys("create", "--account", "acme", "--name", "lost")

    revoked = stack.keys("revoke", created["key_id"])

    assert revoked["revoked_at"]
    assert status(stack, Authorization=f"Bearer {created['key']}") == 401


def test_operator_sees_the_keys_and_not_their_secrets(stack: Stack, key: str) -> None:
    listed = stack.keys("list")

    assert {record["name"] for record in listed} >= {"e2e"}
    assert key not in str(listed)


def test_key_without_the_right_to_it_speaks_for_nobody_else(stack: Stack, key: str) -> None:
    response = stack.request("GET", CONVERSATIONS, key, **{"X-On-Behalf-Of": "user-1"})

    assert response.status_code == 403
    assert response.json()["error"]["code"] == "delegation_not_allowed"


def test_delegated_user_has_conversations_of_its_own(
    stack: Stack, key_with: Callable[..., str]
) -> None:
    delegate = key_with("--delegate")
    made = stack.request("POST", CONVERSATIONS, delegate, {}, **{"X-On-Behalf-Of": "user-1"}).json()
    path = f"{CONVERSATIONS}/{made['id']}"

    assert stack.request("GET", path, delegate, **{"X-On-Behalf-Of": "user-1"}).status_code == 200
    assert stack.request("GET", path, delegate, **{"X-On-Behalf-Of": "user-2"}).status_code == 404
    assert stack.request("GET", path, delegate).status_code == 404
