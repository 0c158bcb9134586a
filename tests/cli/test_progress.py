"""Output of the data commands on a terminal."""

from __future__ import annotations

import io
import sys

import pytest

from conversations_cli.data_options import amount, progress


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
