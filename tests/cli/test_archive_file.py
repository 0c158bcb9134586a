"""File format of an export: the lines of a record."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from hypothesis import given

from conversations.storage.archive import ArchivedConversation
from conversations_cli.archive_file import archived_conversation, record_lines
from tests.support.strategies import CONVERSATIONS

if TYPE_CHECKING:
    from conversations.model import Conversation


@given(CONVERSATIONS)
def test_every_field_of_a_conversation_comes_back_from_its_line(conversation: Conversation) -> None:
    archived = ArchivedConversation(conversation, None, [])

    line = json.loads(next(record_lines(archived, [])))
    read = archived_conversation(line, conversation.owner, conversation.account)

    assert read.conversation == conversation, "Add the field to `ConversationLine`, both ways."
