"""Keys, and the operator's command line, on moto."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from conversations.__main__ import main
from conversations.api_keys import ApiKeys, hash_key

if TYPE_CHECKING:
    from local.stack import LocalStack


def run(stack: LocalStack, *arguments: str) -> list[dict[str, object]]:
    table = stack.template.name("ApiKeysTable")
    result = CliRunner().invoke(main, ["keys", "--table", table, *arguments])
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.output.splitlines()]


def test_a_key_is_shown_once_and_kept_as_a_hash(stack: LocalStack, api_keys: ApiKeys) -> None:
    key, record = api_keys.create(account="acme", name="test")

    table = stack.template.name("ApiKeysTable")
    kept = str(stack.resources.dynamodb.scan(TableName=table)["Items"])
    assert re.fullmatch(r"lck_[0-9A-Za-z]{49}", key)
    assert key not in kept
    assert key[4:20] not in kept
    assert hash_key(key) in kept
    assert api_keys.verify(key) == record


@pytest.mark.parametrize("place", [4, 20, -1])
def test_a_typing_error_is_found_without_a_read(place: int, api_keys: ApiKeys) -> None:
    key, _ = api_keys.create(account="acme", name="test")
    at = place % len(key)
    wrong = key[:at] + ("a" if key[at] != "a" else "b") + key[at + 1 :]

    assert ApiKeys(None, "no table").verify(wrong) is None  # type: ignore[arg-type] # never called


def test_a_chosen_key_must_not_pretend_to_be_issued(api_keys: ApiKeys) -> None:
    with pytest.raises(ValueError, match="checksum"):
        api_keys.create(account="acme", name="test", key="lck_mine")

    assert api_keys.create(account="acme", name="test", key="mine")[0] == "mine"


def test_an_account_is_an_id(api_keys: ApiKeys) -> None:
    with pytest.raises(ValueError, match="account"):
        api_keys.create(account="a:b", name="test")


def test_the_command_line_creates_lists_and_revokes(stack: LocalStack, api_keys: ApiKeys) -> None:
    [made] = run(
        stack, "create", "--account", "acme", "--name", "ci", "--scope", "read", "--days", "1"
    )
    key = str(made.pop("key"))
    verified = api_keys.verify(key)

    assert verified is not None
    assert (verified.scopes, verified.may_delegate) == (frozenset({"read"}), False)
    assert run(stack, "list") == [made]
    [revoked] = run(stack, "revoke", str(made["key_id"]))
    assert revoked["revoked_at"]
    assert run(stack, "revoke", str(made["key_id"])) == [revoked]
    assert api_keys.verify(key) is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["keys", "list"], "Give either --stack or --table."),
        (["keys", "--table", "{table}", "revoke", "key_none"], "There is no key 'key_none'."),
        (["keys", "--table", "{table}", "create", "--account", "a:b", "--name", "n"], "a:b"),
    ],
)
def test_the_command_line_says_what_is_wrong(
    arguments: list[str], message: str, stack: LocalStack
) -> None:
    table = stack.template.name("ApiKeysTable")

    result = CliRunner().invoke(main, [part.format(table=table) for part in arguments])

    assert result.exit_code != 0
    assert message in result.output
