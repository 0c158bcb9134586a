"""Rows hold what they are made of."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hypothesis import given

from conversations import ids
from conversations.storage import rows
from tests.support.strategies import CONVERSATIONS

if TYPE_CHECKING:
    from conversations.model import Conversation

OWNER = ids.owner_of("acme", "")


@given(CONVERSATIONS)
def test_every_field_of_a_conversation_comes_back_from_its_row(conversation: Conversation) -> None:
    conversation = replace(conversation, owner=OWNER, conversation_id="conv_1")

    read = rows.read_conversation(rows.conversation_row(conversation))

    assert read == conversation, "Write the field in `conversation_row`; read it again."
