"""Hypothesis's strategies of the service's own types."""

from dataclasses import fields

from hypothesis import strategies as st

from conversations.model import Conversation

CONVERSATIONS = st.builds(Conversation, **{field.name: ... for field in fields(Conversation)})
"""Conversations with arbitrary values, also of fields that have a default."""
