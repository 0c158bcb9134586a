"""`docs/operations.md` speaks of alarms, metrics, fields and commands that there are."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest

from conversations.telemetry import METRICS
from conversations_cli.__main__ import main
from local.intrinsics import Intrinsics, mapping, read_document, section
from local.template import TEMPLATE
from tests.template.test_monitoring import ALARMS, log_of_everything

if TYPE_CHECKING:
    from local.stack import DevStack

PAGE = (Path(__file__).parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")
DOCUMENT = read_document(TEMPLATE)
BLOCKS = [
    re.sub(r"^    ", "", block, flags=re.MULTILINE)
    for block in re.findall(r"\n\n((?:    .+\n)+)", PAGE)
]
QUERIES = [block for block in BLOCKS if re.match(r"(fields|filter) ", block)]
COMMANDS = [
    line for block in BLOCKS for line in block.splitlines() if line.startswith("conversations ")
]
WORDS = {
    *("fields", "filter", "stats", "sort", "limit", "by", "as", "asc", "desc", "and", "or", "like"),
    *("count", "sum", "max", "pct", "bin"),
}
"""What the language of CloudWatch Logs Insights knows itself."""
LAMBDAS_OWN = {"type"}
"""A field of the lines that Lambda writes where a function's log is JSON."""


def chapter(title: str) -> str:
    [text] = re.findall(rf"^## {title}\n(.*?)(?=^## |\Z)", PAGE, flags=re.MULTILINE | re.DOTALL)
    return str(text)


def first_column(text: str) -> list[str]:
    """The names in the first column of the tables of a text."""
    cells = re.findall(r"^\| (`.*?) \|", text, flags=re.MULTILINE)
    return [name for cell in cells for name in re.findall(r"`(\w+)`", cell)]


@pytest.fixture(scope="module")
def fields(running_stack: DevStack) -> set[str]:
    """The fields of all lines that functions and API Gateway write."""
    text = log_of_everything(running_stack).text.getvalue()
    lines = [json.loads(line) for line in text.splitlines()]
    api = Intrinsics(DOCUMENT, {"AccessLogs": "AccountRole"}).resolve(
        section(mapping(section(DOCUMENT, "Resources")["Api"]), "Properties")["AccessLogSetting"]
    )
    return {name for line in [*lines, json.loads(str(mapping(api)["Format"]))] for name in line}


def test_every_alarm_has_its_part() -> None:
    names = [str(alarm["AlarmName"]).removeprefix("local-stack-") for alarm in ALARMS.values()]
    parts = re.findall(r"^### ([a-z-]+)$", chapter("Alarms"), flags=re.MULTILINE)

    assert parts == names


@pytest.mark.parametrize("part", re.split(r"^### ", chapter("Alarms"), flags=re.MULTILINE)[1:-1])
def test_a_part_says_what_an_alarm_means_and_what_to_look_at_and_do(part: str) -> None:
    assert [part.count(f"**{word}**") for word in ("Means", "Look", "Do")] == [1, 1, 1]


def test_every_metric_is_explained() -> None:
    named = first_column(chapter("What there is to see"))

    assert [name for name in named if name[0].isupper()] == [*METRICS]


def test_every_field_of_a_request_is_explained(fields: set[str]) -> None:
    named = first_column(chapter("What there is to see"))

    assert {name for name in named if name[0].islower()} == {
        "request_id",
        "key_id",
        "owner",
        "conversation_id",
        "route",
        "status",
        "code",
        "items",
        "body_bytes",
        "answer_bytes",
        "retries",
        "duration_ms",
    }
    assert {*named} <= fields


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_asks_for_fields_that_are_logged(query: str, fields: set[str]) -> None:
    bare = re.sub(r'"[^"]*"|/[^/]*/|@\w+|\b\d+m?\b', " ", query)
    made = set(re.findall(r"\bas (\w+)", bare))

    asked = set(re.findall(r"\w+", bare)) - WORDS - made

    assert asked <= fields | LAMBDAS_OWN


def test_there_is_a_query_for_every_alarm() -> None:
    parts = re.split(r"^### ", chapter("Alarms"), flags=re.MULTILINE)[1:]

    for part in parts:
        assert any(query.splitlines()[-1] in part for query in QUERIES)


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_is_one_of_ours(line: str) -> None:
    words = line.split()[1:]
    command: click.Command = main
    while isinstance(command, click.Group):
        command = command.commands[words.pop(0)]
    options = {name for parameter in command.params for name in parameter.opts}

    assert {word for word in words if word.startswith("--")} <= options


def test_what_stands_in_capitals_is_an_output() -> None:
    outputs = {
        re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).upper() for name in section(DOCUMENT, "Outputs")
    }
    named = set(re.findall(r"\b[A-Z]+(?:_[A-Z]+)*_(?:NAME|URL)\b", PAGE))

    assert named
    assert named <= outputs
