"""Emulators of DynamoDB and S3: moto in this process, MiniStack beside it, or an endpoint."""

import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from local.errors import EngineError
from local.intrinsics import REGION

type EngineName = Literal["moto", "ministack", "aws-endpoint"]

MINISTACK: Final = Path(__file__).parents[1] / ".tools" / "ministack" / "bin" / "python"

_START_SECONDS: Final = 30.0  # an earlier instance may still be saving its data
_STOP_SECONDS: Final = 15.0

# The developer's own AWS configuration must not reach the functions, least of all a key.
_NO_CLOUD: Final[Mapping[str, str]] = {
    "AWS_ACCESS_KEY_ID": "local",
    "AWS_SECRET_ACCESS_KEY": "local",
    "AWS_DEFAULT_REGION": REGION,
    "AWS_REGION": REGION,
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
    # moto serves DynamoDB Streams only under the host name without an account.
    "AWS_ACCOUNT_ID_ENDPOINT_MODE": "disabled",
}
# One lock for all stacks of this process, because they share one moto.
_MOTO_LOCK: Final = threading.RLock()
_FORBIDDEN: Final = ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN", "AWS_ENDPOINT_URL")


@dataclass(frozen=True, slots=True)
class Engine:
    """A running emulator."""

    name: EngineName
    lock: AbstractContextManager[object] = field(default_factory=nullcontext)
    """Lock to hold while using the engine, because moto loses data under threads."""
    has_exited: Callable[[], bool] = bool


@dataclass(frozen=True, slots=True)
class Ministack:
    """A running MiniStack."""

    port: int
    process: subprocess.Popen[bytes]


@contextmanager
def running_engine(name: EngineName, data: Path) -> Iterator[Engine]:
    """Run an engine for the block, in an environment that points boto3 to it and never to AWS.

    Raises:
        EngineError: the engine is not available; the message says what to do.
    """
    endpoint = os.environ.get("AWS_ENDPOINT_URL")
    if name == "aws-endpoint" and not endpoint:
        raise EngineError("The engine aws-endpoint needs AWS_ENDPOINT_URL: set it.")
    with changed_environment(_NO_CLOUD, without=_FORBIDDEN):
        if name == "moto":
            yield from _moto()
        elif name == "ministack":
            yield from _ministack(data)
        else:
            with changed_environment({"AWS_ENDPOINT_URL": str(endpoint)}):
                yield Engine(name)


@contextmanager
def changed_environment(
    values: Mapping[str, str], *, without: tuple[str, ...] = ()
) -> Iterator[None]:
    """Set these variables, and unset those of *without*, for the block."""
    before = {name: os.environ.get(name) for name in (*values, *without)}
    for name in without:
        os.environ.pop(name, None)
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _moto() -> Iterator[Engine]:
    from moto import mock_aws  # noqa: PLC0415 - half a second that the other engines need not pay

    with mock_aws():
        yield Engine("moto", lock=_MOTO_LOCK)


def _ministack(data: Path) -> Iterator[Engine]:
    folder = data.absolute() / "ministack"
    settings = {
        **os.environ,
        "LOG_LEVEL": "WARNING",
        "PERSIST_STATE": "1",
        "S3_DATA_DIR": str(folder / "s3"),
        "S3_PERSIST": "1",
        "SERVICES": "dynamodb,dynamodbstreams,s3",
        "STATE_DIR": str(folder / "state"),
    }
    with (
        running_ministack(folder, settings) as ministack,
        changed_environment({"AWS_ENDPOINT_URL": f"http://127.0.0.1:{ministack.port}"}),
    ):
        yield Engine("ministack", has_exited=lambda: ministack.process.poll() is not None)


@contextmanager
def running_ministack(folder: Path, environment: Mapping[str, str]) -> Iterator[Ministack]:
    """Run MiniStack on a free loopback port, with its log and temporary files in *folder*.

    `emulator_supervisor.py` makes it save and exit when our end of the pipe closes.

    Raises:
        EngineError: MiniStack is not installed, or does not start.
    """
    if not MINISTACK.exists():
        raise EngineError(
            "MiniStack is not installed: `make run` installs it. The engine moto needs no "
            "installation, but keeps no data after it exits."
        )
    folder.mkdir(parents=True, exist_ok=True)
    port = _free_port()
    settings = {
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "TMPDIR": str(folder / "tmp"),
    }
    child = _start_ministack(folder, {**environment, **settings})
    try:
        _wait_until_it_listens(child, port, folder)
        yield Ministack(port, child)
    finally:
        _stop(child)


def _start_ministack(folder: Path, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    supervisor = Path(__file__).with_name("emulator_supervisor.py")
    with (folder / "ministack.log").open("ab") as log:
        return subprocess.Popen(  # noqa: S603 - both paths are our own
            [MINISTACK, "-I", supervisor, folder],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            # Ctrl-C reaches the whole foreground group; MiniStack must outlive our shutdown.
            start_new_session=True,
        )


def _wait_until_it_listens(child: subprocess.Popen[bytes], port: int, folder: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and child.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise EngineError(f"MiniStack did not start; see {folder / 'ministack.log'} for the reason.")


def _stop(child: subprocess.Popen[bytes]) -> None:
    """Close the pipe to the supervisor, and wait until the data is saved."""
    if child.stdin:
        child.stdin.close()
    try:
        child.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def _free_port() -> int:
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        port: int = chosen.getsockname()[1]
        return port
