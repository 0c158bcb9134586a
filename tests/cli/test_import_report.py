"""The counts that `conversations import` reports, and those of its `--dry-run`, on moto."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from conversations import ids
from conversations.errors import ConversationBusyError
from conversations.storage import restore, restore_claim, rows
from conversations.storage.purge import purge_conversation
from conversations_cli import importing
from conversations_cli.importing import Report
from tests.support.commands import done, invoke
from tests.support.stored import World, said

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from click.testing import Result

    from local.resources import Resources

ALL = ("--account", "acme", "--all-end-users")
OWNER = ids.owner_of("acme", "")


@pytest.fixture
def world(ministack: Resources) -> Iterator[World]:
    ministack.recreate()
    with ThreadPoolExecutor(1) as executor:
        yield World(ministack, executor)


@pytest.fixture
def file(world: World, tmp_path: Path) -> Path:
    """Export five conversations; then change the store, and damage the file.

    One is gone for long, one was deleted just now, one lacks a batch of the file, one is as it was,
    and the record of the last one is damaged.
    """
    gone, deleted, _, partial, bad = (
        world.create([said("one"), said("two")], topic=topic) for topic in "gdspb"
    )
    pks = [rows.partition(OWNER, name) for name in (gone, partial)]
    world.append(partial, said("three"), said("four"))
    done("export", *world.at, *ALL, "--out", tmp_path / "whole")
    lines = (tmp_path / "whole").read_text().splitlines(keepends=True)
    ends = [n for n, line in enumerate(lines) if bad in line and line.startswith('{"type":"end"')]
    damaged = [line for n, line in enumerate(lines) if n not in ends]
    (tmp_path / "file").write_text("".join(damaged))
    for row in world.rows():
        is_last_batch = row["pk"]["S"] == pks[1] and row["sk"]["S"].startswith("b#")
        if row["pk"]["S"] == pks[0] or (is_last_batch and b"three" in row["data"]["B"]):
            key = {name: row[name] for name in ("pk", "sk")}
            world.table.dynamodb.delete_item(TableName=world.table.name, Key=key)
    world.store.delete_conversation(OWNER, deleted)
    purge_conversation(world.table, world.payloads, rows.partition(OWNER, deleted), lambda: True)
    return tmp_path / "file"


def run(world: World, file: Path, *options: str) -> tuple[Result, Report]:
    result = invoke("import", *world.at, *ALL, *options, file, "--json")
    return result, Report(**json.loads(result.stdout))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), Report(imported=1, present=2, postponed=1, bad=1, items=2)),
        (("--merge",), Report(imported=1, present=1, completed=1, postponed=1, bad=1, items=4)),
    ],
)
def test_a_dry_run_counts_what_an_import_then_does(
    options: tuple[str, ...], expected: Report, world: World, file: Path
) -> None:
    before = world.rows()

    dry, foreseen = run(world, file, *options, "--dry-run")
    after = world.rows()
    real, happened = run(world, file, *options)

    assert foreseen == happened == expected
    assert after == before
    assert dry.stderr == real.stderr
    assert dry.exit_code == real.exit_code == 1
    assert "deleted here less than 15 minutes ago" in dry.stderr
    assert "the record is truncated" in dry.stderr


def test_the_sentence_tells_later_from_not_valid(world: World, file: Path) -> None:
    dry = invoke("import", *world.at, *ALL, "--dry-run", file).stdout
    real = invoke("import", *world.at, *ALL, file).stdout

    assert dry == (
        "1 new, 2 already present, 0 to complete, 0 expired, 1 to import later, 0 in conflict,"
        " 1 invalid; 2 items would be written.\n"
    )
    assert real == (
        "1 imported, 2 already present, 0 completed, 0 expired, 1 to import later, 0 in conflict,"
        " 1 invalid; 2 items written.\n"
    )


@pytest.mark.parametrize("options", [(), ("--merge",)])
def test_a_conversation_that_is_in_a_file_twice_is_new_once(
    options: tuple[str, ...], world: World, tmp_path: Path
) -> None:
    world.create([said("one")])
    done("export", *world.at, *ALL, "--out", tmp_path / "out")
    header, *record, trailer = (tmp_path / "out").read_text().splitlines(keepends=True)
    (tmp_path / "twice").write_text("".join([header, *record, *record, trailer]))
    world.resources.recreate()

    _, foreseen = run(world, tmp_path / "twice", *options, "--dry-run")
    _, happened = run(world, tmp_path / "twice", *options)

    assert foreseen == happened == Report(imported=1, present=1, items=1)


def test_a_merge_counts_the_items_that_it_added_before_a_conflict(
    world: World, tmp_path: Path
) -> None:
    name = world.create([said("one")])
    done("export", *world.at, *ALL, "--out", tmp_path / "old")
    world.append(name, said("two"), said("three"))
    world.append(name, said("four", id="mine"))
    done("export", *world.at, *ALL, "--out", tmp_path / "new")
    world.resources.recreate()
    done("import", *world.at, *ALL, tmp_path / "old")
    world.append(name, said("other", id="mine"))

    result, report = run(world, tmp_path / "new", "--merge")

    assert report == Report(conflicting=1, items=2)
    assert (result.exit_code, "already has items with these ids" in result.stderr) == (1, True)


def test_an_expired_conversation_is_counted_by_a_dry_run(world: World, tmp_path: Path) -> None:
    world.create([said("one")])
    done("export", *world.at, *ALL, "--out", tmp_path / "out")
    header, first, *rest = (tmp_path / "out").read_text().splitlines(keepends=True)
    expired = json.dumps({**json.loads(first), "expires_at": int(time.time()) - 9})
    (tmp_path / "old").write_text("".join([header, f"{expired}\n", *rest]))

    assert run(world, tmp_path / "old", "--dry-run")[1] == Report(expired=1)


def test_a_conversation_that_is_deleted_during_a_merge_is_postponed(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = world.create([said("one")])
    done("export", *world.at, *ALL, "--out", tmp_path / "out")

    def deleted_after(*given: Any) -> bool:
        is_new = restore.restore(*given)
        world.store.delete_conversation(OWNER, name)
        return is_new

    monkeypatch.setattr(importing, "restore", deleted_after)
    result, report = run(world, tmp_path / "out", "--merge")

    assert report == Report(postponed=1)
    assert "was deleted during the import" in result.stderr


def test_a_conversation_that_conflicts_until_the_end_is_postponed(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.create([said("one")])
    done("export", *world.at, *ALL, "--out", tmp_path / "out")
    world.resources.recreate()

    def conflict(*_: Any) -> bool:
        raise ConversationBusyError

    monkeypatch.setattr(restore_claim.RestoreClaim, "commit", conflict)
    result, report = run(world, tmp_path / "out")

    assert report == Report(postponed=1)
    assert "other requests keep changing the conversation" in result.stderr
