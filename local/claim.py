"""Exclusive lock of one running stack on its data folder."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TextIO

from local.errors import FolderInUseError

# A stack whose `make` was killed exits within this time.
_PATIENCE_SECONDS: Final = 0.5
_START_SECONDS: Final = 20.0
_POLL_SECONDS: Final = 0.05


class Claim:
    """Lock file of a data folder, which contains the URL of the stack after its start."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def announce(self, url: str) -> None:
        """Publish the URL of the stack that uses the folder."""
        self._file.write(f"{url} (process {os.getpid()})")
        self._file.flush()

    def withdraw(self) -> None:
        """Remove the URL while the stack stops, so that other processes wait for the folder."""
        self._file.truncate(0)


@contextmanager
def claimed(data: Path) -> Iterator[Claim]:
    """Lock the folder *data* for the block.

    Wait for another stack that is starting or stopping. The operating system releases the lock
    when the process ends, even after SIGKILL.

    Raises:
        FolderInUseError: another stack uses the folder; the message has its URL.
    """
    data.mkdir(parents=True, exist_ok=True)
    with (data / "claim").open("a+") as file:
        _lock(file, data)
        file.truncate(0)
        yield Claim(file)


def _lock(file: TextIO, data: Path) -> None:
    started_at = time.monotonic()
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            holder = file.read()
            if time.monotonic() - started_at > (_PATIENCE_SECONDS if holder else _START_SECONDS):
                raise FolderInUseError(
                    f"{data} is in use by the stack at {holder or 'an unknown address'}. Stop that "
                    "stack, or use another folder and port: `make run DATA=.local2 PORT=8001`."
                ) from error
            time.sleep(_POLL_SECONDS)
        else:
            return
