"""Repository of API keys, on moto."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError

from conversations.auth.api_keys import ApiKey, ApiKeyRepository
from conversations.auth.key_format import hash_key
from tests.support.fault_injection import CANCELED, Faults, error_response, lost_response

if TYPE_CHECKING:
    from local.stack import DevStack


def test_a_key_is_shown_once_and_kept_as_a_hash(
    stack: DevStack, api_keys: ApiKeyRepository
) -> None:
    key, record = api_keys.create(account="acme", name="test")

    table = stack.template.name("ApiKeysTable")
    kept = str(stack.resources.dynamodb.scan(TableName=table)["Items"])
    assert re.fullmatch(r"lck_[0-9A-Za-z]{49}", key)
    assert key not in kept
    assert key[4:20] not in kept
    assert hash_key(key) in kept
    assert api_keys.verify(key) == record


@pytest.mark.parametrize("index", [4, 20, -1])
def test_a_typing_error_is_found_without_a_read(index: int, api_keys: ApiKeyRepository) -> None:
    key, _ = api_keys.create(account="acme", name="test")
    at = index % len(key)
    wrong = key[:at] + ("a" if key[at] != "a" else "b") + key[at + 1 :]

    assert ApiKeyRepository(None, "no table").verify(wrong) is None  # type: ignore[arg-type] # never called


def test_a_chosen_key_must_not_pretend_to_be_issued(api_keys: ApiKeyRepository) -> None:
    with pytest.raises(ValueError, match="checksum"):
        api_keys.create(account="acme", name="test", key="lck_mine")

    assert api_keys.create(account="acme", name="test", key="mine")[0] == "mine"


def test_an_account_is_an_id(api_keys: ApiKeyRepository) -> None:
    with pytest.raises(ValueError, match="account"):
        api_keys.create(account="a:b", name="test")


def test_a_key_has_a_scope(api_keys: ApiKeyRepository) -> None:
    with pytest.raises(ValueError, match="scope"):
        api_keys.create(account="acme", name="test", scopes=frozenset())


def test_a_rotated_key_lives_as_long_as_the_old_one_was_given(
    api_keys: ApiKeyRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, old = api_keys.create(account="acme", name="test", expires_at=int(time.time()) + 1_000)
    later = SimpleNamespace(time=lambda: old.created_at + 600)
    monkeypatch.setattr("conversations.auth.api_keys.time", later)

    rotated = api_keys.rotate(old.key_id, overlap_seconds=86_400)

    assert rotated is not None
    assert rotated[1].expires_at == old.created_at + 600 + life_of(old)
    assert api_keys.find(old.key_id) == replace(old, replaced_by=rotated[1].key_id)


def test_of_two_rotations_at_once_one_is_done(stack: DevStack, api_keys: ApiKeyRepository) -> None:
    _, old = api_keys.create(account="acme", name="test")
    rivals = iter([lambda: api_keys.rotate(old.key_id, overlap_seconds=60)])
    events, event = stack.resources.dynamodb.meta.events, "before-call.dynamodb.TransactWriteItems"

    def let_a_rival_be_first(**_: object) -> None:
        if rival := next(rivals, None):
            rival()

    events.register(event, let_a_rival_be_first)
    rotated = api_keys.rotate(old.key_id, overlap_seconds=60)
    events.unregister(event, let_a_rival_be_first)

    assert rotated is None
    assert len([*api_keys.list_all()]) == 2


@pytest.mark.parametrize("code", ["TransactionConflict", "ThrottlingError"])
def test_a_rotation_that_aws_cancels_is_no_conflict(
    code: str, stack: DevStack, api_keys: ApiKeyRepository
) -> None:
    _, old = api_keys.create(account="acme", name="test")
    faults = Faults(stack.resources.dynamodb, "TransactWriteItems")
    faults.before(error_response(CANCELED, code, "None"))

    with pytest.raises(ClientError, match=CANCELED):
        api_keys.rotate(old.key_id, overlap_seconds=60)

    assert [*api_keys.list_all()] == [old]


def test_the_table_shows_whether_a_rotation_without_a_response_took_effect(
    stack: DevStack, api_keys: ApiKeyRepository
) -> None:
    _, old = api_keys.create(account="acme", name="test")
    faults = Faults(stack.resources.dynamodb, "TransactWriteItems")

    faults.before(lost_response())
    with pytest.raises(ConnectionClosedError):
        api_keys.rotate(old.key_id, overlap_seconds=60)
    faults.after(lost_response())
    rotated = api_keys.rotate(old.key_id, overlap_seconds=60)

    assert rotated
    assert api_keys.verify(rotated[0]) == rotated[1]
    assert len([*api_keys.list_all()]) == 2


def test_a_rotation_says_that_its_response_was_lost_if_the_table_cannot_be_read(
    stack: DevStack, api_keys: ApiKeyRepository
) -> None:
    _, old = api_keys.create(account="acme", name="test")
    Faults(stack.resources.dynamodb, "TransactWriteItems").after(lost_response())
    Faults(stack.resources.dynamodb, "GetItem").before(error_response("AccessDeniedException"))

    with pytest.raises(ConnectionClosedError):
        api_keys.rotate(old.key_id, overlap_seconds=60)


@pytest.mark.parametrize("state", ["revoked", "expired", "rotated", "unknown"])
def test_what_is_not_live_is_not_rotated(state: str, api_keys: ApiKeyRepository) -> None:
    past = int(time.time()) - 1 if state == "expired" else None
    _, old = api_keys.create(account="acme", name="test", expires_at=past)
    if state == "revoked":
        api_keys.revoke(old.key_id)
    if state == "rotated":
        api_keys.rotate(old.key_id, overlap_seconds=60)
    before = [*api_keys.list_all()]

    key_id = "key_none" if state == "unknown" else old.key_id
    assert api_keys.rotate(key_id, overlap_seconds=60) is None
    assert [*api_keys.list_all()] == before


def life_of(key: ApiKey) -> int:
    assert key.expires_at is not None
    return key.expires_at - key.created_at
