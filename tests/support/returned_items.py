"""Sample items as the service returns them."""

from __future__ import annotations

from typing import get_args

from openai.types.conversations import ConversationItem

from tests.support.contract_cases import EXAMPLES, Json, with_type
from tests.support.sdk_samples import MKA1_ITEMS, OPENAI_ITEMS, is_valid_output

_RETURNED_BY_OPENAI = {
    value
    for member in get_args(get_args(ConversationItem)[0])
    for value in get_args(member.model_fields["type"].annotation)
}
UNKNOWN_TO_OPENAI = {
    "01-input_message.full": "sound in a message",
    "16-shell_call_output.exit_null": "an exit without a code",
    "24-compaction.min": "a compaction that can be read",
    "24-compaction.no_id": "a compaction that can be read",
} | {
    name: "a type that OpenAI does not return"
    for name, item in EXAMPLES
    if with_type(item)["type"] not in _RETURNED_BY_OPENAI
}
"""Examples that OpenAI's response types cannot express, by name, with the reason."""


def as_returned(item: Json) -> Json:
    """Return the item as the service returns it: with a `type` and an id."""
    return {**with_type(item), "id": item.get("id") or "item_1"}


SAMPLES = [
    as_returned(item)
    for item in [*(item for _, item in EXAMPLES), *OPENAI_ITEMS, *MKA1_ITEMS]
    if is_valid_output(item)
]
"""One item of each shape of the contract and of the SDKs' types."""
