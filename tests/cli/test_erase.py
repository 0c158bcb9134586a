"""`conversations erase`, on moto: it deletes everything, and its receipt lists that."""

from __future__ import annotations

import itertools
import json
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from conversations import ids
from conversations.storage import backoff
from conversations.storage.purge import purge_conversation
from conversations.storage.scan import scan_index
from conversations_cli import erase as erasing
from conversations_cli.command_line import Aws
from tests.support.commands import client_of_commands, done, invoke, json_of
from tests.support.fault_injection import CANCELED, Faults, error_response
from tests.support.http_helpers import NOISE
from tests.support.stored import World, said

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from local.resources import Resources

ALL = ("--account", "acme", "--all-end-users", "--yes")


@pytest.fixture
def world(ministack: Resources, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[World]:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    ministack.recreate()
    with ThreadPoolExecutor(1) as executor:
        world = World(ministack, executor)
        # The purge runs while the command waits.
        slept(monkeypatch, lambda _: purge(world))
        yield world


def slept(
    monkeypatch: pytest.MonkeyPatch,
    sleep: Callable[[float], object],
    monotonic: Callable[[], float] = time.monotonic,
) -> None:
    """Call a function when the command would sleep; other threads still sleep."""
    clock = SimpleNamespace(sleep=sleep, monotonic=monotonic)
    monkeypatch.setattr(erasing, "time", clock)


def purge(world: World) -> None:
    for row in world.rows():
        if "deleted_at" in row:
            purge_conversation(world.table, world.payloads, row["pk"]["S"], lambda: True)


def fill(world: World) -> list[str]:
    return [
        world.create([said("one", id="own")], [said(NOISE)]),
        world.create([said("two")], owner="ann"),
        world.create(owner="bob"),
    ]


def live(world: World) -> set[str]:
    return {row["pk"]["S"] for row in world.rows() if "owner" in row}


def journals(tmp_path: Path) -> list[Path]:
    return [*(tmp_path / "config" / "conversations").glob("*")]


def test_nothing_is_left_of_an_account(world: World, tmp_path: Path) -> None:
    fill(world)

    receipt = json_of("erase", *world.at, *ALL)

    assert {row["sk"]["S"] for row in world.rows()} == {"C"}
    assert not any({"owner", "account", "metadata"} & row.keys() for row in world.rows())
    assert (live(world), world.objects()) == (set(), [])
    assert (receipt["account"], receipt["owner"], receipt["conversations"]) == ("acme", None, 3)
    assert receipt["started_at"] <= receipt["verified_at"]
    assert journals(tmp_path) == []


def test_an_end_users_are_erased_and_nobody_elses(world: World) -> None:
    mine, _, bobs = fill(world)

    receipt = json_of("erase", *world.at, "--account", "acme", "--end-user", "ann", "--yes")

    assert {pk.partition("/")[2] for pk in live(world)} == {mine, bobs}
    assert (receipt["conversations"], receipt["owner"]) == (1, ids.owner_of("acme", "ann"))
    assert len(world.listed(mine)) == 2


def test_the_receipt_is_for_people_too(world: World) -> None:
    fill(world)

    lines = done("erase", *world.at, *ALL).stdout.splitlines()

    assert lines[0] == "Erased 3 conversations of account 'acme' and all its end users."
    assert "Verified at " in lines[1]
    assert lines[2] == "Rows cannot be restored: point-in-time recovery is disabled."
    assert lines[3] == "No versions of deleted objects are kept."


def test_the_receipt_says_until_when_rows_can_be_restored(world: World) -> None:
    world.resources.dynamodb.update_continuous_backups(
        TableName=world.table.name,
        PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True},
    )

    receipt = json_of("erase", *world.at, *ALL)

    until = datetime.fromisoformat(receipt["rows_restorable_until"]) - datetime.now(UTC)
    assert timedelta(days=34, hours=23) < until < timedelta(days=35, hours=1)


def rule(days: int | None, **fields: object) -> dict[str, Any]:
    """Return a lifecycle rule that removes old versions after so many days, or removes none."""
    kept = {} if days is None else {"NoncurrentVersionExpiration": {"NoncurrentDays": days}}
    return {"Status": "Enabled", "Filter": {"Prefix": ""}, **kept, **fields}


@pytest.mark.parametrize(
    ("versioning", "rules", "days", "sentence"),
    [
        (None, [rule(7)], None, "No versions of deleted objects are kept."),
        ("Enabled", [rule(None, Expiration={"Days": 400}), rule(7)], 7, "at least until 20"),
        ("Suspended", [rule(7)], 7, "at least until 20"),
        ("Enabled", [rule(7), rule(9, Status="Disabled")], 7, "at least until 20"),
        ("Enabled", [rule(7), rule(9)], 9, "at least until 20"),
        ("Enabled", [rule(7, Filter={})], 7, "at least until 20"),
        ("Enabled", [rule(7, Filter={"Prefix": "a"})], "forever", "are kept forever: no"),
        ("Enabled", [rule(7, Filter={}, Prefix="a")], "forever", "are kept forever: no"),
        ("Enabled", [rule(7, Status="Disabled")], "forever", "are kept forever: no"),
        ("Enabled", None, "forever", "are kept forever: no lifecycle rule removes them."),
    ],
)
def test_the_receipt_says_until_when_objects_can_be_restored(
    versioning: str | None,
    rules: list[Any] | None,
    days: int | str | None,
    sentence: str,
    world: World,
) -> None:
    fill(world)
    ok = {"ResponseMetadata": {"HTTPStatusCode": 200}}
    none = error_response("NoSuchLifecycleConfiguration")
    s3 = client_of_commands("s3")
    status = {"Status": versioning} if versioning else {}
    Faults(s3, "GetBucketVersioning").before({**ok, **status}, {**ok, **status})
    lifecycle = none if rules is None else {**ok, "Rules": rules}
    lifecycles = Faults(s3, "GetBucketLifecycleConfiguration")
    lifecycles.before(lifecycle, lifecycle)

    text = done("erase", *world.at, *ALL).stdout
    until = json_of("erase", *world.at, *ALL)["objects_restorable_until"]
    lifecycles.before()

    assert sentence in text
    if isinstance(days, int):
        moment = datetime.fromisoformat(until)
        assert until.endswith("T00:00:00Z")
        assert timedelta(days=days) < moment - datetime.now(UTC) <= timedelta(days=days + 1)
    else:
        assert until == days


@pytest.mark.parametrize("is_account", [True, False])
@pytest.mark.parametrize("scope", [ALL, (*ALL[:2], "--yes")])
def test_an_erasure_waits_for_both_indexes(
    is_account: bool,  # noqa: FBT001 - a parameter of the test
    scope: tuple[str, ...],
    world: World,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mine, *_ = fill(world)
    owner = ids.owner_of("acme", "")
    sleeps = itertools.count(1)
    waited: list[int] = []

    def purge_and_count(_: float) -> None:
        purge(world)
        waited.append(next(sleeps))

    def scan_late(table: Any, account: str, of_owner: str | None) -> Iterator[str]:
        yield from scan_index(table, account, of_owner)
        is_stale = f"{owner}/{mine}" not in live(world) and len(waited) < 3
        if is_stale and of_owner == (None if is_account else owner):
            yield f"{owner}/{mine}"

    monkeypatch.setattr(erasing, "scan_index", scan_late)
    slept(monkeypatch, purge_and_count)

    done("erase", *world.at, *scope)

    assert len(waited) == 3


def test_it_asks_first(world: World, tmp_path: Path) -> None:
    fill(world)

    result = invoke("erase", *world.at, "--account", "acme", "--all-end-users")

    assert result.exit_code == 1
    assert (
        "Permanently delete 3 conversations of account 'acme' and all its end users?"
        in result.stderr
    )
    assert len(live(world)) == 3
    assert journals(tmp_path) == []


def test_an_interrupted_erasure_goes_on(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(world)

    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        slept(patch, interrupt)
        stopped = invoke("erase", *world.at, *ALL)
    [journal] = journals(tmp_path)
    world.create([said("later")])

    receipt = json_of("erase", *world.at, *ALL)

    assert (stopped.exit_code, "Aborted!" in stopped.stderr) == (1, True)
    assert receipt["conversations"] == 4
    assert {row["sk"]["S"] for row in world.rows()} == {"C"}
    assert not journal.exists()


@pytest.mark.parametrize("torn", ["2026-01-01T00:00:00Z\n0123456789abc", "2026-01-"])
def test_an_erasure_goes_on_that_was_killed_while_it_wrote(
    torn: str, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(world)
    with monkeypatch.context() as patch:
        patch.setattr(erasing, "_delete", lambda *_: 1 / 0)
        invoke("erase", *world.at, *ALL)
    [journal] = journals(tmp_path)
    journal.write_text(torn)

    assert json_of("erase", *world.at, *ALL)["conversations"] == 3
    assert not journal.exists()


def test_conversations_created_meanwhile_are_reported(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(world)
    created = iter([True])

    def purge_late(_: float) -> None:
        if next(created, False):
            world.create([said("late")])
        purge(world)

    slept(monkeypatch, purge_late)

    first = json_of("erase", *world.at, *ALL)
    world.create([said("later")])
    created = iter([True])
    output = done("erase", *world.at, *ALL).stdout
    second = done("erase", *world.at, *ALL).stdout

    assert (first["conversations"], first["created_meanwhile"]) == (3, 1)
    assert "Not erased: 1 conversation created during the erasure." in output
    assert second.startswith("Erased 1 conversation of")
    assert "Not erased" not in second
    assert live(world) == set()


def test_an_erasure_does_not_end_while_something_is_left(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(world)
    clock = itertools.count(0, 400)
    slept(monkeypatch, lambda _: None, lambda: next(clock))

    result = invoke("erase", *world.at, *ALL)

    assert result.exit_code == 1
    assert "The purge of 2 conversations is unfinished" in result.stderr
    assert len(journals(tmp_path)) == 1


def test_what_somebody_else_deletes_meanwhile_is_erased_too(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, *_ = fill(world)
    scan = scan_index
    calls = iter([True])

    def scan_late(*given: Any) -> Any:
        found = [*scan(*given)]
        if next(calls, False):
            world.store.delete_conversation(ids.owner_of("acme", ""), mine)
        return found

    monkeypatch.setattr(erasing, "scan_index", scan_late)

    assert json_of("erase", *world.at, *ALL)["conversations"] == 3


@pytest.mark.parametrize(("conflicts", "is_erased"), [(1, True), (99, False)])
def test_a_conversation_that_others_keep_changing_is_deleted_later(
    conflicts: int,
    is_erased: bool,  # noqa: FBT001 - a parameter of the test
    world: World,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fill(world)
    monkeypatch.setattr(backoff, "RETRY_SECONDS", 0)
    conflict = error_response(CANCELED, "TransactionConflict", "None")
    faults = Faults(client_of_commands("dynamodb"), "TransactWriteItems")
    faults.before(*[conflict] * conflicts)

    result = invoke("erase", *world.at, *ALL)
    faults.before()
    again = invoke("erase", *world.at, *ALL, "--json")

    if is_erased:
        assert result.stdout.startswith("Erased 3 conversations of")
    else:
        assert result.exit_code == 1
        assert "Error: Other requests keep changing 3 conversations." in result.stderr
        assert json.loads(again.stdout)["conversations"] == 3
    assert live(world) == set()


def test_the_question_names_the_owner(world: World) -> None:
    fill(world)
    result = invoke("erase", *world.at, "--account", "acme")
    anns = invoke("erase", *world.at, "--account", "acme", "--end-user", "ann")

    assert "Permanently delete 1 conversation of account 'acme' itself?" in result.stderr
    assert "1 conversation of end user 'ann' of account 'acme'?" in anns.stderr


def test_a_missing_bucket_is_reported(world: World) -> None:
    fill(world)
    result = invoke("erase", "--table", world.table.name, "--bucket", "none", *ALL)

    assert result.exit_code == 1
    assert "AWS rejected ListObjectsV2: " in result.stderr


@pytest.mark.parametrize("options", [(), ("--yes",)])
def test_without_data_there_is_no_prompt(
    options: tuple[str, ...], world: World, tmp_path: Path
) -> None:
    result = done("erase", *world.at, "--account", "acme", *options)

    assert result.stdout == "Nothing to erase: account 'acme' itself has no conversation.\n"
    assert (result.stderr, journals(tmp_path)) == ("", [])


def test_programs_get_a_receipt_of_nothing(world: World) -> None:
    assert json_of("erase", *world.at, "--account", "acme")["conversations"] == 0


def test_an_erasure_that_goes_on_with_nothing_live_does_not_ask_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(world)

    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        slept(patch, interrupt)
        invoke("erase", *world.at, *ALL)

    assert done("erase", *world.at, *ALL[:-1]).stdout.startswith("Erased 3 conversations of")


def test_an_expired_conversation_is_erased_before_dynamodb_removes_it(world: World) -> None:
    name = world.create([said("one")], [said(NOISE)])
    [row] = [row for row in world.rows() if row["sk"]["S"] == "C"]
    expired = {**row, "expires_at": {"N": str(int(time.time()) - 9)}}
    world.table.dynamodb.put_item(TableName=world.table.name, Item=expired)

    receipt = json_of("erase", *world.at, *ALL, "--timeout", "1")

    [left] = world.rows()
    assert (receipt["conversations"], world.objects()) == (1, [])
    assert left["pk"]["S"].endswith(name)
    assert "deleted_at" in left
    assert {"owner", "account", "metadata"}.isdisjoint(left)


def test_an_interrupted_erasure_of_another_region_is_another_one(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.create([said("one")])
    with monkeypatch.context() as patch:
        patch.setattr(erasing, "_delete", lambda *_: 1 / 0)
        invoke("erase", *world.at, *ALL)
        patch.setattr(Aws, "place", "elsewhere")
        invoke("erase", *world.at, *ALL)

    assert len(journals(tmp_path)) == 2
