"""Decisions of the authorizer for each kind of key, and the time until they change."""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import TYPE_CHECKING

import httpx
import pytest

from conversations.auth.api_keys import SCOPES, ApiKeyRepository, Scope
from conversations.auth.key_format import hash_key, new_key
from local.stack import DevStack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.issue_key import IssueKey

type Outcome = tuple[int, str | None]

ROUTES: dict[str, tuple[Scope, str, Outcome]] = {
    "GET": ("read", "/conversations", (200, None)),
    "POST": ("write", "/conversations", (200, None)),
    "DELETE": ("delete", "/conversations/conv_none", (404, "conversation_not_found")),
}
"""By method: the scope it needs, a path, and the service's response if the key is valid."""
SUBSETS = [
    frozenset(chosen) for n in range(4) for chosen in itertools.combinations(sorted(SCOPES), n)
]
INVALID_KEY: Outcome = (401, "invalid_api_key")


def send(base_url: str, method: str, header: str | None, *, delegates: bool = False) -> Outcome:
    headers = {} if header is None else {"Authorization": header}
    if delegates:
        headers["X-On-Behalf-Of"] = "user_1"
    response = httpx.request(method, f"{base_url}{ROUTES[method][1]}", headers=headers)
    body = response.json()
    return response.status_code, body["error"]["code"] if "error" in body else None


def expected(method: str, scopes: frozenset[Scope], *, may: bool, delegates: bool) -> Outcome:
    scope, _, behind = ROUTES[method]
    if scope not in scopes:
        return 403, "insufficient_scope"
    return (403, "delegation_not_allowed") if delegates and not may else behind


def keep_scopes(stack: DevStack, key: str, scopes: frozenset[Scope]) -> None:
    """Replace a key's scopes; instead of none, store one that this release does not know."""
    with stack.engine.lock:
        stack.resources.dynamodb.update_item(
            TableName=stack.template.name("ApiKeysTable"),
            Key={"key_hash": {"S": hash_key(key)}},
            UpdateExpression="SET scopes = :scopes",
            ExpressionAttributeValues={":scopes": {"SS": [*scopes] or ["future"]}},
        )


@pytest.mark.parametrize("scopes", SUBSETS, ids=lambda scopes: "+".join(sorted(scopes)) or "none")
@pytest.mark.parametrize("may", [True, False], ids=["may-delegate", "may-not"])
def test_a_live_key_does_what_its_scopes_and_its_right_say(
    scopes: frozenset[Scope], *, may: bool, stack: DevStack, base_url: str, issue_key: IssueKey
) -> None:
    key = issue_key(may_delegate=may)
    keep_scopes(stack, key, scopes)

    for method, delegates in itertools.product(ROUTES, [True, False]):
        response = send(base_url, method, f"Bearer {key}", delegates=delegates)
        assert response == expected(method, scopes, may=may, delegates=delegates)


@pytest.mark.parametrize("scopes", SUBSETS, ids=lambda scopes: "+".join(sorted(scopes)) or "none")
@pytest.mark.parametrize("state", ["expired", "revoked"])
@pytest.mark.parametrize("may", [True, False], ids=["may-delegate", "may-not"])
def test_a_key_that_has_ended_is_rejected_whatever_it_could(  # noqa: PLR0913 - a matrix
    scopes: frozenset[Scope],
    state: str,
    *,
    may: bool,
    stack: DevStack,
    base_url: str,
    api_keys: ApiKeyRepository,
) -> None:
    past = 1 if state == "expired" else None
    key, record = api_keys.create(account="a", name="n", may_delegate=may, expires_at=past)
    keep_scopes(stack, key, scopes)
    if state == "revoked":
        api_keys.revoke(record.key_id)

    for method, delegates in itertools.product(ROUTES, [True, False]):
        assert send(base_url, method, f"Bearer {key}", delegates=delegates) == INVALID_KEY


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR"])
def test_the_scheme_is_known_in_any_case(scheme: str, base_url: str, issue_key: IssueKey) -> None:
    assert send(base_url, "GET", f"{scheme} {issue_key()}")[0] == 200


@pytest.mark.parametrize(
    "header",
    [
        pytest.param(None, id="none"),
        pytest.param("", id="empty"),
        pytest.param("Bearer", id="no key"),
        pytest.param(f"Basic {new_key()}", id="another scheme"),
        pytest.param(new_key(), id="no scheme"),
        pytest.param(f"Bearer {new_key()}", id="unknown"),
        pytest.param(f"Bearer {new_key()[:-1]}-", id="mistyped"),
        pytest.param(f"Bearer {new_key()} {new_key()}", id="two keys"),
        pytest.param(f"Bearer {'x' * 257}", id="long"),
    ],
)
def test_what_is_no_key_is_rejected(header: str | None, base_url: str) -> None:
    for method, delegates in itertools.product(ROUTES, [True, False]):
        assert send(base_url, method, header, delegates=delegates) == INVALID_KEY


class Clock:
    """Clock of the gateway's cache and of the authorizer, in seconds."""

    def __init__(self) -> None:
        self.passed = 0.0

    def monotonic(self) -> float:
        return self.passed

    def time(self) -> float:
        return 1_764_000_000 + self.passed


@pytest.fixture(scope="module")
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def timed_stack(clock: Clock) -> Iterator[DevStack]:
    with DevStack.start(engine="moto", clock=clock.monotonic) as stack:
        yield stack


@pytest.fixture
def timed_url(timed_stack: DevStack, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> str:
    timed_stack.reset()
    monkeypatch.setattr("conversations.auth.api_keys.time", SimpleNamespace(time=clock.time))
    return f"{timed_stack.url}/api/v1/llm"


@pytest.fixture
def timed_keys(timed_stack: DevStack) -> ApiKeyRepository:
    return ApiKeyRepository(
        timed_stack.resources.dynamodb, timed_stack.template.name("ApiKeysTable")
    )


def is_let_in(url: str, key: str) -> bool:
    return send(url, "GET", f"Bearer {key}") == (200, None)


def test_a_revoked_key_is_rejected_after_a_minute(
    timed_url: str, timed_keys: ApiKeyRepository, clock: Clock
) -> None:
    key, record = timed_keys.create(account="a", name="n")
    assert is_let_in(timed_url, key)
    timed_keys.revoke(record.key_id)

    clock.passed += 59
    assert is_let_in(timed_url, key)
    clock.passed += 1
    assert not is_let_in(timed_url, key)


def test_a_revoked_key_that_was_not_in_use_is_rejected_at_once(
    timed_url: str, timed_keys: ApiKeyRepository
) -> None:
    key, record = timed_keys.create(account="a", name="n")
    timed_keys.revoke(record.key_id)

    assert not is_let_in(timed_url, key)


def test_both_keys_of_a_rotation_are_valid_until_the_overlap_is_over(
    timed_url: str, timed_keys: ApiKeyRepository, clock: Clock
) -> None:
    old, record = timed_keys.create(account="a", name="n")
    rotated = timed_keys.rotate(record.key_id, overlap_seconds=3_600)
    assert rotated is not None
    new, _ = rotated

    for seconds, opens in ((0, {old, new}), (3_599, {old, new}), (1, {old, new}), (60, {new})):
        clock.passed += seconds
        assert {key for key in (old, new) if is_let_in(timed_url, key)} == opens


def test_a_rotation_without_an_overlap_ends_the_old_key_within_a_minute(
    timed_url: str, timed_keys: ApiKeyRepository, clock: Clock
) -> None:
    old, record = timed_keys.create(account="a", name="n")
    assert is_let_in(timed_url, old)
    rotated = timed_keys.rotate(record.key_id, overlap_seconds=0)
    assert rotated is not None

    clock.passed += 60
    assert [is_let_in(timed_url, key) for key in (old, rotated[0])] == [False, True]
