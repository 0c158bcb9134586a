"""File format of an export: the lines of a record."""

from __future__ import annotations

import json
from dataclasses import fields

from hypothesis import given
from hypothesis import strategies as st

from conversations.model import Conversation
from conversations.storage.archive import ArchivedConversation
from conversations_cli.archive_file import archived_conversation, record_lines

CONVERSATIONS = st.builds(Conversation, **{field.name: ... for field in fields(Conversation)})
"""Conversations with arbitrary values, also of fields that have a default."""


@given(CONVERSATIONS)
def test_every_field_of_a_conversation_comes_back_from_its_line(conversation: Conversation) -> None:
    archived = ArchivedConversation(conversation, None, [])

    line = json.loads(next(record_lines(archived, [])))
    read = archived_conversation(line, conversation.owner, conversation.account)

    assert read.conversation == conversation, "Add the field to `ConversationLine`, both ways."
