"""`conversations purges unfinished`: it finds conversations whose purge failed, and purges them."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from conversations.storage import rows
from conversations.storage.purge import requeue_purge
from conversations.storage.reads import get_conversation_row
from conversations.storage.restore_claim import RestoreClaim
from conversations.storage.transactions import Table
from conversations_cli.__main__ import main
from tests.support.fault_injection import Faults, error_response
from tests.support.http_helpers import HELLO, LARGE
from tests.support.log_lines import module_of
from tests.support.table_rows import count_rows

if TYPE_CHECKING:
    import httpx

    from local.stack import DevStack

LATER = timedelta(hours=1, minutes=1)


@pytest.fixture
def unpurged(stack: DevStack, client: httpx.Client, owner: str) -> str:
    """Return the partition key of a deleted conversation whose purge failed."""
    made = client.post("/conversations", json={"items": [HELLO, LARGE]}).json()["id"]
    retries = stack.template.functions["PurgeFunction"].subscriptions[0].retries
    make_client = module_of(stack, "PurgeFunction").dynamodb_client
    make_client.cache_clear()
    with stack.engine.lock:
        Faults(make_client(), "GetItem").before(
            *[error_response("AccessDeniedException")] * (retries + 1)
        )
    client.delete(f"/conversations/{made}").raise_for_status()
    stack.drain_streams()
    assert count_rows(stack)["b", made] == 1
    return rows.partition(owner, made)


@pytest.fixture(autouse=True)
def an_hour_later(monkeypatch: pytest.MonkeyPatch) -> None:
    class Later(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
            del tz
            return datetime.now(UTC) + LATER

    monkeypatch.setattr("conversations_cli.__main__.datetime", Later)


def run(stack: DevStack, *arguments: str) -> list[str]:
    table = stack.template.name("ConversationsTable")
    with stack.engine.lock:
        result = CliRunner().invoke(main, ["purges", "unfinished", "--table", table, *arguments])
    assert result.exit_code == 0, result.output
    return result.stdout.splitlines()


def test_a_purge_that_was_given_up_is_found_and_done(stack: DevStack, unpurged: str) -> None:
    assert run(stack) == [unpurged]
    assert run(stack, "--hours", "2") == []
    stack.drain_streams()
    assert run(stack, "--again") == [unpurged]
    stack.drain_streams()

    assert run(stack) == []
    assert count_rows(stack) == {("C", unpurged.partition("/")[2]): 1}
    bucket = stack.template.name("PayloadBucket")
    assert stack.resources.s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_what_is_live_or_purged_is_left_alone(
    stack: DevStack, client: httpx.Client, conversation: str
) -> None:
    client.post(f"{conversation}/items", json={"items": [HELLO]})
    gone = client.post("/conversations", json={"items": [HELLO]}).json()["id"]
    client.delete(f"/conversations/{gone}")
    stack.drain_streams()

    assert run(stack, "--again") == []
    assert client.get(conversation).status_code == 200


def test_what_an_expired_conversation_left_is_found_and_purged(
    stack: DevStack, client: httpx.Client, owner: str
) -> None:
    """The conversation row is gone, so no record of the stream starts a purge."""
    made = client.post("/conversations", json={"items": [HELLO, LARGE]}).json()["id"]
    pk = rows.partition(owner, made)
    with stack.engine.lock:
        stack.resources.dynamodb.delete_item(
            TableName=stack.template.name("ConversationsTable"),
            Key=rows.primary_key(pk, rows.CONVERSATION_SK),
        )
    stack.drain_streams()

    assert run(stack, "--again") == [pk]
    stack.drain_streams()

    assert run(stack) == []
    assert count_rows(stack) == {("C", made): 1}
    bucket = stack.template.name("PayloadBucket")
    assert stack.resources.s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_only_an_import_that_began_before_the_cutoff_is_unfinished(
    stack: DevStack, owner: str
) -> None:
    pk = rows.partition(owner, "conv_1")
    table = Table(stack.resources.dynamodb, stack.template.name("ConversationsTable"))
    with stack.engine.lock:
        RestoreClaim(table, pk).put([rows.pointer_row(pk, "x", "0" * 26)])

    assert run(stack, "--hours", "2", "--again") == []
    assert run(stack, "--again") == [pk]
    stack.drain_streams()

    assert count_rows(stack) == {("C", "conv_1"): 1}


def test_the_keys_of_creations_are_no_conversation(stack: DevStack, client: httpx.Client) -> None:
    client.post("/conversations", json={}, headers={"Idempotency-Key": "k"}).raise_for_status()

    assert run(stack) == []


def test_a_live_conversation_is_not_marked(stack: DevStack, conversation: str, owner: str) -> None:
    pk = rows.partition(owner, conversation.rpartition("/")[2])
    table = Table(stack.resources.dynamodb, stack.template.name("ConversationsTable"))

    with stack.engine.lock:
        before = stack.resources.dynamodb.scan(TableName=table.name)["Items"]
        requeue_purge(table, pk)
        after = stack.resources.dynamodb.scan(TableName=table.name)["Items"]

    assert after == before


def test_a_restarted_purge_keeps_the_times_of_the_deletion(
    stack: DevStack, unpurged: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = Table(stack.resources.dynamodb, stack.template.name("ConversationsTable"))

    with stack.engine.lock:
        before = get_conversation_row(table, unpurged)
        later = time.time_ns() + 24 * 3600 * 10**9
        monkeypatch.setattr(time, "time_ns", lambda: later)
        requeue_purge(table, unpurged)
        after = get_conversation_row(table, unpurged)

    assert after == {**(before or {}), "purges": {"N": "1"}}


@pytest.mark.parametrize("options", [[], ["--stack", "s", "--table", "t"]], ids=" ".join)
def test_the_command_wants_the_stack_or_the_table(options: list[str]) -> None:
    result = CliRunner().invoke(main, ["purges", "unfinished", *options])

    assert result.exit_code == 2
    assert "Use one of --stack, --local or --table." in result.output
