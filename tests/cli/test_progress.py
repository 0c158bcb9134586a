"""Output of the data commands on a terminal."""

from __future__ import annotations

import io
import re
import sys

import pytest

from conversations_cli.data_options import amount, progress, warn


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True

    def lines(self) -> list[str]:
        """Return the lines that a terminal shows in the end; a carriage return overwrites one."""
        text = re.sub(r"\x1b\[(\?25[lh]|K)", "", self.getvalue())
        return [line.rpartition("\r")[2].rstrip() for line in text.split("\n")]


def test_progress_is_one_line_of_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())

    with progress() as show:
        show("100 items")
        show("2 items")

    assert terminal.lines() == ["2 items", ""]


def test_a_warning_replaces_the_line_of_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())

    with progress() as show:
        show("1 item")
        warn("line 2: \x1b]0;bad")
        show("3 items")

    assert terminal.lines() == [r"line 2: \u001b]0;bad", "3 items", ""]
    assert "1 item" in terminal.getvalue()
    assert "\r\x1b[Kline 2" in terminal.getvalue()


def test_an_error_does_not_follow_the_line_of_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())

    def fail() -> None:
        with progress() as show:
            show("1 item")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()

    assert terminal.lines() == ["1 item", ""]


def test_without_a_terminal_there_is_no_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", file := io.StringIO())

    with progress() as show:
        show("1 item")
        warn("sentence")

    assert file.getvalue() == "sentence\n"


def test_a_closed_standard_error_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)

    with progress() as show:
        show("1 item")
        warn("sentence")


@pytest.mark.parametrize(
    ("count", "expected"), [(0, "0 items"), (1, "1 item"), (2_000, "2,000 items")]
)
def test_an_amount_has_its_noun(count: int, expected: str) -> None:
    assert amount(count, "item") == expected
