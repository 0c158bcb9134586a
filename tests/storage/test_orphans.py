"""Objects that no row names, and the command that lists and removes them, on moto."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from conversations.storage.payloads import PayloadStore
from conversations.storage.purge import find_orphans
from conversations.storage.restore_claim import RestoreClaim
from conversations.storage.transactions import Table
from conversations_cli.__main__ import main
from tests.support.http_helpers import LARGE

if TYPE_CHECKING:
    import httpx

    from local.stack import DevStack

TOMORROW = timedelta(days=1)


def put_orphan(stack: DevStack, folder: str) -> str:
    key = f"{folder}/orphan"
    with stack.engine.lock:
        stack.resources.s3.put_object(Bucket=bucket_of(stack), Key=key, Body=b"{}")
    return key


def bucket_of(stack: DevStack) -> str:
    return stack.template.name("PayloadBucket")


def keys_of(stack: DevStack) -> list[str]:
    with stack.engine.lock:
        listed = stack.resources.s3.list_objects_v2(Bucket=bucket_of(stack))
    return [entry["Key"] for entry in listed.get("Contents", [])]


def orphans_in(stack: DevStack, moment: datetime) -> list[str]:
    table = Table(stack.resources.dynamodb, stack.template.name("ConversationsTable"))
    with ThreadPoolExecutor(1) as executor, stack.engine.lock:
        bucket = PayloadStore(bucket_of(stack), lambda: stack.resources.s3, executor)
        return [*find_orphans(table, bucket, moment)]


def run(stack: DevStack, *arguments: str) -> list[str]:
    table = stack.template.name("ConversationsTable")
    at = ["--table", table, "--bucket", bucket_of(stack)]
    with stack.engine.lock:
        result = CliRunner().invoke(main, ["objects", "orphans", *at, *arguments])
    assert result.exit_code == 0, result.output
    return result.stdout.splitlines()


def age(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the command's clock to tomorrow."""

    class Tomorrow(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
            del tz
            return datetime.now(UTC) + TOMORROW + timedelta(minutes=1)

    monkeypatch.setattr("conversations_cli.__main__.datetime", Tomorrow)


def test_an_object_that_a_row_names_is_no_orphan(
    stack: DevStack, client: httpx.Client, conversation: str
) -> None:
    client.post(f"{conversation}/items", json={"items": [LARGE, LARGE]}).raise_for_status()
    [folder] = {key.rpartition("/")[0] for key in keys_of(stack)}
    orphans = [put_orphan(stack, folder), put_orphan(stack, "owner/conv_never")]

    assert orphans_in(stack, datetime.now(UTC) + TOMORROW) == sorted(orphans)


def test_an_object_of_an_import_under_way_is_no_orphan(stack: DevStack) -> None:
    """The import may be suspended for longer than any request takes."""
    put_orphan(stack, "owner/conv_1")
    table = Table(stack.resources.dynamodb, stack.template.name("ConversationsTable"))
    with stack.engine.lock:
        RestoreClaim(table, "owner/conv_1")

    assert orphans_in(stack, datetime.now(UTC) + TOMORROW) == []


def test_an_object_of_a_request_under_way_is_no_orphan(stack: DevStack) -> None:
    put_orphan(stack, "owner/conv_1")

    assert run(stack) == []


def test_the_command_lists_orphans_and_removes_them_on_request(
    stack: DevStack, client: httpx.Client, conversation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.post(f"{conversation}/items", json={"items": [LARGE]}).raise_for_status()
    kept = keys_of(stack)
    orphan = put_orphan(stack, "owner/conv_1")
    age(monkeypatch)

    assert run(stack, "--hours", "48") == []
    assert run(stack) == [orphan]
    assert run(stack, "--delete") == [orphan]
    assert keys_of(stack) == kept


@pytest.mark.parametrize(
    "options",
    [[], ["--table", "t"], ["--bucket", "b"], ["--stack", "s", "--table", "t", "--bucket", "b"]],
    ids=" ".join,
)
def test_the_command_wants_the_stack_or_both_names(options: list[str]) -> None:
    result = CliRunner().invoke(main, ["objects", "orphans", *options])

    assert result.exit_code == 2
    assert "Use one of --stack, --local, or --table with --bucket." in result.output
