"""`conversations import` of OpenAI's conversations and of Assistants threads, on moto."""

from __future__ import annotations

import builtins
import codecs
import gzip
import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from conversations import ids
from conversations.json_text import compact_json, response_bytes
from conversations.storage.payloads import MAX_RESPONSE_PAYLOAD_BYTES
from conversations_cli.threads import item_of
from tests.support.commands import done, invoke, json_of
from tests.support.includable_items import INCLUDABLE_ITEMS
from tests.support.openai_stub import KEY, openai_stub
from tests.support.stored import World

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from local.resources import Resources

ACME = ("--account", "acme")
ANN = (*ACME, "--end-user", "ann")
LONG = "conv_689667905b048191b4740501625afd940c7533ace33a2dab"


def message(number: int) -> dict[str, Any]:
    part = {"type": "output_text", "text": f"{number}", "annotations": [], "logprobs": []}
    item = {"type": "message", "id": f"msg_{number:04}", "role": "assistant"}
    return {**item, "status": "completed", "content": [part], "phase": None, "unknown": {"a": 1.5}}


CONVERSATIONS: dict[str, Any] = {
    LONG: {
        "created_at": 1_754_686_352,
        "metadata": {"topic": "demo"},
        "items": [message(n) for n in range(230)],
    },
    "conv_empty": {"created_at": 1_754_686_353, "metadata": None, "items": []},
    "conv_odd": {
        "created_at": 1_754_686_354,
        "metadata": {},
        "items": [*[message(n) for n in range(25)], {"type": "hologram", "id": "h_1"}],
    },
    "conv_large_fields": {
        "created_at": 1_754_686_355,
        "metadata": {},
        "items": [*INCLUDABLE_ITEMS.values()],
    },
    "conv_endless": {
        "created_at": 1_754_686_356,
        "metadata": {},
        "page": {"data": [message(1)], "has_more": True},
    },
    "conv_torn": {"created_at": "today", "metadata": {}, "items": []},
}


@pytest.fixture
def world(ministack: Resources) -> Iterator[World]:
    ministack.recreate()
    with ThreadPoolExecutor(1) as executor:
        yield World(ministack, executor)


@pytest.fixture
def _openai(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with openai_stub(CONVERSATIONS) as url:
        monkeypatch.setenv("OPENAI_BASE_URL", url)
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        yield


def whole(world: World, name: str, owner: str = "") -> list[Any]:
    found: list[Any] = []
    after: str | None = None
    while entries := world.listed(name, after, owner):
        found += [json.loads(text) for _, text in entries]
        after = entries[-1][0]
    return found


@pytest.mark.usefixtures("_openai")
def test_a_conversation_of_openais_is_read_whole(world: World) -> None:
    report = json_of("import", *world.at, *ANN, "--from-openai", LONG)

    assert (report["imported"], report["items"]) == (1, 230)
    assert whole(world, LONG, "ann") == CONVERSATIONS[LONG]["items"]
    made = world.store.get_conversation(ids.owner_of("acme", "ann"), LONG)
    assert (made.created_at, made.metadata) == (1_754_686_352_000, {"topic": "demo"})
    assert world.listed(LONG, "msg_0228", "ann")[0][0] == "msg_0229"
    [added] = world.append(LONG, {"role": "user", "content": "next"}, owner="ann")
    assert whole(world, LONG, "ann")[-1]["id"] == added


@pytest.mark.usefixtures("_openai")
def test_the_large_fields_that_openai_omits_by_default_are_imported(world: World) -> None:
    json_of("import", *world.at, *ACME, "--from-openai", "conv_large_fields")

    assert whole(world, "conv_large_fields") == [*INCLUDABLE_ITEMS.values()]


@pytest.mark.usefixtures("_openai")
def test_it_is_the_same_the_second_time(world: World, tmp_path: Path) -> None:
    (tmp_path / "ids").write_text(f"conv_empty\n{LONG}\n", encoding="utf-8-sig")
    json_of("import", *world.at, *ACME, "--from-openai", LONG)
    before = [row for row in world.rows() if row["pk"]["S"].endswith(LONG)]

    report = json_of("import", *world.at, *ACME, "--merge", "--ids", tmp_path / "ids")

    assert (report["imported"], report["present"]) == (1, 1)
    assert [row for row in world.rows() if row["pk"]["S"].endswith(LONG)] == before
    assert whole(world, "conv_empty") == []


@pytest.mark.usefixtures("_openai")
def test_what_openai_does_not_have_or_we_do_not_know_is_named(world: World) -> None:
    names = ["conv_odd", "conv_none", "conv_torn", "conv_endless", "conv_empty"]
    options = [option for name in names for option in ("--from-openai", name)]

    result = invoke("import", *world.at, *ACME, *options)

    assert result.exit_code == 1
    assert "conv_odd, from item 21 on: items[5].type must be one of" in result.stderr
    assert "conv_none: OpenAI did not return the conversation: Error code: 404" in result.stderr
    assert "conv_torn: OpenAI returned malformed JSON: ValueError(" in result.stderr
    assert "conv_endless: OpenAI returned malformed JSON: ValueError('a page has" in result.stderr
    assert "1 imported" in result.stdout
    assert "4 invalid" in result.stdout
    assert {row["pk"]["S"].partition("/")[2] for row in world.rows()} == {"conv_empty"}


@pytest.mark.usefixtures("_openai")
def test_a_wrong_key_is_reported(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-other")
    wrong = invoke("import", *world.at, *ACME, "--from-openai", LONG)
    monkeypatch.delenv("OPENAI_API_KEY")
    none = invoke("import", *world.at, *ACME, "--from-openai", LONG)

    assert (wrong.exit_code, none.exit_code) == (1, 1)
    assert "Incorrect API key provided" in wrong.stderr
    assert "OPENAI_API_KEY" in none.stderr
    assert world.rows() == []


@pytest.mark.usefixtures("_openai")
def test_a_key_that_is_not_ascii_is_not_printed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret\u2026")

    result = invoke("import", *world.at, *ACME, "--from-openai", LONG)

    assert (result.exit_code, "UnicodeEncodeError: " in result.stderr) == (1, True)
    assert "secret" not in result.output


def test_a_missing_package_is_named(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    import_module = builtins.__import__

    def fail(name: str, *given: Any) -> Any:
        if name == "openai":
            raise ImportError
        return import_module(name, *given)

    monkeypatch.setattr(builtins, "__import__", fail)
    result = invoke("import", *world.at, *ACME, "--from-openai", LONG)

    assert (result.exit_code, "requires the Python package openai" in result.stderr) == (1, True)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ((*ACME,), "Use either FILE, or --from-openai"),
        (
            (*ACME, "--all-end-users", "--from-openai", LONG),
            "--all-end-users requires an export: OpenAI's",
        ),
    ],
)
def test_wrong_options_are_rejected(options: tuple[str, ...], complaint: str, world: World) -> None:
    result = invoke("import", *world.at, *options)

    assert (result.exit_code, complaint in result.stderr) == (2, True)


def turn(number: int, role: str, *content: Any, thread: str = "thread_1", **more: Any) -> Any:
    return {
        "id": f"msg_{number}",
        "object": "thread.message",
        "created_at": 1_700_000_000 + number,
        "thread_id": thread,
        "role": role,
        "content": [*content],
        "attachments": [],
        "metadata": {},
        **more,
    }


def text(value: str, *annotations: Any) -> Any:
    return {"type": "text", "text": {"value": value, "annotations": [*annotations]}}


THREAD = [
    turn(1, "user", text("What is this?"), {"type": "image_file", "image_file": {"file_id": "f1"}}),
    turn(
        2,
        "assistant",
        text("A cat【1】", {"type": "file_citation", "text": "【1】"}),
        {"type": "refusal", "refusal": "No more."},
        assistant_id="asst_1",
        run_id="run_1",
        status="completed",
        metadata={"k": "v"},
    ),
    turn(
        3,
        "user",
        {"type": "image_url", "image_url": {"url": "https://a.test/1.png", "detail": "low"}},
        {"type": "hologram"},
        attachments=[
            {"file_id": "f2", "tools": [{"type": "file_search"}]},
            {"file_id": "f3", "tools": []},
            {"tools": [{"type": "file_search"}]},
        ],
        mood="good",
    ),
    turn(4, "user", text("Other thread"), thread="thread_2"),
]
EXPECTED = [
    {
        "type": "message",
        "id": "msg_1",
        "created_at": 1_700_000_001,
        "role": "user",
        "content": [
            {"type": "input_text", "text": "What is this?"},
            {"type": "input_image", "file_id": "f1"},
        ],
    },
    {
        "type": "message",
        "id": "msg_2",
        "created_at": 1_700_000_002,
        "role": "assistant",
        "content": [
            {"type": "output_text", "text": "A cat【1】"},
            {"type": "refusal", "refusal": "No more."},
        ],
        "status": "completed",
        "metadata": {"k": "v"},
        "assistant_id": "asst_1",
        "run_id": "run_1",
    },
    {
        "type": "message",
        "id": "msg_3",
        "created_at": 1_700_000_003,
        "role": "user",
        "content": [
            {"type": "input_image", "image_url": "https://a.test/1.png", "detail": "low"},
            {"type": "input_file", "file_id": "f2"},
            {"type": "input_file", "file_id": "f3"},
        ],
    },
]
PAGE = {"object": "list", "data": THREAD[::-1], "has_more": False}


@pytest.mark.parametrize(
    "dump",
    [
        json.dumps(PAGE),
        json.dumps(PAGE, indent=2),
        json.dumps(THREAD),
        "".join(f"{json.dumps(entry)}\n" for entry in THREAD),
        "\n".join(json.dumps({**PAGE, "data": part}) for part in (THREAD[2:], THREAD[:2])),
    ],
    ids=["a page", "a pretty page", "an array", "a message a line", "a page a line"],
)
def test_threads_become_conversations(dump: str, world: World, tmp_path: Path) -> None:
    (tmp_path / "threads").write_text(dump)

    result = invoke("import", *world.at, *ANN, tmp_path / "threads", "--json")

    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["imported"] == 2
    assert whole(world, "thread_1", "ann") == EXPECTED
    assert [item["id"] for item in whole(world, "thread_2", "ann")] == ["msg_4"]
    made = world.store.get_conversation(ids.owner_of("acme", "ann"), "thread_1")
    assert made.created_at == 1_700_000_001_000
    assert sorted(result.stderr.splitlines()) == [
        "msg_2: an annotation (file_citation) has no equivalent and is omitted",
        "msg_3: a part of type hologram has no equivalent and is omitted",
        "msg_3: an attachment without a file has no equivalent and is omitted",
        "msg_3: attachment f2 is kept as a file, without tools: file_search",
        "msg_3: mood has no equivalent and is omitted",
    ]


@pytest.mark.parametrize("name", ["dump", "dump.gz"])
@pytest.mark.parametrize("start", [b"", codecs.BOM_UTF8])
def test_a_dump_in_json_lines_is_read_as_other_tools_write_it(
    start: bytes, name: str, world: World, tmp_path: Path
) -> None:
    """Only a line feed ends a line: U+2028 and U+0085 are characters of a string."""
    said = "one\u2028two\u0085three"
    entries = [turn(number, "user", text(said)) for number in (1, 2)]
    lines = [json.dumps(entry, ensure_ascii=False) for entry in entries]
    data = start + "\n".join(lines).encode()
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)

    done("import", *world.at, *ANN, tmp_path / name)

    found = whole(world, "thread_1", "ann")
    assert [item["content"][0]["text"] for item in found] == [said, said]


def test_a_message_nested_as_deeply_as_json_can_be_is_no_crash(
    world: World, tmp_path: Path
) -> None:
    """Near the limit of Python's parser, its writer raises a RecursionError."""
    for depth in range(9_950, 10_000):
        deep = json.dumps(THREAD[0])[:-1] + f', "z": {"[" * depth}{"]" * depth}' + "}"
        (tmp_path / "dump").write_text(f"{deep}\n{json.dumps(THREAD[3])}")

        result = invoke("import", *world.at, *ANN, tmp_path / "dump", "--dry-run")

        assert (result.exit_code, type(result.exception)) == (1, SystemExit), depth


@pytest.mark.parametrize(
    ("dump", "complaint"),
    [
        ('[{"object": "thread"}]', "'thread' is not a message"),
        ('[{"id": 1}]', "is not a dump of threads"),
        ("[", "is not a dump of threads"),
        ("{\n", "is not a dump of threads"),
        ("[" * 100_000, "is not a dump of threads"),
    ],
)
def test_what_is_no_dump_is_rejected(
    dump: str, complaint: str, world: World, tmp_path: Path
) -> None:
    (tmp_path / "dump").write_text(dump)
    result = invoke("import", *world.at, *ANN, tmp_path / "dump")

    assert (result.exit_code, complaint in result.stderr) == (1, True)


def test_a_dump_that_is_not_utf_8_is_rejected_without_its_content(
    world: World, tmp_path: Path
) -> None:
    dump = json.dumps([turn(1, "user", text("my secret"))]).encode()
    (tmp_path / "dump").write_bytes(dump.replace(b"my", b"m\xff"))

    result = invoke("import", *world.at, *ANN, tmp_path / "dump")

    assert "is not a dump of threads: UnicodeDecodeError: " in result.stderr
    assert "secret" not in result.output


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"created_at": "today"}, 'msg_2: created_at must be an integer, got "today".'),
        ({"created_at": 1e300}, "msg_2: created_at must be an integer, got 1e+300."),
        ({"created_at": 10**12}, "msg_2: created_at "),
        ({"thread_id": None}, "msg_2: thread_id must be a string, got null."),
        ({"id": None, "role": 1}, "a message of thread thread_1: id must be a string, got null."),
        ({"content": [{}]}, "msg_2: content[0] must have the field 'type'."),
        ({"content": ["text"]}, 'msg_2: content[0] must be an object, got "text".'),
        ({"content": [{"type": "text", "text": {}}]}, "msg_2: content[0].text must have the field"),
        ({"content": [{"type": "image_url"}]}, "msg_2: content[0] must have the field 'image_url'"),
        ({"attachments": ["f"]}, "msg_2: attachments[0] must be an object"),
        ({"attachments": [{"tools": [1]}]}, "msg_2: attachments[0].tools[0] must be an object"),
    ],
)
def test_a_malformed_message_is_named_and_the_other_threads_are_imported(
    change: Any, complaint: str, world: World, tmp_path: Path
) -> None:
    dump = [THREAD[3], {**THREAD[1], **change}]
    (tmp_path / "dump").write_text(json.dumps(dump))

    result = invoke("import", *world.at, *ANN, tmp_path / "dump", "--json")

    assert result.exit_code == 1
    assert result.stderr.startswith(complaint), result.stderr
    report = json.loads(result.stdout)
    assert (report["imported"], report["bad"]) == (1, 1)
    assert [item["id"] for item in whole(world, "thread_2", "ann")] == ["msg_4"]


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ([3, 2, 1], [1, 2, 3]),
        ([11, 21, 31], [11, 21, 31]),
        ([31, 21, 11], [11, 21, 31]),
        ([13, 12, 1], [1, 12, 13]),
        ([1, 12, 13], [1, 12, 13]),
    ],
)
def test_the_order_of_each_thread_is_its_own(
    numbers: list[int], expected: list[int], world: World, tmp_path: Path
) -> None:
    """Messages whose numbers have the same tens have the same time."""

    def at(number: int) -> Any:
        return {**turn(number, "user", text("a")), "created_at": 1_700_000_000 + number // 10}

    others = [turn(number, "user", text("b"), thread="thread_0") for number in (91, 92)]
    (tmp_path / "dump").write_text(json.dumps([*others, *map(at, numbers)]))

    done("import", *world.at, *ANN, tmp_path / "dump")

    found = [item["id"] for item in whole(world, "thread_1", "ann")]
    assert found == [f"msg_{number}" for number in expected]
    assert [item["id"] for item in whole(world, "thread_0", "ann")] == ["msg_91", "msg_92"]


def test_a_thread_of_large_messages_can_be_read_page_by_page(world: World, tmp_path: Path) -> None:
    large = "x" * 2_500_000
    messages = [turn(number, "user", text(large)) for number in range(1, 4)]
    (tmp_path / "threads").write_text(json.dumps(messages))

    done("import", *world.at, *ANN, tmp_path / "threads")
    pages: list[list[tuple[str, str]]] = []
    while page := world.listed("thread_1", pages[-1][-1][0] if pages else None, "ann"):
        pages.append(page)

    assert [len(page) for page in pages] == [2, 1]


def test_numbers_that_we_write_with_more_digits_fit_into_a_batch(
    world: World, tmp_path: Path
) -> None:
    numbers = [0.00001] * 41_000  # JSON of Python: 1e-05
    messages = [
        turn(n, "user", text("x"), incomplete_details={"logprobs": numbers}) for n in range(1, 21)
    ]
    (tmp_path / "threads").write_text(json.dumps(messages))

    report = json_of("import", *world.at, *ANN, tmp_path / "threads")

    assert (report["imported"], report["items"]) == (1, 20)


def test_messages_that_together_are_at_the_limit_become_two_batches(
    world: World, tmp_path: Path
) -> None:
    messages = [turn(n, "user", text("")) for n in (1, 2)]
    lines = [compact_json(item_of(message, print)).encode() for message in messages]
    size = sum(map(response_bytes, lines))  # without the newline between the lines
    messages[0]["content"] = [text("x" * (MAX_RESPONSE_PAYLOAD_BYTES - size))]
    (tmp_path / "threads").write_text(json.dumps(messages))

    assert json_of("import", *world.at, *ANN, tmp_path / "threads")["items"] == 2
    assert sum(row["sk"]["S"].startswith("b#") for row in world.rows()) == 2


def test_threads_name_no_owner(world: World, tmp_path: Path) -> None:
    (tmp_path / "threads").write_text(json.dumps(THREAD))
    result = invoke("import", *world.at, *ACME, "--all-end-users", tmp_path / "threads")

    assert (result.exit_code, "threads have no owner" in result.stderr) == (2, True)
