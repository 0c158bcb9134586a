"""Comparison with OGX, a server with the same API on SQLite, called alternately with our handler.

It compares the CPU that an operator pays for: of the API function, on MiniStack, and of OGX's
process. OGX's CPU includes HTTP and the database, which are API Gateway's and DynamoDB's for us.
"""

from __future__ import annotations

import itertools
import os
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from benchmarks import events
from benchmarks.comparisons import Row, ratio
from benchmarks.handler import (
    BATCH_ITEMS,
    CONVERSATION_ITEMS,
    PAGE_ITEMS,
    PAGES,
    WARM_UP,
    cpu_ms,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.handler import Handler

ROOT = Path(__file__).parents[1]
OGX = ROOT / ".tools" / "ogx" / "bin" / "ogx"
CONFIGURATION = Path(__file__).parent / "peers" / "ogx.yaml"
AGAINST = "OGX's process"
AT_MOST = {"oldest 100 of 1,000 items": 0.30, "append of 1": 0.35, "append of 20": 0.14}
START_SECONDS = 60


class Server:
    """Running OGX server."""

    def __init__(self, process: subprocess.Popen[bytes], client: httpx.Client) -> None:
        self._clock = (~process.pid << 3) | 2  # clock_getcpuclockid(3): the CPU of a process
        self._client = client

    def cpu_ms(self, work: Callable[[], object]) -> float:
        """Return the server's CPU milliseconds during *work*."""
        before = time.clock_gettime(self._clock)
        work()
        return (time.clock_gettime(self._clock) - before) * 1000

    def conversation(self, items: int) -> str:
        """Create a conversation, and return the path of its items."""
        conversation_id = (
            self._client.post("/v1/conversations", json={}).raise_for_status().json()["id"]
        )
        path = f"/v1/conversations/{conversation_id}/items"
        for _ in range(items // BATCH_ITEMS):
            self.append(path, BATCH_ITEMS)
        return path

    def append(self, path: str, count: int) -> None:
        """Append *count* messages."""
        self._client.post(path, json={"items": events.messages(count)}).raise_for_status()

    def list_items(self, path: str, order: str) -> None:
        """List a page of items."""
        page = self._client.get(path, params={"limit": PAGE_ITEMS, "order": order})
        if len(page.raise_for_status().json()["data"]) != PAGE_ITEMS:
            raise RuntimeError(page.text)


def compare_with_ogx(handler: Handler, pairs: int) -> list[Row]:
    """Compare the CPU of appends of 1 and 20 items and of pages of 100.

    If OGX is not installed, print that and return no rows.
    """
    if not OGX.exists():
        sys.stderr.write("OGX is not installed and is skipped; `make bench` tries to install it.\n")
        return []
    with running_ogx() as server:
        conversation_id = handler.conversation(CONVERSATION_ITEMS)
        path = server.conversation(CONVERSATION_ITEMS)

        def append(count: int) -> Row:
            event = events.append(conversation_id, count)
            theirs = partial(server.append, path, count)
            return _compare(
                server, f"append of {count}", partial(handler.invoke, event), theirs, pairs
            )

        def page(name: str, order: str) -> Row:
            event = events.list_items(conversation_id, PAGE_ITEMS, order)
            theirs = partial(server.list_items, path, order)
            return _compare(server, name, partial(handler.invoke, event), theirs, pairs)

        return [
            *itertools.starmap(page, PAGES.items()),
            append(1),
            append(BATCH_ITEMS),
        ]


def _compare(
    server: Server,
    what: str,
    ours: Callable[[], object],
    theirs: Callable[[], object],
    pairs: int,
) -> Row:
    measured = [(cpu_ms(ours), server.cpu_ms(theirs)) for _ in range(WARM_UP + pairs)][WARM_UP:]
    mine, other = zip(*measured, strict=True)
    name = f"{what}: CPU of a request"
    return ratio(name, AGAINST, ours=mine, theirs=other, unit="ms", at_most=AT_MOST.get(what))


@contextmanager
def running_ogx() -> Iterator[Server]:
    """Run OGX on a free port of this machine, with an empty database."""
    with tempfile.TemporaryDirectory() as folder, socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        port = chosen.getsockname()[1]
        chosen.close()
        with (Path(folder) / "log").open("wb") as log:
            process = subprocess.Popen(  # noqa: S603 - our own installation
                [OGX, "run", CONFIGURATION, "--port", str(port), "--insecure"],
                env={"PATH": os.environ["PATH"], "HOME": folder, "OGX_DATA": folder},
                stdout=log,
                stderr=log,
            )
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
                _wait_for(client, process)
                yield Server(process, client)
        finally:
            process.terminate()
            process.wait()


def _wait_for(client: httpx.Client, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            client.get("/v1/health").raise_for_status()
        except httpx.HTTPError:
            if time.monotonic() > deadline or process.poll() is not None:
                raise
            time.sleep(0.2)
        else:
            return
