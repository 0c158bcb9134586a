"""Memory of an export, on MiniStack: it does not depend on the number of items.

`EXPORT_ITEMS=1000000 .venv/bin/pytest -n0 tests/cli/test_export_size.py -k account` exports an
account of a million items. MiniStack reads a partition from its start for each page, so that a
conversation of half a million took 33 minutes there.
"""

from __future__ import annotations

import itertools
import os
import random
import tracemalloc
from typing import TYPE_CHECKING, Any

from conversations import ids
from conversations.model import Conversation
from conversations.storage import payloads, rows
from conversations.storage.purge import BATCH_WRITE_MAX
from conversations.storage.transactions import Table
from conversations_cli import export as exporting
from conversations_cli import importing
from tests.support.commands import done, names_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

    from local.resources import Resources

ITEMS = int(os.environ.get("EXPORT_ITEMS", "8000"))
BATCH_ITEMS = 20
CONVERSATION_ITEMS = 2000
"""Items of each conversation of an account."""
MARGIN_BYTES = 1_000_000
"""More than the difference between two runs, and less than that between the files."""


def fill(
    table: Table, name: str, count: int, account: str = "acme", *, has_deletions: bool = False
) -> None:
    """Write a conversation of *count* items without transactions.

    An export reads the batches of one with *has_deletions* twice.
    """
    owner = ids.owner_of(account, name)
    made = Conversation.new(f"conv_{name}", owner, account, 1_700_000_000_000, {})
    pk = rows.partition(owner, made.conversation_id)
    text = random.Random(0).randbytes(400).hex()  # noqa: S311 - the same each time
    lines = [
        f'{{"type":"message","role":"user","content":"{text[index:]}{text[:index]}"}}'
        for index in range(BATCH_ITEMS)
    ]
    payload = payloads.Payload("json", len("\n".join(lines)), "\n".join(lines).encode())
    start = 1_700_000_000_000
    keys = [
        ids.sequence_keys((start + index) << 64, BATCH_ITEMS)
        for index in range(count // BATCH_ITEMS)
    ]
    children = (rows.batch_row(pk, batch[0], BATCH_ITEMS, payload) for batch in keys)
    for some in itertools.batched(children, BATCH_WRITE_MAX, strict=False):
        puts: Any = [{"PutRequest": {"Item": row}} for row in some]
        table.dynamodb.batch_write_item(RequestItems={table.name: puts})
    row = rows.conversation_row(made, [keys[-1][-1]])
    if has_deletions:
        row["deletions"] = rows.number(1)
    table.dynamodb.put_item(TableName=table.name, Item=row)


def peak_of(*arguments: str | Path) -> int:
    """Return the peak of Python's memory during a command."""
    tracemalloc.reset_peak()
    before, _ = tracemalloc.get_traced_memory()
    done(*arguments)
    _, peak = tracemalloc.get_traced_memory()
    return peak - before


def test_memory_does_not_grow_with_the_conversation(
    ministack: Resources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "SPOOL_BYTES", 10_000)
    monkeypatch.setattr(importing, "SPOOL_BYTES", 10_000)
    ministack.recreate()
    table = Table(ministack.dynamodb, ministack.template.name("ConversationsTable"))
    at = names_of(ministack)
    scopes = {name: ("--account", "acme", "--end-user", name) for name in ("warm", "few", "many")}
    fill(table, "warm", 100, has_deletions=True)
    fill(table, "few", ITEMS // 2, has_deletions=True)
    fill(table, "many", ITEMS, has_deletions=True)
    tracemalloc.start()
    try:
        exports = {
            name: peak_of("export", *at, *scope, "--out", tmp_path / name)
            for name, scope in scopes.items()
        }
        ministack.recreate()
        imports = {
            name: peak_of("import", *at, *scope, tmp_path / name) for name, scope in scopes.items()
        }
    finally:
        tracemalloc.stop()

    assert (tmp_path / "many").stat().st_size > (tmp_path / "few").stat().st_size + MARGIN_BYTES
    assert exports["many"] < exports["few"] + MARGIN_BYTES
    assert imports["many"] < imports["few"] + MARGIN_BYTES
    done("export", *at, *scopes["many"], "--out", tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "many").read_bytes()


def test_memory_does_not_grow_with_the_account(
    ministack: Resources, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    ministack.recreate()
    table = Table(ministack.dynamodb, ministack.template.name("ConversationsTable"))
    at = names_of(ministack)
    for account, items in (("warm", CONVERSATION_ITEMS), ("few", ITEMS // 2), ("many", ITEMS)):
        for number in range(items // CONVERSATION_ITEMS):
            fill(table, f"user{number}", CONVERSATION_ITEMS, account)
    peaks: dict[str, int] = {}
    tracemalloc.start()
    try:
        for account in ("warm", "few", "many"):
            scope = ("--account", account, "--all-end-users", "--out", tmp_path / account)
            peaks[account] = peak_of("export", *at, *scope)
    finally:
        tracemalloc.stop()

    assert (tmp_path / "many").stat().st_size > (tmp_path / "few").stat().st_size + MARGIN_BYTES
    assert peaks["many"] < peaks["few"] + MARGIN_BYTES
    record_property("bytes of memory that the export of an account took", peaks["many"])
