"""`conversations export` and `import`, on moto: an import restores exactly what was exported."""

from __future__ import annotations

import fcntl
import gzip
import itertools
import json
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import pytest

from conversations import ids
from conversations.errors import ItemNotFoundError, RequestTooLargeError
from conversations.json_text import response_bytes
from conversations.storage import archive, payloads, rows
from conversations.storage.items import encode_item
from conversations.storage.purge import purge_conversation
from conversations.storage.reads import TRANSACT_GET_MAX
from conversations.storage.restore_claim import RestoreClaim
from conversations.storage.store import Store
from conversations_cli import export as exporting
from tests.support.commands import client_of_commands, done, invoke, json_of
from tests.support.http_helpers import NOISE
from tests.support.stored import World, said

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from local.resources import Resources
    from tests.support.http_helpers import Json

ACME = ("--account", "acme")
ALL = (*ACME, "--all-end-users")
TRACE: Json = {"type": "tombstone", "key": "0" * 26, "written": 1}
POINTER: Json = {"type": "pointer", "key": "0" * 26, "id": "x"}


@pytest.fixture
def world(ministack: Resources, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr(payloads, "LARGE_BYTES", 5_000)
    ministack.recreate()
    with ThreadPoolExecutor(1) as executor:
        yield World(ministack, executor)


def fill(world: World) -> dict[str, str]:
    """Create conversations of every kind, by name; a name begins with the owner's end user."""
    every = {
        "empty": world.create(topic="é"),
        "plain": world.create([said("one"), said("two", id="own")], [said("three")]),
        "large": world.create([said(NOISE), said("small")], [said(NOISE, id="big")]),
        "ann": world.create([said("hers", unknown=[1.5, None, {"a": "\u2028"}])], owner="ann"),
    }
    gappy = world.create([said(f"{n}", id=f"own-{n}") for n in range(5)], [said("gone", id="x")])
    [generated] = world.append(gappy, said("generated"))
    world.append(
        gappy, {"type": "item_reference", "id": "own-2"}, {**said("copy"), "id": generated + "_"}
    )
    world.delete(gappy, "own-1", "own-3", "x", generated)
    world.append(gappy, said("again", id="own-3"))
    return every | {"gappy": gappy}


def emptied(world: World) -> None:
    world.resources.recreate()
    assert world.rows() == []


def export(world: World, out: Path, *scope: str) -> bytes:
    done("export", *world.at, *(scope or ALL), "--out", out)
    return out.read_bytes()


@pytest.mark.parametrize("name", ["out.jsonl", "out.jsonl.gz"])
def test_what_is_exported_comes_back_equal(name: str, world: World, tmp_path: Path) -> None:
    names = fill(world)
    before = {
        kind: world.listed(made, owner="ann" if kind == "ann" else "")
        for kind, made in names.items()
    }
    kept = [row for row in world.rows() if not row["sk"]["S"].startswith("k#")]
    first = export(world, tmp_path / name)
    emptied(world)

    report = json_of("import", *world.at, *ALL, tmp_path / name)
    second = export(world, tmp_path / f"again-{name}")

    assert first == second
    assert (report["imported"], report["items"]) == (5, 13)
    for kind, made in names.items():
        assert world.listed(made, owner="ann" if kind == "ann" else "") == before[kind]
    assert sorted(map(key_of, world.rows())) == sorted(map(key_of, kept))
    named = [row["object"]["S"] for row in world.rows() if "object" in row]
    assert sorted(named) == sorted(world.objects()) != []


def key_of(row: Any) -> tuple[str, str]:
    return row["pk"]["S"], row["sk"]["S"]


def test_the_largest_batch_comes_back(world: World, tmp_path: Path) -> None:
    batch = [said("") for _ in range(20)]
    lines = [encode_item(cast("Any", {"type": "message", **item})) for item in batch]
    size = response_bytes("\n".join(lines).encode())
    batch[0]["content"] = "x" * (payloads.MAX_RESPONSE_PAYLOAD_BYTES - size)
    name = world.create(batch)
    before = world.listed(name)
    export(world, tmp_path / "out")
    emptied(world)

    done("import", *world.at, *ALL, tmp_path / "out")

    assert world.listed(name) == before
    with pytest.raises(RequestTooLargeError):
        world.append(name, {**batch[0], "content": f"{batch[0]['content']}x"}, *batch[1:])


def test_cursors_stay_valid_also_of_deleted_items(world: World, tmp_path: Path) -> None:
    gappy = fill(world)["gappy"]
    cursors = [*(f"own-{n}" for n in range(5)), "x", *(cursor for cursor, _ in world.listed(gappy))]
    behind = {cursor: world.listed(gappy, cursor) for cursor in cursors}
    export(world, tmp_path / "out")
    emptied(world)
    done("import", *world.at, *ALL, tmp_path / "out")

    assert {cursor: world.listed(gappy, cursor) for cursor in cursors} == behind
    with pytest.raises(ItemNotFoundError):
        world.listed(gappy, "never")
    [added] = world.append(gappy, said("later"))
    assert world.listed(gappy)[-1][0] == added


def test_times_and_metadata_stay(world: World, tmp_path: Path) -> None:
    name = world.create([said("one")], topic="x")
    pk = rows.partition(ids.owner_of("acme", ""), name)

    def row() -> Any:
        [found] = [row for row in world.rows() if key_of(row) == (pk, "C")]
        return {key: value for key, value in found.items() if key != "last_body"}

    before = row()
    export(world, tmp_path / "out")
    emptied(world)
    done("import", *world.at, *ALL, tmp_path / "out")

    assert row() == before


def test_the_file_has_a_line_for_each_append(world: World, tmp_path: Path) -> None:
    name = world.create([said("one"), said("two")], [said("three")], topic="x")
    lines = [json.loads(line) for line in export(world, tmp_path / "out").splitlines()]

    assert [line["type"] for line in lines] == [
        "header", "conversation", "batch", "batch", "end", "trailer",
    ]  # fmt: skip
    assert lines[0] == {
        "type": "header",
        "format": "lambda-conversations",
        "version": 1,
        "account": "acme",
        "owner": None,
        "conversations": 1,
    }
    assert (lines[1]["id"], lines[1]["metadata"]) == (name, {"topic": "x"})
    items = [item for line in lines[2:4] for item in line["items"]]
    assert items == [json.loads(text) for _, text in world.listed(name)]
    assert lines[4] == {"type": "end", "id": name, "batches": 2, "items": 3}
    assert lines[5] == {"type": "trailer", "conversations": 1, "items": 3}


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        (ACME, {"mine"}),
        ((*ACME, "--end-user", "ann"), {"hers"}),
        (ALL, {"mine", "hers"}),
        ((*ACME, "--end-user", "bob"), set()),
        (("--account", "other", "--all-end-users"), set()),
    ],
)
def test_an_export_is_of_one_owner_or_of_an_account(
    scope: tuple[str, ...], expected: set[str], world: World, tmp_path: Path
) -> None:
    world.create([said("mine")])
    world.create([said("hers")], owner="ann")
    lines = [json.loads(line) for line in export(world, tmp_path / "out", *scope).splitlines()]

    batches = [line for line in lines if line["type"] == "batch"]
    found = {item["content"] for line in batches for item in line["items"]}
    assert found == expected


def test_an_end_users_conversations_can_become_another_owners(world: World, tmp_path: Path) -> None:
    name = world.create([said("hers")], owner="ann")
    export(world, tmp_path / "out", *ACME, "--end-user", "ann")
    before = world.listed(name, owner="ann")

    done("import", *world.at, "--account", "other", "--end-user", "eve", tmp_path / "out")

    page = world.store.list_items(
        ids.owner_of("other", "eve"), name, after=None, limit=9, order="asc"
    )
    assert [(item.cursor, item.json) for item in page.entries] == before
    [entry] = world.store.list_conversations(
        ids.owner_of("other", "eve"), after=None, limit=9, order="asc", metadata={}
    ).entries
    assert (entry.conversation_id, entry.account) == (name, "other")


def test_conversations_of_several_owners_do_not_become_one_owners(
    world: World, tmp_path: Path
) -> None:
    world.create([said("mine")])
    world.create([said("hers")], owner="ann")
    export(world, tmp_path / "out")
    emptied(world)

    result = invoke("import", *world.at, *ACME, tmp_path / "out")
    elsewhere = invoke(
        "import", *world.at, "--account", "other", "--all-end-users", tmp_path / "out"
    )

    assert result.exit_code == 1
    assert "conversations of several owners" in result.stderr
    assert elsewhere.exit_code == 1
    assert "is an export of account 'acme'" in elsewhere.stderr
    assert len({row["owner"]["S"] for row in world.rows() if "owner" in row}) == 1


def test_an_import_done_twice_changes_nothing(world: World, tmp_path: Path) -> None:
    fill(world)
    export(world, tmp_path / "out")
    before = world.rows()

    assert json_of("import", *world.at, *ALL, tmp_path / "out")["present"] == 5
    assert json_of("import", *world.at, *ALL, "--merge", tmp_path / "out")["present"] == 5
    assert world.rows() == before


def test_merge_adds_what_a_conversation_lacks(world: World, tmp_path: Path) -> None:
    name = world.create([said("one"), said("gone", id="gone")])
    export(world, tmp_path / "old")
    world.append(name, said(NOISE, id="big"))
    world.append(name, said("two"))
    export(world, tmp_path / "new")
    whole = world.listed(name)
    emptied(world)
    done("import", *world.at, *ALL, tmp_path / "old")
    world.delete(name, "gone")
    [own] = world.append(name, said("own"))

    report = json_of("import", *world.at, *ALL, "--merge", tmp_path / "new")

    assert (report["completed"], report["items"]) == (1, 2)
    expected = [entry for entry in whole if entry[0] != "gone"]
    assert [entry for entry in world.listed(name) if entry[0] != own] == expected
    assert len(world.listed(name)) == len(expected) + 1
    [added] = world.append(name, said("last"))
    assert world.listed(name)[-1][0] == added


def test_merge_leaves_out_what_was_deleted_there(world: World, tmp_path: Path) -> None:
    name = world.create([said("one")], [said("two", id="two")], [said(NOISE, id="big")])
    export(world, tmp_path / "out")
    world.delete(name, "two", "big")
    before = world.rows()

    assert json_of("import", *world.at, *ALL, "--merge", tmp_path / "out")["present"] == 1
    assert world.rows() == before
    assert world.objects() == []


def test_merge_stops_at_an_id_that_another_item_has(world: World, tmp_path: Path) -> None:
    name = world.create([said("one")])
    export(world, tmp_path / "old")
    world.append(name, said(NOISE, id="mine"))
    export(world, tmp_path / "new")
    emptied(world)
    done("import", *world.at, *ALL, tmp_path / "old")
    world.append(name, said("other", id="mine"))

    result = invoke("import", *world.at, *ALL, "--merge", tmp_path / "new")

    assert result.exit_code == 1
    assert "line 2: The conversation already has items with these ids: 'mine'" in result.stderr
    assert world.objects() == []
    assert len(world.listed(name)) == 2


def without_its_last_item(world: World, folder: Path) -> tuple[str, str]:
    """Import a conversation without its last item, which the file `new` has.

    Return the id of the conversation and that of the item.
    """
    name = world.create([said("one")])
    export(world, folder / "old")
    [generated] = world.append(name, said("two"))
    export(world, folder / "new")
    emptied(world)
    done("import", *world.at, *ALL, folder / "old")
    return name, generated


@pytest.mark.parametrize("is_deleted", [False, True])
def test_merge_stops_at_a_generated_id_that_another_item_has_or_had(
    is_deleted: bool,  # noqa: FBT001 - pytest's parameter
    world: World,
    tmp_path: Path,
) -> None:
    """A client posts an item of the other stack, with the id that it got there."""
    name, generated = without_its_last_item(world, tmp_path)
    world.append(name, said("three"))
    world.append(name, said("two, posted", id=generated))
    if is_deleted:
        world.delete(name, generated)
    before = world.listed(name)

    result = invoke("import", *world.at, *ALL, "--merge", tmp_path / "new")

    assert result.exit_code == 1
    assert f"already has items with these ids: '{generated}'" in result.stderr
    assert world.listed(name) == before


def test_merge_has_one_action_for_a_batch_in_which_an_id_names_its_key(
    world: World, tmp_path: Path
) -> None:
    """DynamoDB rejects a transaction with two actions on one row."""
    name = world.create([said("one")])
    export(world, tmp_path / "old")
    world.append(name, said("two", id="other"))
    export(world, tmp_path / "new")
    text = (tmp_path / "new").read_text(encoding="utf-8")
    [key] = [line["key"] for line in map(json.loads, text.splitlines()) if "other" in str(line)]
    (tmp_path / "new").write_text(text.replace('"other"', f'"fc_{key}"'), encoding="utf-8")
    emptied(world)
    done("import", *world.at, *ALL, tmp_path / "old")

    done("import", *world.at, *ALL, "--merge", tmp_path / "new")

    assert [cursor for cursor, _ in world.listed(name)][1:] == [f"fc_{key}"]


def test_an_expired_pointer_with_a_generated_id_stops_no_merge(
    world: World, tmp_path: Path
) -> None:
    name, generated = without_its_last_item(world, tmp_path)
    pk = rows.partition(ids.owner_of("acme", ""), name)
    expired: Any = {"expires_at": {"N": "1"}}
    row = rows.pointer_row(pk, generated, ids.sequence_keys(1, 1)[0]) | expired
    world.table.dynamodb.put_item(TableName=world.table.name, Item=row)

    done("import", *world.at, *ALL, "--merge", tmp_path / "new")

    assert [cursor for cursor, _ in world.listed(name)][1:] == [generated]


@pytest.mark.parametrize("item", [said("two"), {"type": "item_reference", "id": "elsewhere"}])
def test_a_record_with_a_generated_id_twice_is_invalid(
    item: Json, world: World, tmp_path: Path
) -> None:
    """The generated id of a reference is its cursor."""
    name = world.create([said("one")])
    [generated] = world.append(name, item)
    other = "x" * len(generated)
    world.append(name, said("three", id=other))
    export(world, tmp_path / "out")
    text = (tmp_path / "out").read_text(encoding="utf-8")
    (tmp_path / "out").write_text(text.replace(other, generated), encoding="utf-8")
    emptied(world)

    result = invoke("import", *world.at, *ALL, tmp_path / "out")

    assert result.exit_code == 1
    assert f"items[0].id: '{generated}' is also the id of another item" in result.stderr
    assert world.rows() == []


def test_a_deleted_conversation_can_be_imported_once_its_purge_is_over(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = world.create([said("one", id="own")])
    owner = ids.owner_of("acme", "")
    before = world.listed(name)
    export(world, tmp_path / "out")
    world.store.delete_conversation(owner, name)
    purge_conversation(world.table, world.payloads, rows.partition(owner, name), lambda: True)

    early = invoke("import", *world.at, *ALL, tmp_path / "out")
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 1_000)
    late = json_of("import", *world.at, *ALL, tmp_path / "out")

    assert early.exit_code == 1
    assert "less than 15 minutes ago" in early.stderr
    assert late["imported"] == 1
    assert world.listed(name) == before


def test_what_an_interrupted_import_left_is_replaced(world: World, tmp_path: Path) -> None:
    name = world.create([said("one")], [said(NOISE)])
    export(world, tmp_path / "out")
    before = world.listed(name)
    pk = rows.partition(ids.owner_of("acme", ""), name)
    emptied(world)
    left = rows.pointer_row(pk, "left", "0" * 26)
    world.table.dynamodb.put_item(TableName=world.table.name, Item=left)
    world.resources.s3.put_object(Bucket=world.bucket, Key=f"{pk}/left", Body=b"")

    done("import", *world.at, *ALL, tmp_path / "out")

    assert world.listed(name) == before
    assert "p#left" not in [row["sk"]["S"] for row in world.rows()]
    assert len(world.objects()) == 1


def test_an_import_that_another_one_takes_over_is_reported(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = world.create([said("one")], [said("two", id="two")])
    export(world, tmp_path / "out")
    before = world.listed(name)
    emptied(world)
    pk = rows.partition(ids.owner_of("acme", ""), name)
    commit = RestoreClaim.commit

    def taken_over(claim: RestoreClaim, row: Any) -> None:
        RestoreClaim(world.table, pk)  # of an import that is killed then
        commit(claim, row)

    with monkeypatch.context() as patch:
        patch.setattr(RestoreClaim, "commit", taken_over)
        result = invoke("import", *world.at, *ALL, tmp_path / "out")
    again = json_of("import", *world.at, *ALL, tmp_path / "out")

    assert (result.exit_code, "line 2: another import is writing" in result.stderr) == (1, True)
    assert again["imported"] == 1
    assert world.listed(name) == before


def test_retention_goes_with_the_rows(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.store = Store(world.table, world.payloads, retention_days=1)
    name = world.create([said("one", id="a"), said("two", id="b")], [said("x", id="x")])
    world.delete(name, "b", "x")
    before = {key_of(row): row["expires_at"] for row in world.rows()}
    first = export(world, tmp_path / "out")
    emptied(world)
    done("import", *world.at, *ALL, tmp_path / "out")

    assert {key_of(row): row.get("expires_at") for row in world.rows()} == before
    assert export(world, tmp_path / "again") == first
    emptied(world)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 100_000)
    assert json_of("import", *world.at, *ALL, tmp_path / "out")["expired"] == 1
    assert world.rows() == []


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda lines: lines[2].update(key="0" * 25), "line 3: key "),
        (lambda lines: lines[2]["items"][1].pop("content"), "items[1] must have the field"),
        (lambda lines: lines[2]["items"][1].update(role="nobody"), "line 3: items[1].role "),
        (lambda lines: lines[2]["items"][1].pop("id"), "line 3: items[1] must have the field 'id'"),
        (lambda lines: lines[2]["items"][1].update(id="two"), "line 4: items[0].id: 'two' is"),
        (lambda lines: [i.update(id="two") for i in lines[2]["items"]], "items[1].id 'two'"),
        (lambda lines: lines[2]["items"].pop(), "line 3: slots: "),
        (lambda lines: lines[2].update(slots=[1, 0]), "line 3: slots: "),
        (lambda lines: lines[2]["items"][0].update(content="x" * 6_000_000), "items: are too"),
        (lambda lines: lines[2].update(slots=[0, 2]), "line 3: slots: "),
        (lambda lines: lines[2].update(key=lines[2]["key"][:-1] + "4"), "line 3: key: must be the"),
        (lambda lines: lines[1].update(recent_keys=[]), "line 3: key: must not be greater"),
        (lambda lines: lines[1]["recent_keys"].reverse(), "line 2: recent_keys: "),
        (lambda lines: lines[1]["recent_keys"].append(lines[1]["recent_keys"][1]), "in descending"),
        (lambda lines: lines[1].update(recent_keys=["v" * 26]), "line 2: recent_keys: must be seq"),
        (lambda lines: lines[1].update(recent_keys=["0" * 25 + "1"]), "recent_keys: must be seq"),
        (lambda lines: lines[1].update(updated_at=10**15), "line 2: updated_at "),
        (lambda lines: lines[1].update(expires_at=10**12), "line 2: expires_at "),
        (lambda lines: lines.insert(3, {**TRACE, "key": "v" * 22 + "0000"}), "4: key: must not"),
        (lambda lines: lines.insert(3, {**TRACE, "key": "0" * 25 + "4"}), "4: key: must be the"),
        (lambda lines: lines.insert(3, {**POINTER, "key": "v" * 26}), "line 4: key: must not be"),
        (lambda lines: lines[1].update(metadata={"k": 1}), "line 2: metadata.k "),
        (lambda lines: lines[1].update(id="a b"), "line 2: id "),
        (lambda lines: lines.__delitem__(4), "line 2: the record is truncated"),
        (lambda lines: lines[4].update(items=9), "line 2: the record is incomplete"),
        (lambda lines: lines.__delitem__(3), "line 2: the record is incomplete"),
        (lambda lines: lines.insert(3, {"type": "row"}), "line 4: type: must be batch"),
        (lambda lines: lines.insert(3, {}), "line 4: type: must be batch"),
        (lambda lines: lines[3:3] * 1 or lines.insert(3, TRACE) or lines.insert(3, TRACE), "twice"),
        (lambda lines: lines.insert(3, {**POINTER, "id": "two"}), "'two' is also the id"),
    ],
)  # fmt: skip
def test_a_bad_record_is_named_and_nothing_of_it_is_written(
    change: Callable[[list[Any]], object], complaint: str, world: World, tmp_path: Path
) -> None:
    one = world.create([said("one"), said("more")], [said("two", id="two")])
    lines = [json.loads(line) for line in export(world, tmp_path / "out").splitlines()]
    good = json.loads(json.dumps(lines[1:5]).replace(one, "conv_good"))
    change(lines)
    lines[-1:-1] = good
    (tmp_path / "bad").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    emptied(world)

    dry = invoke("import", *world.at, *ALL, "--dry-run", tmp_path / "bad")
    assert world.rows() == []
    result = invoke("import", *world.at, *ALL, tmp_path / "bad")

    assert dry.exit_code == result.exit_code == 1
    assert complaint in dry.stderr
    assert dry.stderr == result.stderr
    assert "1 invalid" in result.stdout
    assert {row["pk"]["S"].partition("/")[2] for row in world.rows()} == {"conv_good"}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "line 1: The body is empty"),
        ("nonsense", "line 1: The body is not valid JSON"),
        ('{"type": "header"}', "line 1: The body must have the fields 'format'"),
        (
            (
                '{"type":"header","format":"lambda-conversations","version":2,"account":"acme",'
                '"owner":null,"conversations":0}'
            ),
            "line 1: version must be ",
        ),
        ('{"type": "header", "\\u009b31m\\u202e": 1}', 'line 1: "\\u009b31m\\u202e"'),
    ],
)
def test_a_file_that_is_no_export_is_rejected(
    text: str, complaint: str, world: World, tmp_path: Path
) -> None:
    (tmp_path / "bad").write_text(text)
    result = invoke("import", *world.at, *ALL, tmp_path / "bad")

    assert result.exit_code == 1
    assert complaint in result.stderr, result.stderr


def test_an_item_without_a_type_is_imported_as_a_message(world: World, tmp_path: Path) -> None:
    name = world.create([said("one")])
    before = world.listed(name)
    exported = export(world, tmp_path / "out")
    (tmp_path / "edited").write_bytes(exported.replace(b'"type":"message",', b""))
    emptied(world)

    done("import", *world.at, *ALL, tmp_path / "edited")

    [(_, found)], [(_, expected)] = world.listed(name), before
    assert json.loads(found) == json.loads(expected)


def test_a_line_nested_too_deeply_spoils_its_record_only(world: World, tmp_path: Path) -> None:
    name = world.create([said("one")])
    lines = export(world, tmp_path / "out").splitlines(keepends=True)
    deep = b"[" * 100_000 + b"\n"
    (tmp_path / "bad").write_bytes(b"".join([lines[0], deep, lines[1], deep, *lines[1:]]))
    emptied(world)

    result = invoke("import", *world.at, *ALL, tmp_path / "bad")

    assert (result.exit_code, "line 4: type: must be batch" in result.stderr) == (1, True)
    assert "1 imported" in result.stdout
    assert len(world.listed(name)) == 1


def test_a_truncated_file_is_reported(world: World, tmp_path: Path) -> None:
    world.create([said("one")])
    lines = export(world, tmp_path / "out").splitlines(keepends=True)
    (tmp_path / "cut").write_bytes(b"".join(lines[:-1]))
    (tmp_path / "torn").write_bytes(b"".join(lines[:-2]))

    result = done("import", *world.at, *ALL, tmp_path / "cut")
    torn = invoke("import", *world.at, *ALL, tmp_path / "torn")

    assert "may be truncated" in result.stderr
    assert (torn.exit_code, "line 2: the record is truncated" in torn.stderr) == (1, True)


@pytest.mark.parametrize("damage", [lambda data: data[:-9], lambda data: data[:-30] + b"x" * 30])
def test_a_damaged_compressed_file_is_reported(
    damage: Callable[[bytes], bytes], world: World, tmp_path: Path
) -> None:
    name = world.create([said("one")])
    (tmp_path / "bad.gz").write_bytes(damage(export(world, tmp_path / "out.gz")))
    (tmp_path / "other.gz").write_bytes(b"nothing of gzip")
    emptied(world)

    result = invoke("import", *world.at, *ALL, tmp_path / "bad.gz")
    other = invoke("import", *world.at, *ALL, tmp_path / "other.gz")

    assert (result.exit_code, "damaged or cut off" in result.stderr) == (1, True)
    assert (other.exit_code, "damaged or cut off: Not a gzipped" in other.stderr) == (1, True)
    assert len(world.listed(name)) == 1


def interrupt(_: int) -> None:
    raise KeyboardInterrupt


def test_an_export_that_is_killed_before_its_end_has_one_trailer(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.create([said("one")])
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", interrupt)
        assert invoke("export", *world.at, *ALL, "--out", tmp_path / "out").exit_code == 1
    world.create([said("two")], owner="zoe")

    lines = export(world, tmp_path / "out").splitlines()

    assert [json.loads(line)["type"] for line in lines].count("trailer") == 1
    assert json.loads(lines[-1])["type"] == "trailer"


def test_an_append_during_an_export_is_left_out(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = world.create([said("one")])
    before = world.listed(name)
    between(monkeypatch, lambda: world.append(name, said("two", id="own")))

    lines = [json.loads(line) for line in export(world, tmp_path / "out").splitlines()]

    assert len(world.listed(name)) == 2
    assert [item["id"] for item in lines[2]["items"]] == [cursor for cursor, _ in before]
    assert lines[-1]["items"] == 1


def test_a_deletion_during_an_export_makes_it_read_again(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = world.create([said("one")], [said("two", id="own")])

    def change() -> None:
        world.append(name, said("three"))
        world.delete(name, "own")

    between(monkeypatch, change)
    export(world, tmp_path / "out")
    after = world.listed(name)
    emptied(world)

    done("import", *world.at, *ALL, tmp_path / "out")

    assert world.listed(name) == after


def test_an_export_omits_deleted_items_that_a_query_still_returns(
    world: World, tmp_path: Path
) -> None:
    name = world.create(*([said(f"{n}", id=f"own-{n}"), said(f"{n}")] for n in range(30)))
    stale = {key_of(row): row for row in world.rows() if row["sk"]["S"] != "C"}
    world.delete(name, "own-1", "own-28")
    whole = export(world, tmp_path / "whole")

    def return_stale_rows(parsed: Any, **_: object) -> None:
        parsed["Items"] = [stale.get(key_of(row), row) for row in parsed["Items"]]

    with registered("dynamodb", "after-call.dynamodb.Query", return_stale_rows):
        assert export(world, tmp_path / "out") == whole


def test_an_export_reads_batches_twice_only_after_a_deletion(world: World, tmp_path: Path) -> None:
    name = world.create(*([said(f"{n}"), said(f"{n}", id=f"own-{n}")] for n in range(30)))
    reads: list[int] = []

    def count(params: Any, **_: object) -> None:
        reads.append(len(params["TransactItems"]))

    with registered("dynamodb", "before-parameter-build.dynamodb.TransactGetItems", count):
        export(world, tmp_path / "before")
        assert reads == [1]
        world.delete(name, "own-0")
        reads.clear()
        export(world, tmp_path / "after")

    assert reads == [TRANSACT_GET_MAX, 30 - TRANSACT_GET_MAX, 1, 1]  # batches, a pointer, the end


def test_an_export_reads_again_when_the_object_of_an_emptied_batch_is_gone(
    world: World, tmp_path: Path
) -> None:
    name = world.create([said(NOISE, id="own")], [said("two")])
    acts = iter([lambda: world.delete(name, "own")])

    def delete_once(**_: object) -> None:
        next(acts, lambda: None)()

    with registered("s3", "before-call.s3.GetObject", delete_once):
        exported = export(world, tmp_path / "out")

    assert exported == export(world, tmp_path / "after")
    assert b'"own"' in exported  # as the pointer to a deleted item
    assert b"tombstone" in exported


@contextmanager
def registered(service: str, event: str, act: Callable[..., None]) -> Iterator[None]:
    """Call a function at an event of the commands' client."""
    events = client_of_commands(service).meta.events
    events.register(event, act)
    try:
        yield
    finally:
        events.unregister(event, act)


def test_a_merge_during_an_export_makes_it_read_again(world: World, tmp_path: Path) -> None:
    world.create(*([said(f"{n}")] for n in range(17)))
    lines = export(world, tmp_path / "whole").splitlines(keepends=True)
    end = {**json.loads(lines[-2]), "batches": 15, "items": 15}
    partial = [*lines[:3], lines[4], *lines[6:-2], f"{json.dumps(end)}\n".encode(), lines[-1]]
    (tmp_path / "partial").write_bytes(b"".join(partial))
    emptied(world)
    done("import", *world.at, *ALL, tmp_path / "partial")
    queries = itertools.count(1)

    def merge_between_pages(params: Any, **_: object) -> None:
        if "IndexName" not in params:
            params["Limit"] = 1
            if next(queries) == 3:
                done("import", *world.at, *ALL, "--merge", tmp_path / "whole")

    with registered("dynamodb", "before-parameter-build.dynamodb.Query", merge_between_pages):
        exported = export(world, tmp_path / "out").splitlines(keepends=True)

    assert next(queries) > 3
    assert exported[2:] == lines[2:]


def test_a_conversation_that_is_deleted_during_an_export_is_left_out(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = world.create([said("one")])
    owner = ids.owner_of("acme", "")
    between(monkeypatch, lambda: world.store.delete_conversation(owner, name))

    lines = export(world, tmp_path / "out").splitlines()

    assert [json.loads(line)["type"] for line in lines] == ["header", "trailer"]


def test_an_export_gives_up_on_a_conversation_that_never_rests(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = world.create([said(f"{n}", id=f"own-{n}") for n in range(20)])
    numbers = itertools.count()
    between(monkeypatch, lambda: world.delete(name, f"own-{next(numbers)}"), times=99)

    result = invoke("export", *world.at, *ALL, "--out", tmp_path / "out")

    assert result.exit_code == 1
    assert f"Items of conversation '{name}' changed during every attempt" in result.stderr
    assert not (tmp_path / "out").exists()


def between(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object], times: int = 1) -> None:
    """Call a function after an export read a conversation row, and before it reads the batches."""
    left = itertools.count(1)
    read = archive.read_archived

    def read_and_act(*given: Any) -> Any:
        found = read(*given)
        if next(left) <= times:
            act()
        return found

    monkeypatch.setattr(exporting, "read_archived", read_and_act)


def test_two_exports_do_not_write_one_file(world: World, tmp_path: Path) -> None:
    world.create([said("one")])
    partial = tmp_path / "out.partial"

    with partial.open("wb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        result = invoke("export", *world.at, *ALL, "--out", tmp_path / "out")

    assert (result.exit_code, "Another export is writing" in result.stderr) == (1, True)
    assert export(world, tmp_path / "out")


def test_an_object_that_is_missing_is_told_with_its_conversation(
    world: World, tmp_path: Path
) -> None:
    name = world.create([said(NOISE)])
    [key] = world.objects()
    world.resources.s3.delete_object(Bucket=world.bucket, Key=key)

    result = invoke("export", *world.at, *ALL, "--out", tmp_path / "out")

    assert result.exit_code == 1
    assert f"Conversation '{name}' cannot be exported: the bucket has no object {key}." in (
        result.stderr
    )


def test_an_export_prints_its_counts_as_json(world: World, tmp_path: Path) -> None:
    world.create([said("one"), said("two")])

    printed = json_of("export", *world.at, *ALL, "--out", tmp_path / "out")

    assert printed == {"conversations": 1, "items": 2, "file": str(tmp_path / "out")}


def test_an_export_does_not_overwrite(world: World, tmp_path: Path) -> None:
    export(world, tmp_path / "out")
    result = invoke("export", *world.at, *ALL, "--out", tmp_path / "out")

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == f"Error: {tmp_path / 'out'} exists. Delete it, or use another --out.\n"


@pytest.mark.parametrize("name", ["out", "out.gz"])
def test_an_interrupted_export_goes_on(
    name: str, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        world.create([said(f"{number}"), said(NOISE)])
    whole = export(world, tmp_path / f"whole-{name}")

    calls = itertools.count(1)
    read = archive.read_parts

    def interrupt(*given: Any) -> Any:
        if next(calls) == 3:
            raise KeyboardInterrupt
        return read(*given)

    with monkeypatch.context() as patch:
        patch.setattr(exporting, "read_parts", interrupt)
        stopped = invoke("export", *world.at, *ALL, "--out", tmp_path / name)
    with (tmp_path / f"{name}.partial").open("ab") as partial:
        partial.write(b"half a rec" * 100_000)
    assert stopped.exit_code == 1
    assert "Aborted!" in stopped.stderr
    seen = json.loads((tmp_path / f"{name}.progress").read_text())
    assert seen["conversations"] == 2

    assert export(world, tmp_path / name) == whole
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, f"whole-{name}"])


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"account": "other"}, "is of another stack, account or end user"),
        ({"owner": "0" * 64}, "is of another stack, account or end user"),
        ({"table": "other"}, "is of another stack, account or end user"),
        ({"place": "other"}, "is of another stack, account or end user"),
        ({"bucket": "other"}, "is of another stack, account or end user"),
        ({"offset": 10_000}, "is shorter than"),
    ],
)
def test_an_export_does_not_go_on_with_another_ones_file(
    change: Json, complaint: str, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.create([said("one")])
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", interrupt)
        invoke("export", *world.at, *ALL, "--out", tmp_path / "out")
    progress = tmp_path / "out.progress"
    progress.write_text(json.dumps(json.loads(progress.read_text()) | change))

    result = invoke("export", *world.at, *ALL, "--out", tmp_path / "out")

    assert (result.exit_code, complaint in result.stderr) == (1, True)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ((*ACME, "--end-user", "a", "--all-end-users"), "either --end-user or --all-end-users"),
        (("--account", "a b"), "The account must be 1 to 64"),
        ((), "Missing option '--account'"),
    ],
)
def test_wrong_options_are_rejected(options: tuple[str, ...], complaint: str, world: World) -> None:
    result = invoke("export", *world.at, *options, "--out", "x")

    assert (result.exit_code, complaint in result.stderr) == (2, True)


def test_a_command_wants_the_stack_or_both_names() -> None:
    for options in ([], ["--table", "t"], ["--stack", "s", "--table", "t", "--bucket", "b"]):
        result = invoke("export", *options, *ACME, "--out", "x")
        assert (result.exit_code, "Use one of --stack" in result.stderr) == (2, True)


def test_a_compressed_file_is_unpacked_by_gzip(world: World, tmp_path: Path) -> None:
    world.create([said("one")])
    plain = export(world, tmp_path / "out")

    assert gzip.decompress(export(world, tmp_path / "out.gz")) == plain
