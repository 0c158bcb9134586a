"""What the operator's commands share: AWS as its own CLI is told of it, times, tables, errors."""

from __future__ import annotations

import functools
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, override

import boto3
import click
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
)
from botocore.parsers import ResponseParserError

from conversations.errors import OverloadedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

LOCAL_STACK = "stack.json"
"""The file in the data folder of `make run` that says how its stack is reached."""
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"}
UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@dataclass(frozen=True)
class Aws:
    """An account and region, and perhaps a stack there."""

    session: boto3.Session
    stack: str | None

    def outputs(self) -> Mapping[str, str]:
        """What the stack tells of itself.

        Raises:
            click.ClickException: it is no stack of this project.
        """
        described = self.session.client("cloudformation").describe_stacks(StackName=str(self.stack))
        given = described["Stacks"][0].get("Outputs", [])
        outputs = {output["OutputKey"]: output["OutputValue"] for output in given}
        if "ApiKeysTableName" not in outputs:
            raise click.ClickException(f"The stack '{self.stack}' is not of lambda-conversations.")
        return outputs


class LocalSession(boto3.Session):
    """The emulator of a running `make run`, in place of AWS."""

    def __init__(self, endpoint: str, region: str) -> None:
        super().__init__("local", "local", region_name=region)
        to_emulator = functools.partial(super().client, endpoint_url=endpoint)
        self.client = to_emulator  # type: ignore[method-assign] # has 400 overloads


@dataclass(frozen=True)
class DevStack(Aws):
    """The stack of a running `make run`."""

    known: Mapping[str, str]

    @classmethod
    def at(cls, data: Path) -> DevStack:
        """Return the stack whose data is in a folder.

        Raises:
            click.ClickException: none runs there, or it keeps its data in its own memory.
        """
        try:
            found = json.loads((data / LOCAL_STACK).read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise click.ClickException(
                f"No local stack runs with its data in {data}: start it with `make run`, whose"
                " ENGINE must be ministack."
            ) from error
        session = LocalSession(found["endpoint"], found["region"])
        return cls(session, "local", found["outputs"])

    @override
    def outputs(self) -> Mapping[str, str]:
        return self.known


def aws_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command `--stack`, `--region` and `--profile`, and tell AWS's errors in a sentence."""

    @click.option("--stack", help="The CloudFormation stack, whose outputs name the rest.")
    @click.option("--local", "is_local", is_flag=True, help="The stack of `make run` instead.")
    @click.option(
        "--data",
        type=click.Path(path_type=Path),
        default=Path(".local"),
        show_default=True,
        help="With --local: the data folder of `make run`.",
    )
    @click.option("--region", help="The AWS region.  [default: the profile's]")
    @click.option("--profile", help="The AWS profile.  [default: AWS_PROFILE's]")
    @functools.wraps(command)
    def run(
        stack: str | None,
        is_local: bool,  # noqa: FBT001 - click's flag
        data: Path,
        region: str | None,
        profile: str | None,
        **options: object,
    ) -> None:
        if is_local and stack is not None:
            raise click.UsageError("Give either --stack or --local.")
        try:
            if is_local:
                command(DevStack.at(data), **options)
                return
            session = boto3.Session(region_name=region, profile_name=profile)
            region = session.region_name
            command(Aws(session, stack), **options)
        except (BotoCoreError, ClientError, ResponseParserError) as error:
            names = {"stack": stack, "table": options.get("table"), "region": region}
            if is_local and isinstance(error, EndpointConnectionError):
                raise click.ClickException(
                    "The local stack does not answer: start it with `make run`."
                ) from error
            raise click.ClickException(_sentence(error, names)) from error
        except OverloadedError as error:
            raise click.ClickException(
                f"{error.message} Run the command again: it goes on where it stopped."
            ) from error

    return run


class Duration(click.ParamType[timedelta]):
    """A length of time such as 90d; 0 is none."""

    name = "duration"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        """The length."""
        if isinstance(value, timedelta):
            return value
        if value == "0":
            return timedelta()
        parsed = _duration(str(value))
        if parsed is None:
            self.fail(f"'{value}' is no duration such as 30m, 24h, 90d or 2w.", param, ctx)
        return parsed


class FutureTime(click.ParamType[int]):
    """A time to come, as seconds since the epoch: 90d from now, or 2027-01-31 at 00:00 UTC."""

    name = "duration|date"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """The seconds."""
        if isinstance(value, int):
            return value
        now, duration = datetime.now(UTC), _duration(str(value))
        try:
            given = datetime.fromisoformat(str(value)) if duration is None else now + duration
        except (ValueError, OverflowError):
            self.fail(f"'{value}' is no duration such as 90d, and no date.", param, ctx)
        moment = given if given.tzinfo else given.replace(tzinfo=UTC)
        if moment <= now:
            self.fail(f"'{value}' is not in the future.", param, ctx)
        return int(moment.timestamp())


def moment_text(seconds: int | None) -> str:
    """A time for people, in UTC; nothing for none."""
    return "" if seconds is None else f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%MZ}"


def visible(text: str) -> str:
    """Return *text* with control characters as escapes, but for line breaks and tabs.

    A terminal would obey them: texts of clients could hide themselves, or write its clipboard. So
    it is with characters that reorder what is around them.
    """
    return _CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def report_count(count: int) -> None:
    """Tell people how much a listing command found, apart from what it prints."""
    click.echo(f"{count} found", err=True)


def table_text(rows: Sequence[Sequence[str]]) -> str:
    """Rows of as many cells each, in columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)


def _duration(text: str) -> timedelta | None:
    parsed = re.fullmatch(r"([0-9]{1,5})([mhdw])", text)
    return timedelta(**{UNITS[parsed[2]]: int(parsed[1])}) if parsed else None


def _sentence(error: Exception, names: Mapping[str, object]) -> str:
    match error:
        case NoCredentialsError():
            return "There are no AWS credentials: log in, or give --profile."
        case NoRegionError():
            return "There is no AWS region: give --region, or set AWS_DEFAULT_REGION."
        case ClientError():
            return _client_error_sentence(error, names)
    return f"AWS cannot be asked: {error}"


def _client_error_sentence(error: ClientError, names: Mapping[str, object]) -> str:
    code, message = error.response["Error"]["Code"], error.response["Error"]["Message"]
    match code, error.operation_name:
        case "ValidationError", "DescribeStacks":
            return f"There is no stack '{names['stack']}' in {names['region']}."
        case "ResourceNotFoundException", _:
            return f"There is no table '{names['table']}' in {names['region']}."
    if code in DENIED:
        return f"These AWS credentials do not suffice: {message}"
    return f"AWS refuses {error.operation_name}: {message}"
