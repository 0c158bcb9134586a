"""Check a deployed stack over HTTP, as its clients see it.

The exit status is 0 if no check failed, 1 if one did, 2 if the URL does not respond, and 130
after Ctrl-C, which also deletes the conversations that the run created.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
from typing import TYPE_CHECKING

import httpx

from smoke.api import TIMEOUT_SECONDS, Api
from smoke.run import PREFIXES, Result, run, run_check

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

NO_RESPONSE = 2
"""Exit status if nothing could be checked."""
INTERRUPTED = 130
"""Exit status of a program that Ctrl-C ended, as shells have it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the checks, print one line for each and their counts, and return the exit status."""
    options = _parser().parse_args(arguments)
    if not os.environ.get("API_KEY"):
        sys.stderr.write(
            "The API key is missing. Add KEY=... to `make smoke`, or export API_KEY.\n"
        )
        return NO_RESPONSE
    results: list[Result] = []
    try:
        status = _check_stack(options, results)
    except KeyboardInterrupt:
        status = INTERRUPTED
    if status != NO_RESPONSE:
        _print_counts(options, results)
    return status


def _check_stack(options: argparse.Namespace, results: list[Result]) -> int:
    """Run the checks, add each result to *results*, and return the exit status."""
    headers = dict(options.header)
    with httpx.Client(base_url=options.url, headers=headers, timeout=TIMEOUT_SECONDS) as client:
        try:
            client.get(f"{PREFIXES[0]}/openapi.json")
        except httpx.HTTPError as error:
            sys.stderr.write(f"{options.url} does not respond: {error}\n")
            return NO_RESPONSE
        key, read_key = os.environ["API_KEY"], os.environ.get("READ_KEY")
        api = Api(client, PREFIXES[0], key, read_key or None, options.origin)
        _run_checks(api, results, (lambda _: None) if options.json else _print_line)
    return int(any(result.outcome == "failed" for result in results))


def _run_checks(api: Api, results: list[Result], show: Callable[[Result], None]) -> None:
    """Run the checks, and show each result; delete what they created, however they end."""
    try:
        for result in run(api):
            results.append(result)
            show(result)
    finally:
        if api.created:
            results.append(run_check("cleaning up", api))
            show(results[-1])


def _print_counts(options: argparse.Namespace, results: Sequence[Result]) -> None:
    counts = {
        outcome: sum(each.outcome == outcome for each in results)
        for outcome in ("passed", "failed", "skipped")
    }
    if options.json:
        checks = [dataclasses.asdict(result) for result in results]
        sys.stdout.write(json.dumps({"url": options.url, **counts, "checks": checks}) + "\n")
    elif results:
        seconds = sum(result.seconds for result in results)
        summary = ", ".join(f"{count} {outcome}" for outcome, count in counts.items())
        sys.stdout.write(f"{summary} in {seconds:.0f} s. docs/smoke.md explains each check.\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m smoke",
        description=__doc__,
        epilog="API_KEY is a key with every scope. READ_KEY, which is optional, has only `read`.",
    )
    parser.add_argument("--url", required=True, help="the stack's output ApiUrl")
    parser.add_argument("--origin", help="one of CorsOrigins, to check CORS")
    parser.add_argument(
        "--header",
        action="append",
        type=_header,
        default=[],
        metavar="NAME:VALUE",
        help="a header for every request, if a proxy in front of the API requires one",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def _header(text: str) -> tuple[str, str]:
    if not (text.isascii() and text.isprintable()):  # do not print it: it may be a secret
        raise argparse.ArgumentTypeError("must be printable ASCII")
    name, _, value = text.partition(":")
    return name.strip(), value.strip()


def _print_line(result: Result) -> None:
    line = f"{result.outcome:8}{result.check:16}{result.prefix:13}{result.seconds:6.2f} s"
    sys.stdout.write(f"{line}  {result.detail}".rstrip() + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
