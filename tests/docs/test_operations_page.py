"""`docs/operations.md` names only alarms, metrics, fields, outputs and commands that exist."""

from __future__ import annotations

import json
import re
import shlex
from typing import TYPE_CHECKING

import click
import pytest
from botocore.validate import ParamValidator

from conversations.telemetry import METRICS
from conversations_cli.__main__ import main
from local.intrinsics import Intrinsics, mapping, section
from tests.support import aws_cli
from tests.support.monitoring import ALARMS, DOCUMENT, log_of_every_metric
from tests.support.paths import DOCS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.stack import DevStack

PAGE = (DOCS / "operations.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"\n\n((?: {4,}.+\n)+)")
BLOCKS = BLOCK.findall(PAGE)
PAGES = [page.read_text(encoding="utf-8") for page in sorted(DOCS.glob("*.md"))]
WITH_AWS = [
    code
    for page in PAGES
    for code in [*BLOCK.findall(page), *re.findall(r"`((?:ROLE=\$\()?aws [^`]+ --[^`]+)`", page)]
    if "aws " in code
]
"""Blocks of all pages, and code in their text, with commands of the AWS CLI."""
QUERIES = re.findall(r"--query-string '(.+?)'\n", PAGE)
QUERY_OPTIONS = re.findall(r"aws logs start-query (.+?)--query-string", PAGE, flags=re.DOTALL)
WORDS = {
    *("fields", "filter", "stats", "sort", "limit", "by", "as", "asc", "desc"),
    *("and", "or", "in", "like", "count", "sum", "max", "pct", "bin", "ispresent"),
}
"""Keywords and functions of CloudWatch Logs Insights."""
NOT_IN_AN_API = {("configure", "get"), ("lambda", "invoke"), ("logs", "tail")}
"""Commands that the AWS CLI adds to the APIs, or to whose options it adds."""
LAMBDAS_OWN = {"type", "record", "errorType", "errorMessage"}
"""Fields of the lines that Lambda writes where a function's log is JSON."""
PLACEHOLDERS = {
    "UUID": "0" * 36,
    "BACKUP_ARN": "0" * 37,
    "RECOVERY_POINT_ARN": "0" * 37,
    "$row": "{}",
}
"""Placeholders of the page whose values the models of AWS check more closely."""


def chapter(title: str) -> str:
    [text] = re.findall(rf"^## {title}\n(.*?)(?=^## |\Z)", PAGE, flags=re.MULTILINE | re.DOTALL)
    return str(text)


def first_column(text: str) -> list[str]:
    """Return the names in the first column of the tables of a text."""
    cells = re.findall(r"^\| (`.*?) \|", text, flags=re.MULTILINE)
    return [name for cell in cells for name in re.findall(r"`(\w+)`", cell)]


def shell_lines(blocks: list[str]) -> Iterator[list[str]]:
    """Return the words of each command of the page; a command substitution counts as one."""
    for block in blocks:
        text = re.sub(r"\$\(\(.*?\)\)|\$\(date \+%s\)", "0", re.sub(r"\\\n\s*", " ", block))
        while found := re.search(r"\$\(([^()]*)\)", text):
            yield shlex.split(found[1])
            text = text.replace(found[0], "VALUE_OF_A_COMMAND")
        yield from ([*shlex.split(line)] for line in joined(text.splitlines()))


def joined(lines: list[str]) -> Iterator[str]:
    """Return the lines, each joined with the following ones while a quote is open."""
    pending = ""
    for line in lines:
        pending += line + "\n"
        if pending.count("'") % 2 == 0 and pending.replace('\\"', "").count('"') % 2 == 0:
            yield pending
            pending = ""
    assert not pending


def aws_commands() -> Iterator[list[str]]:
    """Return the words of each command of the AWS CLI, without `aws`."""
    for words in shell_lines(WITH_AWS):
        for index, word in enumerate(words):
            if word == "aws" and (words[index + 1], words[index + 2]) not in NOT_IN_AN_API:
                own = words[index + 1 :]
                ends = [at for at, each in enumerate(own) if each[-1:] in {*"|;&"}]
                last = own[: ends[0] + 1] if ends else own
                yield [bare for each in last if (bare := each.rstrip("|;&"))]


def of_cli() -> Iterator[list[str]]:
    for words in shell_lines(BLOCKS):
        if words[:1] == ["conversations"]:
            yield words[1:]


@pytest.fixture(scope="module")
def fields(running_stack: DevStack) -> set[str]:
    """Return the fields of all log lines of functions and API Gateway."""
    text = log_of_every_metric(running_stack).text.getvalue()
    lines = [json.loads(line) for line in text.splitlines()]
    api = Intrinsics(DOCUMENT, {"AccessLogs": "AccountRole"}).resolve(
        section(mapping(section(DOCUMENT, "Resources")["Api"]), "Properties")["AccessLogSetting"]
    )
    return {name for line in [*lines, json.loads(str(mapping(api)["Format"]))] for name in line}


def names_of_alarms() -> list[str]:
    return [str(alarm["AlarmName"]).removeprefix("local-stack-") for alarm in ALARMS.values()]


def test_every_alarm_has_its_part_and_its_link() -> None:
    parts = re.findall(r"^### ([a-z-]+)$", chapter("Alarms"), flags=re.MULTILINE)
    links = re.findall(r"^\| \[([a-z-]+)\]\(#\1\) \|", PAGE, flags=re.MULTILINE)

    assert parts == links == names_of_alarms()


@pytest.mark.parametrize("part", re.split(r"^### ", chapter("Alarms"), flags=re.MULTILINE)[1:-1])
def test_a_part_says_what_an_alarm_means_and_what_to_look_at_and_do(part: str) -> None:
    assert [part.count(f"**{word}.**") for word in ("Meaning", "Check", "Action")] == [1, 1, 1]
    assert "aws logs start-query" in part


def test_every_metric_is_explained() -> None:
    _, _, metrics = chapter("Monitoring").partition("### Metrics")

    assert {*first_column(metrics)} == {*METRICS}


def test_every_field_of_a_line_is_explained(fields: set[str]) -> None:
    _, _, lines = chapter("Monitoring").partition("The next table lists the fields of these lines")
    named = first_column(lines.partition("### Metrics")[0])

    assert {*named} == (fields | LAMBDAS_OWN) - {*METRICS}


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_uses_fields_that_are_logged(query: str, fields: set[str]) -> None:
    bare = re.sub(r'"[^"]*"|/[^/]*/|@\w+|\b\d+m?\b', " ", query)
    made = set(re.findall(r"\bas (\w+)", bare))

    used = set(re.findall(r"\w+", bare)) - WORDS - made

    assert used <= fields | LAMBDAS_OWN


def log_groups() -> set[str]:
    return {
        str(mapping(section(mapping(resource), "Properties")["LogGroupName"])["Fn::Sub"])
        for resource in section(DOCUMENT, "Resources").values()
        if mapping(resource)["Type"] == "AWS::Logs::LogGroup"
    }


def test_every_log_group_is_in_the_table_of_lines() -> None:
    named = re.findall(r"^\| .* \| `(/aws/.*?)`.* \|$", chapter("Monitoring"), flags=re.MULTILINE)

    assert {name.replace("STACK", "${AWS::StackName}") for name in named} == log_groups()


@pytest.mark.parametrize("options", sorted(set(QUERY_OPTIONS)))
def test_a_query_names_its_log_group_and_its_time(options: str) -> None:
    [named] = re.findall(r"--log-group-name (\S+)", options)

    assert len(QUERY_OPTIONS) == len(QUERIES)
    assert {"--start-time", "--end-time"} <= {*options.split()}
    assert named.replace("$STACK", "${AWS::StackName}") in log_groups()


@pytest.mark.parametrize("words", [*of_cli()], ids=" ".join)
def test_a_command_is_one_of_ours(words: list[str]) -> None:
    rest, command = list(words), main
    group: click.Command = command
    while isinstance(group, click.Group):
        group = group.commands[rest.pop(0)]
    options = {name for parameter in group.params for name in parameter.opts}

    assert {word for word in rest if word.startswith("--")} <= options


@pytest.mark.parametrize("words", [*aws_commands()], ids=" ".join)
def test_a_command_of_aws_is_valid_in_its_api(words: list[str]) -> None:
    command = aws_cli.parse([PLACEHOLDERS.get(word, word) for word in words])

    report = ParamValidator().validate(command.parameters, command.input_shape)

    assert not report.has_errors(), report.generate_report()


def test_an_output_that_is_named_is_one_of_the_stacks() -> None:
    named = set(re.findall(r"output ([A-Z]\w+)", PAGE))

    assert len(named) > 5
    assert named <= section(DOCUMENT, "Outputs").keys()
