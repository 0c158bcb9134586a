"""Commands with `--local`, on a running local stack, also if they are killed in between."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from conversations import ids
from conversations.storage.restore import ROWS_AT_ONCE
from conversations_cli.command_line import DevStack
from tests.support.commands import done, invoke, json_of
from tests.support.http_helpers import NOISE
from tests.support.paths import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


pytestmark = pytest.mark.xdist_group("local commands")  # they share a stack
KILLED = """
import itertools, os, signal, sys
from botocore.client import BaseClient
operation, number = sys.argv[1], int(sys.argv[2])
calls, make_api_call = itertools.count(1), BaseClient._make_api_call
def call(client, name, given):
    if name == operation and next(calls) == number:
        os.kill(os.getpid(), signal.SIGKILL)
    return make_api_call(client, name, given)
BaseClient._make_api_call = call
from conversations_cli.__main__ import main
main(sys.argv[3:])
"""
"""Program that runs a command and kills it at the given call of an operation of AWS."""


@contextmanager
def local_stack(data: Path) -> Iterator[dict[str, str]]:
    """Run a local stack in a process of its own; yield its `url` and `key`."""
    command = [sys.executable, "-m", "local", "--port", "0", "--data", str(data), "--quiet"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as running:  # noqa: S603 - our own command
        try:
            assert running.stdout
            pairs = [running.stdout.readline().strip().split(": ") for _ in range(2)]
            yield dict(pairs)
        finally:
            running.send_signal(signal.SIGTERM)
            running.wait()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("local")


@pytest.fixture(scope="module")
def running(data: Path) -> Iterator[dict[str, str]]:
    with local_stack(data) as stack:
        yield stack


@pytest.fixture(scope="module")
def client(running: dict[str, str]) -> Iterator[httpx.Client]:
    """Ann, an end user of the local stack's account."""
    headers = {"Authorization": f"Bearer {running['key']}", "X-On-Behalf-Of": "ann"}
    url = f"{running['url']}/v1"
    with httpx.Client(base_url=url, headers=headers, timeout=60) as client:
        yield client


@pytest.fixture
def local(data: Path, client: httpx.Client) -> list[str]:
    """Return the options of a command; Ann has three conversations, and nobody else has any."""
    options = ["--local", "--data", str(data)]
    done("erase", *options, *ANN, "--yes")
    for number in range(3):
        items = [{"role": "user", "content": f"{number}", "id": f"own_{number}"}]
        made = client.post("/conversations", json={"items": items}).json()["id"]
        large = {"items": [{"role": "user", "content": NOISE}]}
        client.post(f"/conversations/{made}/items", json=large).raise_for_status()
    return options


ANN = ("--account", "local", "--end-user", "ann")


@pytest.fixture(autouse=True)
def _home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


def kill(operation: str, number: int, *arguments: str | Path) -> None:
    """Run a command that is killed at a call of AWS."""
    command = [sys.executable, "-c", KILLED, operation, str(number), *map(str, arguments)]
    ended = subprocess.run(command, env={**os.environ}, capture_output=True, check=False)  # noqa: S603 - our own command
    assert ended.returncode == -signal.SIGKILL, ended.stderr


def listed(client: httpx.Client) -> dict[str, Any]:
    """Return all items of Ann's conversations, by conversation."""
    found = client.get("/conversations").json()["data"]
    return {
        entry["id"]: client.get(f"/conversations/{entry['id']}/items").json()["data"]
        for entry in found
    }


def test_a_second_key_is_made(running: dict[str, str], data: Path) -> None:
    options = ["--local", "--data", data, "--account", "bob", "--name", "second"]
    key = done("keys", "create", *options, "--scope", "read").stdout.strip()
    headers = {"Authorization": f"Bearer {key}"}
    url = f"{running['url']}/v1/conversations"

    assert httpx.get(url, headers=headers).json()["data"] == []
    assert httpx.post(url, headers=headers).status_code == 403
    delegated = httpx.get(url, headers={**headers, "X-On-Behalf-Of": "eve"})
    assert delegated.json()["error"]["code"] == "delegation_not_allowed"


def test_what_is_there_is_listed_and_shown(local: list[str], client: httpx.Client) -> None:
    printed = done("list", *local, *ANN, "--json").stdout.splitlines()
    names = [json.loads(line)["id"] for line in printed]

    assert set(names) == set(listed(client))
    assert NOISE in done("show", *local, names[0]).stdout
    owners = json_of("usage", *local, "--account", "local")["owners"]
    [ann] = [found for found in owners if found["objects"]]
    assert (ann["conversations"], ann["items"], ann["objects"]) == (3, 6, 3)


@pytest.mark.prove
def test_commands_that_are_killed_go_on(
    local: list[str], client: httpx.Client, tmp_path: Path
) -> None:
    before = listed(client)
    out, again = tmp_path / "out.gz", tmp_path / "again.gz"

    kill("GetObject", 2, "export", *local, *ANN, "--out", out)
    assert not out.exists()
    done("export", *local, *ANN, "--out", out)
    assert [path.name for path in tmp_path.glob("out*")] == ["out.gz"]

    kill("TransactWriteItems", 2, "erase", *local, *ANN, "--yes")
    assert json_of("erase", *local, *ANN, "--yes")["conversations"] == 3
    assert listed(client) == {}

    eve = ("--account", "local", "--end-user", "eve")
    kill("PutObject", 2, "import", *local, *eve, out)
    report = json_of("import", *local, *eve, out)
    assert (report["imported"], report["present"]) == (2, 1)
    headers = {"X-On-Behalf-Of": "eve"}
    for name, items in before.items():
        page = client.get(f"/conversations/{name}/items", headers=headers)
        assert page.json()["data"] == items
    done("export", *local, *eve, "--out", again)
    assert len(again.read_bytes()) > 1_000
    assert json_of("erase", *local, *eve, "--yes")["conversations"] == 3


@pytest.mark.prove
def test_an_import_that_is_killed_between_two_transactions_of_rows_goes_on(
    local: list[str], client: httpx.Client, data: Path, tmp_path: Path
) -> None:
    batches = [
        [{"role": "user", "content": "a", "id": f"{b}_{n}"} for n in range(20)] for b in "ab"
    ]
    batches[0][0]["content"] = NOISE
    zoe, eve = (("--account", "local", "--end-user", name) for name in ("zoe", "eve"))
    hers, theirs = {"X-On-Behalf-Of": "zoe"}, {"X-On-Behalf-Of": "eve"}
    made = client.post("/conversations", json={"items": batches[0]}, headers=hers).json()["id"]
    path = f"/conversations/{made}"
    client.post(f"{path}/items", json={"items": batches[1]}, headers=hers).raise_for_status()
    done("export", *local, *zoe, "--out", tmp_path / "out")
    aws = DevStack.at(data)
    table, bucket = (aws.known[name] for name in ("ConversationsTableName", "PayloadBucketName"))

    def written() -> tuple[int, int]:
        """Return the numbers of Eve's rows and objects of the conversation."""
        prefix = f"{ids.owner_of('local', 'eve')}/{made}"
        rows = aws.session.client("dynamodb").query(
            TableName=table,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": prefix}},
        )
        objects = aws.session.client("s3").list_objects_v2(Bucket=bucket, Prefix=prefix)
        return rows["Count"], objects["KeyCount"]

    kill("TransactWriteItems", 3, "import", *local, *eve, tmp_path / "out")
    partly, unseen = written(), client.get(path, headers=theirs).status_code
    report = json_of("import", *local, *eve, tmp_path / "out")

    assert (partly, unseen) == ((1 + ROWS_AT_ONCE, 1), 404)
    assert (report["imported"], report["items"]) == (1, 40)
    assert written() == (1 + len(batches) + 40, 1)
    items = [client.get(f"{path}/items?limit=100", headers=who).json() for who in (hers, theirs)]
    assert items[0] == items[1]
    for scope in (zoe, eve):
        assert json_of("erase", *local, *scope, "--yes")["conversations"] == 1


def test_without_a_stack_the_command_says_what_to_do(tmp_path: Path) -> None:
    gone = {"endpoint": "http://127.0.0.1:1", "region": "us-east-1", "outputs": {}}
    names = {"ConversationsTableName": "t", "PayloadBucketName": "b"}

    none = invoke("list", "--local", "--data", tmp_path, *ANN)
    (tmp_path / "stack.json").write_text(json.dumps({**gone, "outputs": names}))
    dead = invoke("list", "--local", "--data", tmp_path, *ANN)
    both = invoke("list", "--local", "--stack", "s", *ANN)

    assert (none.exit_code, "Start it with `make run`" in none.stderr) == (1, True)
    assert (dead.exit_code, "The local stack does not respond" in dead.stderr) == (1, True)
    assert (both.exit_code, "either --stack or --local" in both.stderr) == (2, True)


@pytest.mark.parametrize("text", ["{", "{}", "[1]", "null"])
def test_a_damaged_file_of_a_local_stack_is_told(text: str, tmp_path: Path) -> None:
    (tmp_path / "stack.json").write_text(text)

    result = invoke("list", "--local", "--data", tmp_path, *ANN)

    assert (result.exit_code, "Start it with `make run`" in result.stderr) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("leftovers",), "stop `make run` and delete the folder"),
        (("keys", "create", "--account", "a", "--name", "n", "--plan", "free"), "Omit --plan"),
        (("keys", "rotate", "KEY", "--plan", "free"), "Omit --plan"),
        (("keys", "show", "KEY", "--last-use"), "look for the key_id in the terminal"),
    ],
)
def test_a_feature_that_a_local_stack_lacks_is_reported(
    arguments: tuple[str, ...], message: str, running: dict[str, str], data: Path
) -> None:
    at = ["--local", "--data", data]
    key_id = json_of("keys", "create", *at, "--account", "bob", "--name", "third")["key_id"]

    given = [key_id if word == "KEY" else word for word in arguments]
    result = invoke(*given, *at)

    assert running["url"]
    assert (result.exit_code, message in " ".join(result.stderr.split())) == (2, True)


def test_a_local_key_is_revoked_at_once_by_a_restart(running: dict[str, str], data: Path) -> None:
    at = ["--local", "--data", data]
    key_id = json_of("keys", "create", *at, "--account", "bob", "--name", "fourth")["key_id"]

    said = done("keys", "revoke", *at, key_id).stderr

    assert running["url"]
    assert "To revoke it now: restart `make run`." in said


@pytest.mark.prove
def test_a_stack_that_ends_takes_its_file_along(tmp_path: Path) -> None:
    with local_stack(tmp_path):
        found = json.loads((tmp_path / "stack.json").read_text())

    assert found["endpoint"].startswith("http://127.0.0.1:")
    assert not (tmp_path / "stack.json").exists()
