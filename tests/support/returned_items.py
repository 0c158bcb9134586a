"""Sample items as the service returns them."""

from __future__ import annotations

from tests.support.contract_cases import EXAMPLES, Json, answered
from tests.support.sdk_samples import MKA1_ITEMS, OPENAI_ITEMS, is_valid_output

UNKNOWN_TO_OPENAI = {
    "01-input_message.full": "sound in a message",
    "03-output_audio.full": "sound",
    "03-output_audio.min": "sound",
    "03-output_audio.no_id": "sound",
    "16-shell_call_output.exit_null": "an exit without a code",
    "23-item_reference.min": "a reference in a response",
    "23-item_reference.notype": "a reference in a response",
    "23-item_reference.posted_back": "a reference in a response",
    "24-compaction.min": "a compaction that can be read",
    "24-compaction.no_id": "a compaction that can be read",
    "openai/compaction_trigger": "a trigger in a response",
    "openai/compaction_trigger_null": "a trigger in a response",
    "openai/item_reference_type_null": "a reference in a response",
}
"""Examples that OpenAI's response types cannot express, by name, with the reason."""


def as_returned(item: Json) -> Json:
    """Return the item as the service returns it: with a `type` and an id."""
    return {**answered(item), "id": item.get("id") or "item_1"}


SAMPLES = [
    as_returned(item)
    for item in [*(item for _, item in EXAMPLES), *OPENAI_ITEMS, *MKA1_ITEMS]
    if is_valid_output(item)
]
"""One item of each shape of the contract and of the SDKs' types."""
