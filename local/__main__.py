"""Local stack as a command, `python -m local`: it runs until Ctrl-C."""

import argparse
import contextlib
import logging
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NoReturn, TextIO, get_args

from local import startup_message
from local.engines import EngineName
from local.errors import EngineError, LocalStackError, UnusableAddressError
from local.stack import DATA, DevStack

_WATCH_SECONDS: Final = 0.2
# A program that starts the stack may not read its log: a full pipe would stop the stack.
_QUIET: Final[Mapping[str, str]] = {
    "POWERTOOLS_LOG_LEVEL": "ERROR",
    "POWERTOOLS_METRICS_DISABLED": "true",
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the stack; the exit status is 0 after Ctrl-C or SIGTERM, and 1 if it cannot run."""
    try:
        _run(_parser().parse_args(arguments))
    except LocalStackError as error:
        sys.exit(f"error: {error}")


def _run(options: argparse.Namespace) -> NoReturn:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _exit_on_signal)
    logging.basicConfig(
        level=logging.ERROR if options.quiet else logging.INFO, format="%(message)s"
    )
    for chatty in ("botocore", "boto3", "urllib3", "moto"):
        logging.getLogger(chatty).setLevel(logging.ERROR)
    out = sys.stdout
    # The functions log to standard output, as on Lambda; here it carries only the URL and key.
    with contextlib.redirect_stdout(sys.stderr):
        _serve(options, out)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m local", description=__doc__)
    engines = get_args(EngineName.__value__)
    parser.add_argument("--engine", choices=engines, default="ministack")
    parser.add_argument("--host", default="127.0.0.1", help="a loopback address")
    parser.add_argument("--port", type=_port, default=8000)
    parser.add_argument(
        "--data", type=Path, default=DATA, help="folder of the data that persists across runs"
    )
    parser.add_argument(
        "--parameter",
        action="append",
        default=[],
        dest="parameters",
        metavar="NAME=VALUE",
        type=_name_and_value,
        help="a parameter of the template, such as CorsOrigins=http://localhost:5173",
    )
    parser.add_argument("--quiet", action="store_true", help="print only the URL and the key")
    return parser


def _port(given: str) -> int:
    if not given.isdecimal():
        raise UnusableAddressError(f"PORT must be a number from 0 to 65535, got {given!r}.")
    return int(given)


def _name_and_value(given: str) -> tuple[str, str]:
    name, separator, value = given.partition("=")
    if not separator:
        raise argparse.ArgumentTypeError(f"{given} is not NAME=VALUE")
    return name, value


def _serve(options: argparse.Namespace, out: TextIO) -> NoReturn:
    parent = os.getppid()
    with DevStack.start(
        engine=options.engine,
        host=options.host,
        port=options.port,
        data=options.data,
        parameters=dict(options.parameters),
        overrides=_QUIET if options.quiet else None,
    ) as stack:
        key = startup_message.issue_key(
            stack, os.environ.get("API_KEY") or None, options.data / "api-key"
        )
        startup_message.create_documented_conversation(stack)
        startup_message.read_documented_conversation(stack.url, key)
        out.write(_quiet_greeting(stack, key) if options.quiet else _greeting(stack, key))
        out.flush()
        _watch(stack, parent)


def _quiet_greeting(stack: DevStack, key: str) -> str:
    return f"url: {stack.url}\nkey: {key}\n"


def _greeting(stack: DevStack, key: str) -> str:
    exchange = startup_message.example_exchange(stack.url, key)
    lines = startup_message.example_commands(stack.url, key)
    pages = startup_message.page_addresses(stack)
    return (
        f"{exchange}\n\nurl: {stack.url}\nkey: {key}\n{pages}\n{lines}\n\nPress Ctrl-C to stop.\n"
    )


def _watch(stack: DevStack, parent: int) -> NoReturn:
    """Wait for a signal, or until the engine or the parent process has exited.

    A `make` that is killed with SIGKILL cannot forward the signal to this process.
    """
    is_run_by_make = "MAKELEVEL" in os.environ
    while not stack.engine.has_exited():
        if is_run_by_make and os.getppid() != parent:
            sys.exit()
        time.sleep(_WATCH_SECONDS)
    raise EngineError(f"{stack.engine.name} exited unexpectedly; see its log for the reason.")


def _exit_on_signal(*_: object) -> NoReturn:
    """Exit by unwinding, so that everything is closed and saved; ignore further signals."""
    for again in (signal.SIGINT, signal.SIGTERM):
        signal.signal(again, signal.SIG_IGN)
    sys.exit()


if __name__ == "__main__":
    main()
