"""The local stack as a process, with each engine: its output, its data and its exit."""

import fcntl
import itertools
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from tests.support.http_helpers import HELLO
from tests.support.paths import ROOT

on_one_folder = pytest.mark.xdist_group("lives")  # so that one worker has the fixture
ITEMS = "/api/v1/llm/conversations/conv_abc123/items"
BATCH = {"items": [HELLO]}
TEXT = HELLO["content"]


class Process:
    """A running `python -m local --quiet`."""

    def __init__(self, running: "subprocess.Popen[str]") -> None:
        self.running = running
        assert running.stdout
        self.lines = [running.stdout.readline() for _ in range(2)]
        self.url, self.key = (line.partition(": ")[2].strip() for line in self.lines)

    def request(
        self, method: str, body: object = None, params: Mapping[str, str | int] | None = None
    ) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.key}"}
        return httpx.request(method, self.url + ITEMS, headers=headers, json=body, params=params)

    def end(self, number: int) -> tuple[int, str, str]:
        """End the process; return its exit status, its output and its log."""
        self.running.send_signal(number)
        out, err = self.running.communicate(timeout=20)
        return self.running.returncode, out, err


def greeting_of(output: Iterable[str]) -> list[str]:
    """Return the lines of the startup message, or all lines if the stack exits before."""
    return [*itertools.takewhile(lambda line: line != "Press Ctrl-C to stop.\n", output)]


def command(data: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "local", "--port", "0", "--data", str(data), *arguments]


@contextmanager
def process(data: Path, engine: str, **environment: str) -> Iterator[Process]:
    with subprocess.Popen(  # noqa: S603 - our own command
        command(data, "--quiet", "--engine", engine),
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        try:
            yield Process(running)
        finally:
            running.kill()


def error_line(data: Path, *arguments: str, **environment: str) -> str:
    """Start a stack that must fail, and return its last line."""
    ended = subprocess.run(  # noqa: S603 - our own command
        command(data, *arguments),
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ended.returncode == 1
    assert ended.stdout == ""
    [line] = ended.stderr.splitlines()
    return line


def engine_of(data: Path) -> int:
    """Return the id of MiniStack's process for a data folder."""
    return int((data / "ministack" / "lock").read_text())


def is_in_use(data: Path) -> bool:
    """Return whether a MiniStack has locked the folder."""
    with (data / "ministack" / "lock").open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


@pytest.mark.parametrize(
    ("number", "chosen"),
    [
        (signal.SIGTERM, None),
        pytest.param(signal.SIGINT, "any!key~at'all", marks=pytest.mark.prove),
    ],
    ids=["term", "int, with a chosen key"],
)
def test_quiet_stack_prints_two_lines_serves_and_ends_cleanly(
    tmp_path: Path, number: signal.Signals, chosen: str | None
) -> None:
    with process(tmp_path, "moto", **({"API_KEY": chosen} if chosen else {})) as stack:
        response = stack.request("POST", BATCH)

        ended = stack.end(number)

    assert stack.lines == [f"url: {stack.url}\n", f"key: {stack.key}\n"]
    assert stack.url.startswith("http://127.0.0.1:")
    assert response.json()["data"][0]["content"] == TEXT
    assert ended == (0, "", "")
    assert chosen in {stack.key, None}
    assert (tmp_path / "api-key").exists() is (chosen is None)


@pytest.mark.prove
def test_greeting_shows_a_request_and_lines_that_work(tmp_path: Path) -> None:
    with subprocess.Popen(  # noqa: S603 - our own command
        command(tmp_path, "--engine", "moto"),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as running:
        assert running.stdout
        shown = greeting_of(running.stdout)
        pasted = [line for line in shown if line.startswith(("curl", ".venv/bin/python"))]
        responses = [subprocess.check_output(line, shell=True, cwd=ROOT) for line in pasted]  # noqa: S602 - as pasted
        running.terminate()

    assert shown[0] == f"POST {ITEMS}\n"
    assert json.loads(responses[0])["data"][0]["id"].startswith("msg_")
    assert TEXT.encode() in responses[1]
    assert b"ResponseInputText" in responses[2]


@pytest.mark.prove
def test_key_that_cannot_be_sent_is_rejected(tmp_path: Path) -> None:
    line = error_line(tmp_path, "--engine", "moto", API_KEY="two words")

    assert line == "error: API_KEY must be 1 to 256 visible ASCII characters without a space."


@pytest.mark.prove
def test_public_address_is_rejected(tmp_path: Path) -> None:
    assert "loopback addresses only" in error_line(tmp_path, "--host", "0.0.0.0")  # noqa: S104 - rejected


def test_port_in_use_is_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        line = error_line(tmp_path, "--engine", "moto", "--port", str(other.getsockname()[1]))

    assert "is in use" in line


@pytest.mark.parametrize(
    "port", ["http", *(pytest.param(port, marks=pytest.mark.prove) for port in ("99999", "-1"))]
)
def test_port_that_is_none_is_one_line(port: str, tmp_path: Path) -> None:
    line = error_line(tmp_path, "--engine", "moto", f"--port={port}")

    assert line.startswith("error: PORT must be ")
    assert f"got {port}" in line.replace("'", "")


@pytest.mark.prove
def test_parameter_of_the_template_can_be_given(tmp_path: Path) -> None:
    line = error_line(tmp_path, "--engine", "moto", "--parameter", "CorsOrigins=localhost:5173")

    assert "The parameter CorsOrigins cannot be 'localhost:5173'" in line


@pytest.mark.prove
def test_endpoint_has_to_be_named(tmp_path: Path) -> None:
    line = error_line(tmp_path, "--engine", "aws-endpoint", AWS_ENDPOINT_URL="")

    assert line == "error: The engine aws-endpoint needs AWS_ENDPOINT_URL: set it."


class Lives(NamedTuple):
    """Results of three stacks on one data folder, one after the other."""

    data: Path
    first: Process
    error: str
    waited: float
    end_of_first: tuple[int, str, str]
    greeting: list[str]
    orphan: int
    third: Process
    listed: list[str]


@pytest.fixture(scope="module")
def lives(tmp_path_factory: pytest.TempPathFactory) -> Lives:
    """Run stacks up to a stop, a kill and a new key; tests share them, as a start takes seconds.

    The third starts while the engine of the killed one still saves, and waits for the folder.
    """
    data = tmp_path_factory.mktemp("data")
    with process(data, "ministack") as first:
        begun = time.monotonic()
        line = error_line(data)
        waited = time.monotonic() - begun
        first.request("POST", BATCH)
        end_of_first = first.end(signal.SIGTERM)
    with subprocess.Popen(  # noqa: S603 - our own command
        command(data), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as second:
        assert second.stdout
        greeting = greeting_of(second.stdout)
        orphan = engine_of(data)
        second.kill()
    with process(data, "ministack", API_KEY="another") as third:
        listed = [item["content"] for item in third.request("GET").json()["data"]]
        third.end(signal.SIGTERM)
    return Lives(data, first, line, waited, end_of_first, greeting, orphan, third, listed)


@pytest.mark.prove
@on_one_folder
def test_second_stack_on_a_folder_fails_at_once_with_the_url_of_the_first(lives: Lives) -> None:
    assert lives.error == (
        f"error: {lives.data} is in use by the stack at {lives.first.url} (process"
        f" {lives.first.running.pid}). Stop that stack, or use another folder and"
        " port: `make run DATA=.local2 PORT=8001`."
    )
    assert lives.waited < 5


@pytest.mark.prove
@on_one_folder
def test_data_and_key_survive_a_stop(lives: Lives) -> None:
    assert lives.end_of_first == (0, "", "")
    assert f"key: {lives.first.key}\n" in lives.greeting
    assert (lives.data / "api-key").stat().st_mode & 0o077 == 0


@pytest.mark.prove
@on_one_folder
def test_later_greeting_reads_what_is_there(lives: Lives) -> None:
    assert lives.greeting[0] == f"GET {ITEMS}?order=desc&limit=1\n"
    assert f'"{TEXT}"' in "".join(lives.greeting)


@pytest.mark.prove
@on_one_folder
def test_data_is_the_same_account_under_another_key(lives: Lives) -> None:
    assert lives.third.key == "another" != lives.first.key
    assert lives.listed


@pytest.mark.prove
@on_one_folder
def test_killed_stack_leaves_no_process_and_loses_nothing(lives: Lives) -> None:
    assert lives.listed == [TEXT]
    assert engine_of(lives.data) != lives.orphan
    assert not is_in_use(lives.data)


@pytest.mark.prove
def test_killed_engine_ends_the_stack_and_loses_at_most_the_last_second(tmp_path: Path) -> None:
    acknowledged: dict[str, float] = {}
    with process(tmp_path, "ministack") as stack:
        begun = time.monotonic()
        while time.monotonic() < begun + 2.5:
            item = stack.request("POST", BATCH).json()["data"][0]
            acknowledged[item["id"]] = time.monotonic()
            time.sleep(0.05)
        killed = time.monotonic()
        os.kill(engine_of(tmp_path), signal.SIGKILL)
        _, err = stack.running.communicate(timeout=20)

    assert stack.running.returncode == 1
    assert "error: ministack exited unexpectedly" in err
    with process(tmp_path, "ministack") as second:
        page = second.request("GET", params={"limit": 100}).json()
        second.end(signal.SIGTERM)

    kept = {item["id"] for item in page["data"]}
    owed = [item for item, moment in acknowledged.items() if moment < killed - 1]
    assert owed
    assert kept >= {*owed}
    assert kept <= acknowledged.keys()


@pytest.mark.prove
def test_stack_ends_with_the_make_that_runs_it(tmp_path: Path) -> None:
    makefile = tmp_path / "Makefile"
    line = f"cd {shlex.quote(str(ROOT))} && exec {shlex.join(command(tmp_path, '--quiet'))}"
    makefile.write_text(f"run:\n\t@{line}\n")
    with subprocess.Popen(  # noqa: S603 - our own command
        ["make", "--no-print-directory", "-f", str(makefile), "run"],  # noqa: S607 - wherever it is
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as make:
        try:
            assert Process(make).request("GET").status_code == 200
        finally:
            make.kill()

        # Its standard output closes when the last of its processes is gone.
        make.communicate(timeout=20)

    assert not is_in_use(tmp_path)
