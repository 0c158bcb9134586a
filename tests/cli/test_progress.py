"""Output of the data commands on a terminal, and while DynamoDB throttles."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING

import pytest

from conversations.errors import OverloadedError
from conversations_cli import export
from conversations_cli.data_options import amount, progress
from tests.support.commands import invoke

if TYPE_CHECKING:
    from pathlib import Path


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_is_one_line_of_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())

    with progress() as shown:
        shown.show("1 item")
        shown.show("2 items")

    assert terminal.getvalue() == "\r\x1b[K1 item\r\x1b[K"


def test_without_a_terminal_there_is_no_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", file := io.StringIO())

    with progress() as shown:
        shown.show("1 item")

    assert file.getvalue() == ""


@pytest.mark.parametrize(
    ("count", "expected"), [(0, "0 items"), (1, "1 item"), (2_000, "2,000 items")]
)
def test_an_amount_has_its_noun(count: int, expected: str) -> None:
    assert amount(count, "item") == expected


def test_a_command_that_is_throttled_can_be_given_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def throttled(*_: object) -> None:
        raise OverloadedError("The service is temporarily over capacity.")

    monkeypatch.setattr(export, "scan_index", throttled)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    at = ["--table", "t", "--bucket", "b", "--account", "acme"]

    result = invoke("export", *at, "--out", tmp_path / "out")

    assert result.exit_code == 1
    assert "over capacity. Run the command again: it continues where it stopped." in result.stderr
