"""Commands that cannot go on end with exit status 1 and one sentence, on moto."""

from __future__ import annotations

import errno
import os
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING

import pytest

from conversations.errors import OverloadedError, ServerError
from conversations.storage import backoff
from conversations_cli import export
from tests.support.commands import invoke
from tests.support.http_helpers import NOISE
from tests.support.stored import World, said

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from click.testing import Result

    from local.stack import DevStack

ACME = ("--account", "acme")


@pytest.fixture
def world(stack: DevStack, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[World]:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setattr(backoff, "RETRY_SECONDS", 0)
    with ThreadPoolExecutor(1) as executor, stack.engine.lock:
        yield World(stack.resources, executor)


def said_in(result: Result) -> str:
    """Return the only sentence of a command that ended with 1, without "Error: "."""
    assert result.exit_code == 1, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    [line] = result.stderr.splitlines()
    return line.removeprefix("Error: ")


def export_into(out: Path) -> list[str]:
    return ["export", *ACME, "--out", str(out)]


def damaged(text: bytes) -> Callable[[Path], list[str]]:
    def arguments(folder: Path) -> list[str]:
        (folder / "out.progress").write_bytes(text)
        return export_into(folder / "out")

    return arguments


def ids_not_utf8(folder: Path) -> list[str]:
    (folder / "ids").write_bytes(b"conv_\xff")
    return ["import", *ACME, "--ids", str(folder / "ids")]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (lambda folder: export_into(folder / "no" / "x"), "No such file or directory: "),
        (damaged(b"{"), "out.progress is damaged. Delete it and "),
        (damaged(b"\xff"), "out.progress is damaged. Delete it and "),
        (damaged(b"[1]"), "out.progress is damaged. Delete it and "),
        (damaged(b'{"offset": "x"}'), "out.progress is damaged. Delete it and "),
        (ids_not_utf8, "A file is not text in UTF-8: "),
    ],
)
def test_a_file_that_cannot_be_used_is_told(
    arguments: Callable[[Path], list[str]], sentence: str, world: World, tmp_path: Path
) -> None:
    assert sentence in said_in(invoke(*arguments(tmp_path), *world.at))


def test_a_folder_is_not_a_file_to_import(world: World, tmp_path: Path) -> None:
    result = invoke("import", *world.at, *ACME, tmp_path)

    assert (result.exit_code, "is a directory" in result.stderr) == (2, True)


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (OverloadedError("Over capacity."), "Over capacity. Run the command again: it continues"),
        (ServerError("S3 did not delete 2 objects."), "S3 did not delete 2 objects."),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), "No space left on device"),
        (sqlite3.OperationalError("database or disk is full"), "database or disk is full"),
    ],
)
def test_a_failure_is_one_sentence(
    error: Exception,
    sentence: str,
    world: World,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(export, "scan_index", fail)

    result = invoke(*export_into(tmp_path / "out"), *world.at)

    assert said_in(result).startswith(sentence)


def test_a_row_of_a_newer_release_is_told(world: World, tmp_path: Path) -> None:
    world.create([said("one")])
    [row] = [row for row in world.rows() if row["sk"]["S"] == "C"]
    newer = {**row, "v": {"N": "2"}}
    world.table.dynamodb.put_item(TableName=world.table.name, Item=newer)

    for command in (export_into(tmp_path / "out"), ["list", *ACME], ["erase", *ACME, "--yes"]):
        assert said_in(invoke(*command, *world.at)).startswith("A row has schema version 2, which")


def test_an_object_that_is_replaced_in_every_attempt_is_told(world: World, tmp_path: Path) -> None:
    name = world.create([said(NOISE)])
    [key] = world.objects()
    world.resources.s3.delete_object(Bucket=world.bucket, Key=key)

    sentence = said_in(invoke(*export_into(tmp_path / "out"), *world.at))

    assert sentence.startswith(f"Items of conversation '{name}' changed during every attempt")


@pytest.mark.parametrize("name", ["AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN"])
def test_credentials_that_no_header_can_have_are_not_printed(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A URL of its own, because commands of tests share the session of a URL.
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:9/{name}")
    credentials = dict.fromkeys(["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"], "x")
    for given, value in {**credentials, "AWS_DEFAULT_REGION": "x", name: "my\rsecret"}.items():
        monkeypatch.setenv(given, value)

    result = invoke("list", "--table", "t", "--bucket", "b", *ACME)

    assert said_in(result).startswith("The AWS credentials have a character")


@pytest.mark.parametrize(
    "name", ["AWS_MAX_ATTEMPTS", "AWS_ENDPOINT_URL_DYNAMODB", "AWS_RETRY_MODE"]
)
def test_an_aws_configuration_that_is_not_valid_is_told(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for given, value in {"AWS_DEFAULT_REGION": "us-east-1", name: "bad value"}.items():
        monkeypatch.setenv(given, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:9/{name}")

    assert "bad value" in said_in(invoke("list", "--table", "t", "--bucket", "b", *ACME))


class Proxy(BaseHTTPRequestHandler):
    """A proxy that sends its own page."""

    def do_POST(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Write no log."""


def test_a_page_of_a_proxy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"]
    for name in keys:
        monkeypatch.setenv(name, "x")
    with HTTPServer(("127.0.0.1", 0), Proxy) as server:
        server.timeout = 20
        thread = threading.Thread(target=server.handle_request, daemon=True)
        thread.start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        result = invoke("list", "--table", "t", "--bucket", "b", *ACME)
        thread.join(20)

    assert said_in(result).startswith("AWS cannot be called: the response is an HTML page.")


@pytest.mark.parametrize(
    "arguments",
    [
        ("owner", "acme", "\udcff"),
        ("list", "--table", "t", "--bucket", "b", *ACME, "--end-user", "\udcff"),
        ("list", "--table", "t", "--bucket", "b", *ACME, "--search", "\udcff"),
        ("keys", "create", "--table", "t", *ACME, "--name", "\udcff"),
    ],
)
def test_an_argument_that_is_not_utf_8_is_rejected(arguments: tuple[str, ...]) -> None:
    result = invoke(*arguments)

    assert (result.exit_code, "must be text in UTF-8." in result.stderr) == (2, True)
