"""Texts of an item, in which a search looks for words."""

from __future__ import annotations

import json
import tracemalloc

import pytest

from conversations.contract.items import ITEM_TYPES
from conversations.contract.text import item_texts
from tests.support.contract_cases import EXAMPLES, Json, with_type

PATCHED: Json = {
    "type": "apply_patch_call_output",
    "call_id": "c",
    "status": "failed",
    "output": "why",
}


def texts(item: Json) -> list[str]:
    return [*item_texts(with_type(item))]


def test_an_example_of_every_type_with_text_has_words() -> None:
    items: list[Json] = [PATCHED, *(item for _, item in EXAMPLES)]
    with_words = {str(with_type(item)["type"]) for item in items if texts(item)}

    silent = {name for name, item_type in ITEM_TYPES.items() if item_type.text} - with_words
    assert not silent, f"No example in tests/contract/examples has words of {sorted(silent)}."


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (
            {
                "type": "message",
                "id": "msg_1",
                "role": "user",
                "content": [
                    "plain",
                    {"type": "input_text", "text": "words"},
                    {"type": "input_file", "filename": "a.pdf", "file_data": "QUJD"},
                    {"type": "input_image", "image_url": "data:image/png;base64,QUJD"},
                    {"type": "input_audio", "input_audio": {"data": "QUJD", "format": "mp3"}},
                    {"type": "refusal", "refusal": "no"},
                ],
            },
            ["plain", "words", "a.pdf", "no"],
        ),
        (
            {
                "type": "reasoning",
                "summary": [{"type": "summary_text", "text": "why"}],
                "content": [{"type": "reasoning_text", "text": "because"}],
                "encrypted_content": "QUJD",
            },
            ["why", "because"],
        ),
        (
            {
                "type": "code_interpreter_call",
                "code": "f()",
                "container_id": "c",
                "outputs": [
                    {"type": "logs", "logs": "out"},
                    {"type": "image", "url": "data:image/png;base64,QUJD"},
                ],
            },
            ["f()", "out"],
        ),
        (
            {"type": "function_call_output", "call_id": "c", "output": '{"a": "\\u00fc"}'},
            ['{"a": "\\u00fc"}', '{"a": "ü"}'],
        ),
        (
            {"type": "function_call_output", "call_id": "c", "output": "\\ud83d\\ude42 \\ud83d"},
            ["\\ud83d\\ude42 \\ud83d", "🙂 \N{REPLACEMENT CHARACTER}"],
        ),
        (
            {"type": "tool_search_call", "arguments": {"any": ["thing", 1, None, {"x": "else"}]}},
            ["thing", "else"],
        ),
        (
            {"type": "message", "role": "user", "content": "![a](data:image/png;base64,QU/+_-=) b"},
            ["![a]( ) b"],
        ),
        (
            {"type": "message", "role": "user", "content": "in data:;base64,QUJD\ndata:,voice"},
            ["in  \ndata:,voice"],
        ),
        (
            {
                "type": "function_call_output",
                "call_id": "c",
                "output": r'{"a": "data:image\/png;name=a;base64,QU\/JD\u002bQ\u003d\nb\u00fc"}',
            },
            [r'{"a": " \nb\u00fc"}', r'{"a": " \nbü"}'],
        ),
        (
            {"type": "message", "role": "user", "content": "A data: URL has ;base64, in it"},
            ["A data: URL has ;base64, in it"],
        ),
        ({"type": "image_generation_call", "result": "QUJD", "revised_prompt": None}, []),
        ({"type": "item_reference", "id": "msg_1"}, []),
        ({"type": "of_a_newer_release", "content": "words"}, []),
    ],
    ids=lambda value: str(value["type"]) if isinstance(value, dict) else "",
)
def test_words_are_text_and_ids_and_encoded_data_are_not(item: Json, expected: list[str]) -> None:
    assert texts(item) == expected


def test_data_urls_are_removed_in_linear_time() -> None:
    """With a regular expression that reads on from each `data:`, this takes minutes."""
    hostile = "data:" * 200_000 + "x;base64," + "data:a;base64" * 100_000

    assert texts({"type": "message", "role": "user", "content": hostile})


@pytest.mark.parametrize(
    ("start", "repeated"),
    [("data:;base64,", "\\/"), ("data:;base64,", "\\u002f"), ("", "\\u0041")],
)
def test_many_escapes_need_little_memory(start: str, repeated: str) -> None:
    """A regular expression that may go back keeps a state of 100 bytes or more for each repeat."""
    hostile = start + repeated * 20_000
    tracemalloc.start()
    try:
        texts({"type": "message", "role": "user", "content": hostile})
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 10 * len(hostile)


def test_no_text_is_a_data_url_or_what_identifies_an_item() -> None:
    for name, item in EXAMPLES:
        found = texts(item)

        assert not any("base64," in text for text in found), name
        marked = json.loads(json.dumps(item))
        marked |= {"id": "THE-ID", "call_id": "THE-ID", "status": "THE-ID", "response_id": "THE-ID"}
        assert "THE-ID" not in [*item_texts(with_type(marked))], name
