"""Shared parts of the operator's commands: options for AWS, types of times, tables and errors."""

from __future__ import annotations

import functools
import json
import re
import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, override

import click
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    EndpointConnectionError,
    HTTPClientError,
    NoCredentialsError,
    NoRegionError,
)
from botocore.parsers import ResponseParserError

from conversations.errors import ApiError, OverloadedError
from conversations.storage.schema_version import UnsupportedSchemaVersionError
from conversations_cli.aws_session import AwsSession, LocalSession

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import boto3

LOCAL_STACK = "stack.json"
"""The file in the data folder of `make run` with the endpoint and outputs of its stack."""
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"}
FAILURES = (
    BotoCoreError,
    ClientError,
    ResponseParserError,
    ApiError,
    UnsupportedSchemaVersionError,
    OSError,
    UnicodeError,
    sqlite3.Error,
)
"""Errors that end a command with a sentence."""
UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@dataclass(frozen=True)
class Aws:
    """An AWS account and region, and the name of a stack there, if one is given."""

    session: boto3.Session
    stack: str | None

    @property
    def is_local(self) -> bool:
        """True for the stack of a running `make run`, which is not of CloudFormation."""
        return False

    @property
    def place(self) -> str:
        """The region; with the names of table and bucket, it tells stacks apart."""
        return str(self.session.region_name)

    def outputs(self) -> Mapping[str, str]:
        """Return the outputs of the stack.

        Raises:
            click.ClickException: the stack is not one of this project.
        """
        described = self.session.client("cloudformation").describe_stacks(StackName=str(self.stack))
        listed = described["Stacks"][0].get("Outputs", [])
        outputs = {output["OutputKey"]: output["OutputValue"] for output in listed}
        if "ApiKeysTableName" not in outputs:
            raise click.ClickException(
                f"Stack '{self.stack}' is not a stack of lambda-conversations."
            )
        return outputs


@dataclass(frozen=True)
class DevStack(Aws):
    """The stack of a running `make run`."""

    known: Mapping[str, str]
    data: Path

    @classmethod
    def at(cls, data: Path) -> DevStack:
        """Return the stack whose data is in a folder.

        Raises:
            click.ClickException: no stack with its data there is running.
        """
        try:
            found = json.loads((data / LOCAL_STACK).read_text(encoding="utf-8"))
            session = LocalSession(found["endpoint"], found["region"])
            return cls(session, "local", found["outputs"], data.resolve())
        except (FileNotFoundError, ValueError, LookupError, TypeError) as error:
            raise click.ClickException(
                f"No local stack with its data in {data} is running. Start it with `make run`"
                " and the default ENGINE, ministack."
            ) from error

    @property
    @override
    def is_local(self) -> bool:
        return True

    @property
    @override
    def place(self) -> str:
        return str(self.data)  # the names of all local stacks are equal

    @override
    def outputs(self) -> Mapping[str, str]:
        return self.known


def aws_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of AWS to a command, and print errors of AWS and of files as a sentence."""

    @click.option(
        "--stack", help="The CloudFormation stack; its outputs name the tables and the bucket."
    )
    @click.option("--local", "is_local", is_flag=True, help="Use the local stack of `make run`.")
    @click.option(
        "--data",
        type=click.Path(path_type=Path),
        default=Path(".local"),
        show_default=True,
        help="With --local: the data folder of `make run`.",
    )
    @click.option("--region", help="The AWS region.  [default: the region of the profile]")
    @click.option("--profile", help="The AWS profile.  [default: AWS_PROFILE]")
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
            raise click.UsageError("Use either --stack or --local.")
        try:
            if is_local:
                command(DevStack.at(data), **options)
                return
            session = AwsSession(region_name=region, profile_name=profile)
            region = session.region_name
            command(Aws(session, stack), **options)
        except BrokenPipeError:  # click ends the command without a message
            raise
        except FAILURES as error:
            names = {"stack": stack, "table": options.get("table"), "region": region}
            raise click.ClickException(_sentence(error, names, is_local=is_local)) from error

    return run


class Text(click.ParamType[str]):
    """Option type of a text that can be encoded: the shell may pass bytes that are not UTF-8."""

    name = "text"

    @override
    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> str:
        """Return the text, or fail."""
        try:
            str(value).encode()
        except UnicodeEncodeError:
            self.fail("it must be text in UTF-8.", param, ctx)
        return str(value)


class Duration(click.ParamType[timedelta]):
    """Option type of a length of time such as 90d, or 0."""

    name = "duration"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        """Return the length of time, or fail."""
        if isinstance(value, timedelta):
            return value
        if value == "0":
            return timedelta()
        parsed = _duration(str(value))
        if parsed is None:
            self.fail(f"'{value}' is not a duration such as 30m, 24h, 90d or 2w.", param, ctx)
        return parsed


class FutureTime(click.ParamType[int]):
    """Option type of a future time, in seconds since the epoch: 90d, or 2027-01-31 at 00:00 UTC."""

    name = "duration|date"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Return the time in seconds since the epoch, or fail."""
        if isinstance(value, int):
            return value
        now, duration = datetime.now(UTC), _duration(str(value))
        try:
            moment = datetime.fromisoformat(str(value)) if duration is None else now + duration
            moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
        except (ValueError, OverflowError):
            self.fail(
                f"'{value}' is neither a duration such as 90d nor a date such as 2027-01-31.",
                param,
                ctx,
            )
        if moment <= now:
            self.fail(f"'{value}' is not in the future.", param, ctx)
        return int(moment.timestamp())


def moment_text(seconds: int | None) -> str:
    """Return a time as text for people, in UTC; an empty text for None."""
    return "" if seconds is None else f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%MZ}"


def visible(text: str) -> str:
    """Return *text* with control characters as escapes, but for line breaks and tabs.

    A terminal executes control characters, so a client's text could hide output or write to the
    clipboard. Characters that change the direction of text are escaped too.
    """
    return _CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def report_count(count: int) -> None:
    """Print the number of results to standard error."""
    click.echo(f"{count} found", err=True)


def table_text(rows: Sequence[Sequence[str]]) -> str:
    """Return rows with the same number of cells as text in columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)


def _duration(text: str) -> timedelta | None:
    parsed = re.fullmatch(r"([0-9]{1,5})([mhdw])", text)
    return timedelta(**{UNITS[parsed[2]]: int(parsed[1])}) if parsed else None


def _sentence(error: Exception, names: Mapping[str, object], *, is_local: bool) -> str:
    sentence = str(error)
    match error:
        case EndpointConnectionError() if is_local:
            sentence = "The local stack does not respond. Start it with `make run`."
        case NoCredentialsError():
            sentence = "No AWS credentials were found. Log in, or use --profile."
        case NoRegionError():
            sentence = "No AWS region is set. Use --region, or set AWS_DEFAULT_REGION."
        case ClientError():
            sentence = _client_error_sentence(error, names)
        case HTTPClientError(kwargs={"error": ValueError()}):  # whose text has the value
            sentence = "The AWS credentials have a character that no HTTP header can have."
        case BotoCoreError() | ResponseParserError():
            sentence = f"AWS cannot be called: {error}"
        case OverloadedError():
            sentence += " Run the command again: it continues where it stopped."
        case UnicodeError():
            sentence = f"A file is not text in UTF-8: {error}"
        case OSError(strerror=str() as reason):
            sentence = f"{reason}: {error.filename}" if error.filename else reason
    return sentence


def _client_error_sentence(error: ClientError, names: Mapping[str, object]) -> str:
    code, message = error.response["Error"]["Code"], error.response["Error"]["Message"]
    match code, error.operation_name:
        case "ValidationError", "DescribeStacks":
            return f"Stack '{names['stack']}' was not found in {names['region']}."
        case "ResourceNotFoundException", _ if names["table"]:
            return f"Table '{names['table']}' was not found in {names['region']}."
    if code in DENIED:
        return f"These AWS credentials lack a permission: {message}"
    return f"AWS rejected {error.operation_name}: {message}"
