"""The claim of one running stack on its data folder."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TextIO

from local.errors import FolderInUseError

# A stack that was killed together with its make notices within this time that it has to end.
_PATIENCE_SECONDS: Final = 0.5
_START_SECONDS: Final = 20.0
_POLL_SECONDS: Final = 0.05


class Claim:
    """The claimed folder, which says where its stack serves as soon as that is known."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def announce(self, url: str) -> None:
        """Tell other processes the URL of the stack that uses the folder."""
        self._file.write(f"{url} (process {os.getpid()})")
        self._file.flush()

    def withdraw(self) -> None:
        """Let other processes wait for the folder, because the stack is stopping."""
        self._file.truncate(0)


@contextmanager
def claimed(data: Path) -> Iterator[Claim]:
    """Keep every other stack off *data* until the block is left.

    A stack that is starting or stopping is waited for. The claim ends with the process, however
    that ends.

    Raises:
        FolderInUseError: another stack uses the folder; the message says where it serves.
    """
    data.mkdir(parents=True, exist_ok=True)
    with (data / "claim").open("a+") as file:
        _lock(file, data)
        file.truncate(0)
        yield Claim(file)


def _lock(file: TextIO, data: Path) -> None:
    begun = time.monotonic()
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            holder = file.read()
            if time.monotonic() - begun > (_PATIENCE_SECONDS if holder else _START_SECONDS):
                raise FolderInUseError(
                    f"{data} is used by the stack at {holder or 'an unknown address'}: stop that "
                    "one, or start this one with `make run DATA=.local2 PORT=8001`."
                ) from error
            time.sleep(_POLL_SECONDS)
        else:
            return
