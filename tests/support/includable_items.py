"""Items with the large fields that `include` selects."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.support.http_helpers import Json

LOG_PROBS = [{"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": []}]
SCREENSHOT = {"type": "computer_screenshot", "file_id": "file_1", "image_url": "data:,screen"}
SEARCH = {"type": "search", "query": "rain", "sources": [{"type": "url", "url": "https://a.test"}]}
IMAGE = {"type": "input_image", "detail": "low", "image_url": "data:,image"}
PROMPT = {"type": "input_text", "text": "What is this?"}
ANSWER = {"type": "output_text", "text": "a", "annotations": [], "logprobs": LOG_PROBS}
DONE = {"status": "completed"}
INCLUDABLE_ITEMS: dict[str, Json] = {
    "code_interpreter_call.outputs": {
        "type": "code_interpreter_call",
        "id": "ci_1",
        "code": "1",
        "container_id": "c",
        **DONE,
        "outputs": [{"type": "logs", "logs": "1"}],
    },
    "computer_call_output.output.image_url": {
        "type": "computer_call_output",
        "id": "cco_1",
        "call_id": "call_1",
        **DONE,
        "output": SCREENSHOT,
    },
    "file_search_call.results": {
        "type": "file_search_call",
        "id": "fs_1",
        "queries": ["rain"],
        **DONE,
        "results": [{"file_id": "file_3", "text": "It rains."}],
    },
    "message.input_image.image_url": {
        "type": "message",
        "id": "msg_1",
        "role": "user",
        **DONE,
        "content": [PROMPT, IMAGE],
    },
    "message.output_text.logprobs": {
        "type": "message",
        "id": "msg_2",
        "role": "assistant",
        **DONE,
        "content": [ANSWER],
    },
    "reasoning.encrypted_content": {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [],
        "encrypted_content": "c2VjcmV0",
    },
    "web_search_call.action.sources": {
        "type": "web_search_call",
        "id": "ws_1",
        **DONE,
        "action": SEARCH,
    },
    "web_search_call.results": {
        "type": "web_search_call",
        "id": "ws_2",
        **DONE,
        "action": {"type": "search", "query": "rain"},
        "results": [{"url": "https://a.test"}],
    },
}
"""An item with the selected field, for each value of `include`."""
