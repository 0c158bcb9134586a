"""Load test of mixed requests: appends, pages and items, over persistent connections.

`python -m benchmarks.load` starts a local stack; `--url` and `--key` select another one, also a
deployed one. Each connection sends a request when it has the previous response. The exit status is
1 if a request failed.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import httpx

from benchmarks import events

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).parents[1]
APPENDS_EACH = 200
"""Appends to a conversation before its connection creates another."""
PAGE_ITEMS = 20
QUARTERS = 4


class Target(NamedTuple):
    """Stack under test."""

    url: str
    key: str
    process: int | None
    """Process id of the local stack."""

    def memory_mb(self) -> float | None:
        """Return the local stack's memory: gateway, functions and threads."""
        if self.process is None:
            return None
        status = Path(f"/proc/{self.process}/status").read_text(encoding="utf-8")
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        return round(int(found[1]) / 1024, 1) if found else None


class Load:
    """Requests of all connections, with their durations."""

    def __init__(self, target: Target, seconds: float) -> None:
        self._target = target
        self._deadline = time.monotonic() + seconds
        self._lock = threading.Lock()
        self.milliseconds: dict[str, list[float]] = defaultdict(list)
        self.errors: dict[str, int] = defaultdict(int)

    def run(self) -> None:
        """Send requests over one connection until the deadline."""
        headers = {"Authorization": f"Bearer {self._target.key}"}
        base = self._target.url + events.PREFIX
        with httpx.Client(base_url=base, headers=headers, timeout=30) as client:
            while time.monotonic() < self._deadline:
                made = self._send(client, "create", "POST", events.CONVERSATIONS, {})
                if made:
                    self._converse(client, f"{events.CONVERSATIONS}/{made['id']}/items")

    def _converse(self, client: httpx.Client, path: str) -> None:
        """Append a turn, list a page and get an item, repeatedly."""
        for _ in range(APPENDS_EACH):
            if time.monotonic() > self._deadline:
                return
            turn = self._send(client, "append 2", "POST", path, {"items": events.messages(2)})
            self._send(client, "list 20", "GET", f"{path}?limit={PAGE_ITEMS}&order=desc")
            if turn:
                self._send(client, "get", "GET", f"{path}/{turn['last_id']}")

    def _send(
        self, client: httpx.Client, name: str, method: str, path: str, body: object = None
    ) -> dict[str, str] | None:
        started = time.perf_counter()
        try:
            response = client.request(method, path, json=body)
            failure = None if response.status_code == HTTPStatus.OK else str(response.status_code)
        except httpx.HTTPError as error:
            failure = type(error).__name__
        passed = (time.perf_counter() - started) * 1000
        with self._lock:
            self.milliseconds[name].append(passed)
            if failure:
                self.errors[f"{name}: {failure}"] += 1
        if failure:
            return None
        parsed: dict[str, str] = response.json()
        return parsed


def main() -> None:
    """Print requests a second, percentiles, errors and memory."""
    options = _parser().parse_args()
    with _target(options) as target:
        load = Load(target, options.seconds)
        started = time.monotonic()
        memory = []
        with ThreadPoolExecutor(options.connections) as threads:
            runs = [threads.submit(load.run) for _ in range(options.connections)]
            for _ in range(QUARTERS):
                time.sleep(options.seconds / QUARTERS)
                memory.append(target.memory_mb())
        seconds = time.monotonic() - started
    for run in runs:
        run.result()
    sys.stdout.write(_report(load, seconds, memory))
    sys.exit(bool(load.errors))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=__doc__)
    parser.add_argument("--url", help="root of another stack, its stage included")
    parser.add_argument("--key", help="a key of that stack; or API_KEY in the environment")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--connections", type=int, default=8)
    return parser


@contextmanager
def _target(options: argparse.Namespace) -> Iterator[Target]:
    """Yield the stack of `--url`, or a local stack for the block."""
    if options.url:
        yield Target(options.url.rstrip("/"), options.key or os.environ["API_KEY"], None)
        return
    # The load exceeds the stage's default rate limit.
    unthrottled = ["ThrottlingRateLimit=10000", "ThrottlingBurstLimit=10000"]
    parameters = [word for given in unthrottled for word in ("--parameter", given)]
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, "-m", "local", "--quiet", "--port=0", f"--data={folder}", *parameters],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        ) as stack,
    ):
        try:
            lines = [stack.stdout.readline() if stack.stdout else "" for _ in range(2)]
            url, key = (line.partition(": ")[2].strip() for line in lines)
            if not url:
                raise SystemExit("The local stack did not start.")
            yield Target(url, key, stack.pid)
        finally:
            stack.send_signal(signal.SIGINT)


def _report(load: Load, seconds: float, memory: Sequence[float | None]) -> str:
    count = sum(map(len, load.milliseconds.values()))
    lines = [
        f"{count:,} requests in {seconds:.0f} s: {count / seconds:,.0f} a second",
        f"errors: {dict(load.errors) or 0}",
        f"memory of the local stack, by quarters, in MB: {memory}",
        "",
        "| request | count | p50, ms | p99, ms |",
        "| --- | ---: | ---: | ---: |",
    ]
    for name, measured in load.milliseconds.items():
        cuts = statistics.quantiles(measured, n=100) if len(measured) > 1 else measured * 100
        lines.append(f"| {name} | {len(measured):,} | {cuts[49]:.1f} | {cuts[98]:.1f} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
