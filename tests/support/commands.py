"""Commands of the operator's command line, run in this process."""

from __future__ import annotations

import functools
import json
import os
from typing import TYPE_CHECKING, Any, cast
from unittest.mock import patch

from click.testing import CliRunner, Result

from conversations_cli.__main__ import main
from conversations_cli.aws_session import AwsSession

if TYPE_CHECKING:
    from local.resources import Resources


def names_of(resources: Resources) -> list[str]:
    """Return the options that name table and bucket."""
    name = resources.template.name
    return ["--table", name("ConversationsTable"), "--bucket", name("PayloadBucket")]


class _Session(AwsSession):
    """A session that creates each client once, because that takes most of a command's time."""

    client: Any = functools.cache(cast("Any", AwsSession.client))


@functools.cache
def _session(endpoint: str | None, **options: Any) -> _Session:
    """Return the session of commands on an emulator."""
    del endpoint
    return _Session(**options)


def client_of_commands(service: str) -> Any:
    """Return the client of AWS that commands use, so that a test can inject faults."""
    endpoint = os.environ.get("AWS_ENDPOINT_URL")
    return _session(endpoint, region_name=None, profile_name=None).client(service)


def invoke(*arguments: str | object) -> Result:
    session = functools.partial(_session, os.environ.get("AWS_ENDPOINT_URL"))
    with patch("conversations_cli.command_line.AwsSession", session):
        return CliRunner().invoke(main, [str(argument) for argument in arguments])


def done(*arguments: str | object) -> Result:
    """Run a command that must succeed, and return its result."""
    result = invoke(*arguments)
    assert result.exit_code == 0, result.output
    return result


def json_of(*arguments: str | object) -> Any:
    """Run a command, and return the JSON that it prints."""
    return json.loads(done(*arguments, "--json").stdout)
