"""Run MiniStack for as long as the process that started it lives, and no two on one folder.

Run by MiniStack's own interpreter as `python -I leash.py FOLDER`, with a pipe as standard input
that nobody writes to. The pipe closes when its other end is gone, however that came about, kill -9
included; then MiniStack is told to end, which is when it saves its data.
"""

import fcntl
import os
import shutil
import signal
import sys
import threading
import time
from pathlib import Path
from typing import IO

_SAVE_SECONDS = 12


def _end_with_the_pipe() -> None:
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_SAVE_SECONDS)
    os._exit(1)


def _wait_for(lock: IO[str]) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.stderr.write("Another MiniStack uses this folder; waiting until it has ended.\n")
        fcntl.flock(lock, fcntl.LOCK_EX)


def main(folder: Path) -> None:
    """Wait for a predecessor on the folder to end, then be MiniStack."""
    threading.Thread(target=_end_with_the_pipe, daemon=True).start()
    with (folder / "lock").open("a") as lock:
        _wait_for(lock)
        lock.truncate(0)
        print(os.getpid(), file=lock, flush=True)
        temporary = folder / "tmp"
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()

        # Another environment has it, and it reads its settings and folders on import.
        from ministack import app  # type: ignore[import-not-found]  # noqa: PLC0415

        sys.argv = ["ministack"]
        app.main()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
