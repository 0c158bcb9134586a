"""The tests and files that `docs/security.md` names exist."""

from __future__ import annotations

import re

import pytest

from tests.support.paths import DOCS, ROOT, TESTS

PAGE = (DOCS / "security.md").read_text()
NAMED = sorted(set(re.findall(r"`(test_\w+\.py)::(test_\w+)`", PAGE)))
LINES = sorted(set(re.findall(r"`([\w:]+: [!\w: ]+)`", PAGE)))


def test_the_page_names_tests_and_lines() -> None:
    assert len(NAMED) > 15
    assert len(LINES) > 4


@pytest.mark.parametrize(("module", "test"), NAMED)
def test_a_test_that_the_page_names_is_there(module: str, test: str) -> None:
    assert any(f"\ndef {test}(" in found.read_text() for found in TESTS.rglob(module))


@pytest.mark.parametrize("line", LINES)
def test_a_line_that_the_page_names_is_in_the_template(line: str) -> None:
    assert re.search(
        rf"^[ -]*{re.escape(line)}$", (ROOT / "template.yaml").read_text(), re.MULTILINE
    )
