"""`conversations list`, `show` and `usage`, on moto."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from conversations import ids
from conversations.auth.api_keys import ApiKeyRepository
from conversations.storage.scan import scan_index
from conversations_cli import log_query, transcripts
from tests.support.commands import client_of_commands, done, invoke, json_of
from tests.support.fault_injection import Faults, error_response
from tests.support.http_helpers import NOISE
from tests.support.stored import World, said

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from local.stack import DevStack
    from tests.support.http_helpers import Json

ACME = ("--account", "acme")
CALL = {
    "type": "function_call",
    "call_id": "call_1",
    "name": "get_weather",
    "arguments": '{"a": 1}',
}
IMAGES = [
    {"type": "input_text", "text": "See:"},
    {"type": "input_image", "image_url": "data:image/png;base64,QUJD"},
    {"type": "input_image", "image_url": "https://pictures.example/1.png"},
]


@pytest.fixture
def world(stack: DevStack) -> Iterator[World]:
    with ThreadPoolExecutor(1) as executor, stack.engine.lock:
        yield World(stack.resources, executor)


def slept(monkeypatch: pytest.MonkeyPatch, sleep: Callable[[float], object]) -> None:
    """Call a function when the command would sleep; other threads still sleep."""
    monkeypatch.setattr(transcripts, "time", SimpleNamespace(sleep=sleep))


def test_a_list_shows_an_owners_conversations(world: World) -> None:
    first, second = world.create(topic="é"), world.create([said("a needle")])
    hers = world.create(owner="ann")

    header, *lines = done("list", *world.at, *ACME).stdout.splitlines()

    assert header.split() == ["conversation", "created", "owner", "metadata"]
    assert [line.split()[0] for line in lines] == [second, first]
    assert lines[1].endswith("topic=é")
    everybodys = done("list", *world.at, *ACME, "--all-end-users", "--json").stdout.splitlines()
    assert {json.loads(line)["id"] for line in everybodys} == {first, second, hers}
    assert json_of("list", *world.at, *ACME, "--search", "NEEDLE")["id"] == second
    assert json_of("list", *world.at, *ACME, "--end-user", "ann")["owner"] == ids.owner_of(
        "acme", "ann"
    )


@pytest.mark.parametrize("options", [[], ["--json"], ["--all-end-users"], ["--search", "none"]])
def test_a_list_counts_on_standard_error(options: list[str], world: World) -> None:
    empty = done("list", *world.at, *ACME, *options)
    world.create()
    world.create()
    two = done("list", *world.at, *ACME, *options)

    assert empty.stderr == "0 found\n"
    assert two.stderr == ("0 found\n" if "none" in options else "2 found\n")


def test_a_list_leaves_out_what_is_deleted_meanwhile(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    stays, goes = world.create(), world.create()
    scan = scan_index

    def scan_late(*given: Any) -> list[str]:
        found = [*scan(*given)]
        world.store.delete_conversation(ids.owner_of("acme", ""), goes)
        return found

    monkeypatch.setattr(transcripts, "scan_index", scan_late)

    assert json_of("list", *world.at, *ACME, "--all-end-users")["id"] == stays


def test_a_search_is_in_one_owners(world: World) -> None:
    result = invoke("list", *world.at, *ACME, "--all-end-users", "--search", "x")

    assert (result.exit_code, "--search cannot be used with --all-end-users" in result.stderr) == (
        2,
        True,
    )


def test_a_search_has_a_word(world: World) -> None:
    result = invoke("list", *world.at, *ACME, "--search", " ")

    assert (result.exit_code, "--search must contain at least one word" in result.stderr) == (
        2,
        True,
    )


def test_a_list_has_all_pages(world: World) -> None:
    names = {world.create() for _ in range(51)}

    lines = done("list", *world.at, *ACME, "--json").stdout.splitlines()

    assert {json.loads(line)["id"] for line in lines} == names


def test_a_transcript_says_who_said_what_and_when(world: World) -> None:
    name = world.create(
        [said("Hello", id="own"), said("", content=IMAGES)],
        [CALL, {"type": "image_generation_call", "status": "completed", "result": "QUJD"}],
        [said(NOISE)],
        topic="demo",
    )

    title, _, *lines = done("show", *world.at, name).stdout.splitlines()

    assert title.split()[0] == name
    assert title.endswith("topic=demo")
    year = title.split()[1][:4]
    assert lines[0].split()[:2] == ["user", lines[0].split()[1]]
    assert lines[0].split()[1].startswith(year)
    assert lines[1:8] == [
        "Hello", "", lines[3], "[image]", "[image] https://pictures.example/1.png", "See:", "",
    ]  # fmt: skip
    assert lines[8].startswith("function_call get_weather  ")
    assert lines[9:11] == ['{"a": 1}', ""]
    assert lines[11].startswith("image_generation_call  ")
    assert lines[12] == "[image]"
    assert lines[-1] == NOISE


def test_a_transcript_has_no_character_that_a_terminal_obeys(world: World) -> None:
    hostile = "a\x1b]52;c;QUJD\x07\x9b2J\rb\x7f\u202ec"
    seen = r"a\u001b]52;c;QUJD\u0007\u009b2J\u000db\u007f\u202ec"
    name = world.create(
        [said(f"{hostile}\n\tend"), {**CALL, "name": hostile}],
        [said("", content=[{"type": "input_image", "image_url": hostile}])],
        topic=f"{hostile}\nd",
    )

    shown = done("show", *world.at, name).stdout
    listed = done("list", *world.at, *ACME).stdout

    assert f"\n{seen}\n\tend\n" in shown
    assert f"function_call {seen}" in shown
    assert f"[image] {seen}" in shown
    assert f"topic={seen} d" in shown.splitlines()[0]
    assert listed.endswith(f"topic={seen} d\n")


@pytest.mark.parametrize(
    "item",
    [
        {**CALL, "role": 5},
        {**CALL, "content": [{"type": ["x"]}]},
        {**CALL, "output": [{"type": {}}]},
        said("", content=[{"type": "input_image", "image_url": "https://a.test", "file_url": 5}]),
    ],
)
def test_a_transcript_shows_items_whose_unknown_fields_have_any_type(
    item: Json, world: World
) -> None:
    name = world.create([said("one"), item])

    assert "one" in done("show", *world.at, name).stdout


def test_a_transcript_in_json_is_the_items(world: World) -> None:
    name = world.create([said("one"), said("two", id="own")], [said("three")])
    world.delete(name, "own")

    printed = done("show", *world.at, name, "--json").stdout.splitlines()

    assert printed == [text for _, text in world.listed(name)]


def test_a_transcript_follows_what_is_appended(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = world.create([said("one")])
    sleeps: Iterator[Callable[[], object]] = iter(
        [lambda: world.append(name, said("two")), lambda: None]
    )

    def sleep(_: float) -> None:
        act = next(sleeps, None)
        if act is None:
            raise KeyboardInterrupt
        act()

    slept(monkeypatch, sleep)

    result = invoke("show", *world.at, name, "--follow", "--json")

    assert (result.exit_code, result.stderr) == (130, "")
    assert [json.loads(line)["content"] for line in result.stdout.splitlines()] == ["one", "two"]


def test_a_missing_conversation_is_reported(world: World) -> None:
    result = invoke("show", *world.at, "conv_none")

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "Error: Conversation 'conv_none' was not found.\n"


def test_a_conversation_deleted_meanwhile_is_reported(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = world.create([said("one")])
    owner = ids.owner_of("acme", "")
    slept(monkeypatch, lambda _: world.store.delete_conversation(owner, name))

    result = invoke("show", *world.at, name, "--follow")

    assert (result.exit_code, f"'{name}' was not found" in result.stderr) == (1, True)


def test_a_name_that_two_owners_have_wants_the_account(world: World, tmp_path: Any) -> None:
    name = world.create([said("one")])
    done("export", *world.at, *ACME, "--out", tmp_path / "out")
    done("import", *world.at, "--account", "other", tmp_path / "out")

    result = invoke("show", *world.at, name)

    assert (result.exit_code, "2 accounts or end users" in result.stderr) == (1, True)
    assert done("show", *world.at, name, *ACME, "--json").stdout == f"{world.listed(name)[0][1]}\n"


def test_usage_is_by_account_and_end_user(world: World) -> None:
    mine = world.create([said("one"), said("gone", id="x")], [said(NOISE)])
    world.delete(mine, "x")
    world.create([said("two")], owner="ann")
    gone = world.create([said("three")])
    world.store.delete_conversation(ids.owner_of("acme", ""), gone)
    world.resources.s3.put_object(Bucket=world.bucket, Key="~nobody/conv_gone/object", Body=b"1")
    size = world.resources.s3.head_object(Bucket=world.bucket, Key=world.objects()[0])

    every, acme = json_of("usage", *world.at), json_of("usage", *world.at, *ACME)

    assert every == acme
    assert every["requests"] is None
    by_owner = {found["owner"]: found for found in every["owners"]}
    own = by_owner[ids.owner_of("acme", "")]
    assert (own["conversations"], own["items"], own["objects"]) == (1, 2, 1)
    [payload] = [
        row["data"]["B"] for row in world.rows() if "data" in row and row["pk"]["S"].endswith(mine)
    ]
    assert own["bytes"] == len(payload) + size["ContentLength"]
    assert by_owner[ids.owner_of("acme", "ann")]["items"] == 1
    assert json_of("usage", *world.at, "--account", "other")["owners"] == []
    header, *lines = done("usage", *world.at).stdout.splitlines()
    assert header.split() == ["account", "owner", "conversations", "items", "bytes", "objects"]
    assert len(lines) == 2


@pytest.fixture
def deployed(world: World, stack: DevStack) -> Iterator[list[str]]:
    """Return the option that names a stack with a log; the log itself is not there."""
    outputs = {
        "ConversationsTableName": world.table.name,
        "PayloadBucketName": world.bucket,
        "ApiKeysTableName": stack.template.name("ApiKeysTable"),
        "ApiLogGroupName": "/logs/api",
    }
    body = {
        "Resources": {"Any": {"Type": "AWS::SQS::Queue"}},
        "Outputs": {name: {"Value": value} for name, value in outputs.items()},
    }
    cloudformation = boto3.client("cloudformation")
    cloudformation.create_stack(StackName="usage", TemplateBody=json.dumps(body))
    yield ["--stack", "usage"]
    cloudformation.delete_stack(StackName="usage")


def test_usage_counts_requests_by_key_where_there_is_a_log(
    world: World, stack: DevStack, deployed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = ApiKeyRepository(stack.resources.dynamodb, stack.template.name("ApiKeysTable"))
    key = keys.create(account="acme", name="a")[1].key_id
    world.create()
    rows = [row(key, 7), row("key_gone", 2), row(None, 1)]
    ended = {"status": "Complete", "results": rows}
    queries = logged(monkeypatch, {"status": "Running", "results": []}, ended, ended)

    every = json_of("usage", *deployed)["requests"]
    text = done("usage", *deployed, *ACME, "--days", "7").stdout

    assert every == [
        {"key_id": "", "account": "", "requests": 1},
        {"key_id": key, "account": "acme", "requests": 7},
        {"key_id": "key_gone", "account": "", "requests": 2},
    ]
    assert queries.calls[0]["logGroupName"] == "/logs/api"
    assert "Requests of the last 7 days:" in text
    assert text.splitlines()[-1].split() == [key, "acme", "7"]


@pytest.mark.parametrize("status", ["Failed", "Cancelled", "Timeout", "Unknown"])
def test_usage_without_the_result_of_its_query_tells_storage_and_why(
    status: str, world: World, deployed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    world.create([said("one")])
    failed = {"status": status, "results": []}
    logged(monkeypatch, failed, failed)

    as_json = invoke("usage", *deployed, "--json")
    as_text = invoke("usage", *deployed)

    printed = json.loads(as_json.stdout)
    assert ([found["items"] for found in printed["owners"]], printed["requests"]) == ([1], None)
    assert len(as_text.stdout.splitlines()) == 2
    for result in (as_json, as_text):
        message = f"log group '/logs/api' ended with the status '{status}'"
        assert (result.exit_code, message in result.stderr) == (1, True)


def test_usage_without_a_log_group_tells_storage_and_why(
    world: World, deployed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    world.create([said("one")])
    logged(monkeypatch).before(error_response("ResourceNotFoundException"))

    result = invoke("usage", *deployed)

    assert (result.exit_code, len(result.stdout.splitlines())) == (1, 2)
    assert "AWS rejected StartQuery: ResourceNotFoundException" in result.stderr


def logged(monkeypatch: pytest.MonkeyPatch, *results: dict[str, Any]) -> Faults:
    """Let the queries of the log have these results, and return them."""
    monkeypatch.setattr(log_query, "POLL_SECONDS", 0)
    ok = {"ResponseMetadata": {"HTTPStatusCode": 200}}
    queries = Faults(client_of_commands("logs"), "StartQuery")
    queries.before({**ok, "queryId": "q"}, {**ok, "queryId": "q"})
    found = Faults(client_of_commands("logs"), "GetQueryResults")
    found.before(*[{**ok, **result} for result in results])
    return queries


def row(key_id: str | None, requests: int) -> list[dict[str, str]]:
    named = [] if key_id is None else [{"field": "key_id", "value": key_id}]
    return [*named, {"field": "requests", "value": str(requests)}]
