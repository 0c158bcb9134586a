"""`docs/data.md` agrees with the file format."""

from __future__ import annotations

import re

from conversations_cli.archive_file import ConversationLine
from tests.support.paths import DOCS

PAGE = (DOCS / "data.md").read_text()
OF_ANY_LINE = {"type", "expires_at"}
"""Fields that the page explains once, for all lines."""


def test_it_names_the_fields_of_a_conversation_line() -> None:
    text = PAGE.partition("| `conversation` |")[2].partition("\n")[0]

    assert {*re.findall(r"`(\w+)`", text)} | OF_ANY_LINE == {*ConversationLine.__annotations__}
