"""Supervisor that runs MiniStack while its parent lives, one instance per folder.

MiniStack's own interpreter runs it as `python -I emulator_supervisor.py FOLDER`, with a pipe as
standard input that nobody writes to. The pipe closes when the parent ends, even by SIGKILL; then
MiniStack receives SIGTERM and saves its data. `Snapshots` also saves it after each write, in case
MiniStack itself is killed.
"""

import asyncio
import copy
import fcntl
import os
import shutil
import signal
import sys
import threading
import time
import warnings
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from types import ModuleType
from typing import IO, Any, Final

_SAVE_SECONDS: Final = 12
_SNAPSHOT_SECONDS: Final = 0.5
_WRITER_POLL_SECONDS: Final = 0.1
_READS: Final = (b"BatchGet", b"Describe", b"Get", b"List", b"Query", b"Scan", b"TransactGet")
"""Prefixes of the DynamoDB operations that only read."""

type Message = MutableMapping[str, Any]
type Save = Callable[[dict[str, Callable[[], object]]], None]


class Snapshots:
    """MiniStack's ASGI application, with its state saved within a second of each write.

    MiniStack itself saves only when it exits normally. A forked process writes each snapshot: it
    has its own copy of the state and blocks no request. MiniStack handles each DynamoDB request in
    one step of the event loop, so a fork between two steps never sees half a transaction.
    """

    def __init__(self, ministack: ModuleType, lock: IO[str]) -> None:
        self._ministack = ministack
        self._lock = lock
        self._serve: Callable[..., Awaitable[None]] = ministack.app
        self._save_all: Save = ministack.save_all
        self._is_due = False
        self._writer: int | None = None

    async def __call__(self, scope: Message, receive: object, send: object) -> None:
        """Handle one request, and schedule a snapshot if the request may have written."""
        try:
            await self._serve(scope, receive, send)
        finally:
            if not self._is_due and _may_write(scope):
                self._is_due = True
                asyncio.get_running_loop().call_later(_SNAPSHOT_SECONDS, self._fork)

    def save_all(self, services: dict[str, Callable[[], object]]) -> None:
        """Save the final state, in place of a snapshot that is still being written."""
        if self._writer:
            os.kill(self._writer, signal.SIGKILL)
            os.waitpid(self._writer, 0)
        self._save_all(services)

    def _fork(self) -> None:
        if self._writer and os.waitpid(self._writer, os.WNOHANG) == (0, 0):
            asyncio.get_running_loop().call_later(_WRITER_POLL_SECONDS, self._fork)
            return
        self._is_due = False
        self._writer = os.fork()
        if not self._writer:
            self._write_and_exit()

    def _write_and_exit(self) -> None:
        """Write the snapshot, and hold the lock until it is written, even if the parent dies."""
        try:
            os.closerange(3, self._lock.fileno())  # clients must see their connections close
            os.closerange(self._lock.fileno() + 1, os.sysconf("SC_OPEN_MAX"))
            # MiniStack copies its state before it writes; this process already has its own copy.
            copy.deepcopy = _unchanged  # type: ignore[assignment]
            self._save_all(self._ministack._build_persistence_save_dict())  # noqa: SLF001 - no other way
        finally:
            os._exit(0)


def _unchanged(state: object, _memo: object = None) -> object:
    return state


def _may_write(scope: Message) -> bool:
    if scope["type"] != "http":
        return False
    target = dict(scope["headers"]).get(b"x-amz-target", b"")
    if target:
        return not target.rpartition(b".")[2].startswith(_READS)
    return scope["method"] not in {"GET", "HEAD"}


def _end_with_the_pipe() -> None:
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_SAVE_SECONDS)
    os._exit(1)


def _wait_for(lock: IO[str]) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.stderr.write("Another MiniStack uses this folder; waiting until it exits.\n")
        fcntl.flock(lock, fcntl.LOCK_EX)


def main(folder: Path) -> None:
    """Wait for an earlier MiniStack on the folder to exit, then run MiniStack."""
    threading.Thread(target=_end_with_the_pipe, daemon=True).start()
    with (folder / "lock").open("a") as lock:
        _wait_for(lock)
        lock.truncate(0)
        print(os.getpid(), file=lock, flush=True)
        temporary = folder / "tmp"
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()

        # Only MiniStack's environment has it, and it reads settings and folders on import.
        from ministack import app  # type: ignore[import-not-found]  # noqa: PLC0415

        if app.PERSIST_STATE:
            # The forked process takes no lock that another thread may have held.
            warnings.filterwarnings("ignore", ".*fork.*", DeprecationWarning)
            snapshots = Snapshots(app, lock)
            app.app, app.save_all = snapshots, snapshots.save_all
        sys.argv = ["ministack"]
        app.main()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
