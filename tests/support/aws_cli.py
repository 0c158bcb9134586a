"""Part of the AWS CLI, version 2, that the runbook uses: options, `--query` and `--output`.

The real AWS CLI is in no Python package. This one lets tests validate the runbook's commands
against the models of botocore, and run them against an emulator.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import botocore.session
import jmespath  # type: ignore[import-untyped]
from botocore import xform_name
from botocore.model import ListShape, MapShape, Shape, StructureShape

SESSION = botocore.session.get_session()
GLOBAL = {"--cli-binary-format", "--output", "--profile", "--query", "--region"}
"""Options of every command, each with a value."""
RENAMED = {"notification-endpoint": "endpoint"}
"""Options that the AWS CLI does not name as the API does."""


class UsageError(Exception):
    """A command that the AWS CLI would reject; the message says why."""


@dataclass(frozen=True, slots=True)
class Command:
    """A parsed command: an operation or a waiter, with the parameters of its API."""

    service: str
    operation: str
    waiter: str | None
    parameters: dict[str, Any]
    options: dict[str, str]
    """The global options, by name."""

    @property
    def input_shape(self) -> StructureShape:
        shape = SESSION.get_service_model(self.service).operation_model(self.operation).input_shape
        return shape or StructureShape("Empty", {"type": "structure", "members": {}})


def parse(words: list[str]) -> Command:
    """Parse the words after `aws`.

    Raises:
        UsageError: the service, operation or an option does not exist, or a value has another type.
    """
    service, name, *rest = words
    service = {"s3api": "s3"}.get(service, service)
    waiter = None
    try:
        model = SESSION.get_service_model(service)
        operations = {xform_name(each, "-"): each for each in model.operation_names}
        if name == "wait":
            waiter, *rest = rest
            waiters = SESSION.get_waiter_model(service)
            names = {xform_name(each, "-"): each for each in waiters.waiter_names}
            operation = waiters.get_waiter(names[waiter]).operation
        else:
            operation = operations[name]
    except (KeyError, botocore.exceptions.UnknownServiceError) as error:
        raise UsageError(f"There is no command {service} {name}: {error}") from None
    command = Command(service, operation, waiter, {}, {})
    _read_options(command, rest)
    return command


def _read_options(command: Command, words: list[str]) -> None:
    members = {xform_name(name, "-"): name for name in command.input_shape.members}
    while words:
        option, *words = words
        if not option.startswith("--"):
            raise UsageError(f"Unknown argument {option!r}.")
        values = _leading_values(words)
        words = words[len(values) :]
        if option in GLOBAL:
            [command.options[option]] = values
            continue
        name = RENAMED.get(option[2:], option[2:])
        is_negated = name not in members and name.removeprefix("no-") in members
        try:
            member = members[name.removeprefix("no-") if is_negated else name]
        except KeyError:
            raise UsageError(f"{command.operation} has no option {option}.") from None
        shape = command.input_shape.members[member]
        command.parameters[member] = not is_negated if not values else _value(shape, values)


def _leading_values(words: list[str]) -> list[str]:
    ends = [index for index, word in enumerate(words) if word.startswith("--")]
    return words[: ends[0]] if ends else words


def _value(shape: Shape, words: list[str]) -> Any:
    """Return the value of an option: JSON, shorthand (`Name=value,...`), or plain words."""
    text = words[0]
    if isinstance(shape, StructureShape | MapShape | ListShape) and text[0] in "[{":
        [text] = words
        return _typed(shape, json.loads(text))
    if isinstance(shape, ListShape):
        return [_value(shape.member, [word]) for word in words]
    [text] = words
    if not isinstance(shape, StructureShape | MapShape):
        return _typed(shape, text)
    pairs = dict(pair.split("=", 1) for pair in text.split(","))
    return _typed(shape, {name: {} if each == "{}" else each for name, each in pairs.items()})


def _typed(shape: Shape | None, value: Any) -> Any:
    """Return a value with the types of its shape; binary values are written in base64."""
    if isinstance(shape, StructureShape) and isinstance(value, dict):
        return {name: _typed(shape.members.get(name), each) for name, each in value.items()}
    if isinstance(shape, MapShape) and isinstance(value, dict):
        return {name: _typed(shape.value, each) for name, each in value.items()}
    if isinstance(shape, ListShape) and isinstance(value, list):
        return [_typed(shape.member, each) for each in value]
    return _scalar(shape.type_name if shape else "", value)


def _scalar(kind: str, value: Any) -> Any:
    if kind in {"integer", "long"} and str(value).isdigit():
        return int(value)
    if kind == "boolean" and value in {"true", "false"}:
        return value == "true"
    return base64.b64decode(value, validate=True) if kind == "blob" else value


def _printable(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _printable(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_printable(each) for each in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value.isoformat() if isinstance(value, dt.datetime) else value


def _text(value: Any) -> list[str]:
    """Return the lines of `--output text` for scalars, and for lists of them."""
    if not isinstance(value, list):
        return [str(value)]
    if any(isinstance(each, list) for each in value):
        return [line for each in value for line in _text(each)]
    return ["\t".join(map(str, value))] if value else []


def _content(value: Any) -> Any:
    """Return the content of the file that `file://PATH` names, or another value as it is."""
    if isinstance(value, str) and value.startswith("file://"):
        return Path(value.removeprefix("file://")).read_text(encoding="utf-8")
    return value


def run(command: Command) -> str:
    """Send the command's request, and return what the AWS CLI prints."""
    client: Any = boto3.client(command.service)  # type: ignore[call-overload]
    parameters = {name: _content(value) for name, value in command.parameters.items()}
    if command.waiter:
        waiter = client.get_waiter(command.waiter.replace("-", "_"))
        waiter.wait(**parameters, WaiterConfig={"Delay": 1})
        return ""
    method = xform_name(command.operation)
    if client.can_paginate(method):
        result = client.get_paginator(method).paginate(**parameters).build_full_result()
    else:
        result = getattr(client, method)(**parameters)
    result.pop("ResponseMetadata", None)
    value = _printable(result)
    if "--query" in command.options:
        value = jmespath.search(command.options["--query"], value)
    if command.options.get("--output", os.environ.get("AWS_DEFAULT_OUTPUT")) == "text":
        return "".join(f"{line}\n" for line in _text(value))
    return f"{json.dumps(value, indent=4)}\n" if value else ""


if __name__ == "__main__":
    sys.stdout.write(run(parse(sys.argv[1:])))
