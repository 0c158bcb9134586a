"""Rendering of items, without a store: properties of every item's response."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.conversations import ConversationItem
from openai.types.responses import ResponseIncludable
from pydantic import TypeAdapter, ValidationError

from conversations.contract.bodies import parse_append
from conversations.http.rendering import INCLUDABLE_FIELDS, ItemRenderer, apply_include, to_openai
from tests.support.contract_cases import EXAMPLES, Json, body_of, with_type
from tests.support.returned_items import SAMPLES, UNKNOWN_TO_OPENAI, as_returned
from tests.support.sdk_samples import MKA1_ITEMS, OPENAI_ITEMS

if TYPE_CHECKING:
    from collections.abc import Iterator

OPENAI_TYPES: TypeAdapter[object] = TypeAdapter(ConversationItem)
ITEMS = st.builds(
    lambda item, unknown: {**unknown, **item},
    st.sampled_from(SAMPLES),
    st.dictionaries(
        st.text().map("x_".__add__),
        st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5),
        max_size=3,
    ),
)
"""Items of every shape of the contract, with fields that it does not know."""
OPENAIS_WORDS = {
    "status": "completed",
    "background": "auto",
    "output_format": "png",
    "quality": "auto",
    "size": "auto",
}
"""A value of OpenAI's enum for each field in which mka1 accepts any text."""
CHOICES = st.frozensets(st.sampled_from([*INCLUDABLE_FIELDS]))


def is_typed(item: Json) -> bool:
    try:
        OPENAI_TYPES.validate_python(item, strict=True)
    except ValidationError:
        return False
    return True


def values_in(value: object) -> Iterator[object]:
    """Return all names and values of an item, with repetitions, except null."""
    if isinstance(value, dict):
        yield from value
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from values_in(inner)
    elif value is not None:
        yield repr(value)


def test_openai_reads_what_it_has_a_word_for() -> None:
    unread = {name for name, item in EXAMPLES if not is_typed(to_openai(as_returned(item)))}

    assert unread == UNKNOWN_TO_OPENAI.keys()


def test_openai_reads_whatever_it_sends() -> None:
    unread = [item for item in OPENAI_ITEMS if not is_typed(to_openai(as_returned(item)))]

    assert {with_type(item)["type"] for item in unread} == {"compaction_trigger", "item_reference"}


def in_openais_words(value: Any) -> Any:
    """Return the value with OpenAI's enum values, and whole numbers for bytes."""
    if isinstance(value, list):
        return [in_openais_words(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    words = {name: word for name, word in OPENAIS_WORDS.items() if value.get(name) == "text"}
    whole_bytes = {"bytes": [int(byte) for byte in value["bytes"]]} if "bytes" in value else {}
    return {name: in_openais_words(inner) for name, inner in value.items()} | words | whole_bytes


def test_openai_reads_what_mka1_sends_in_openais_words() -> None:
    shown = [to_openai(as_returned(in_openais_words(item))) for item in MKA1_ITEMS]
    unread = [item for item in shown if not is_typed(item)]

    types = {item["type"] for item in unread if "input_audio" not in str(item)}
    assert types == {"item_reference", "output_audio", "shell_call_output"}


@given(item=ITEMS)
def test_to_show_an_item_again_changes_nothing(item: Json) -> None:
    shown = to_openai(item)

    assert to_openai(shown) == shown


@given(item=ITEMS)
def test_nothing_is_lost_from_sight(item: Json) -> None:
    kept = Counter(values_in(item)) - Counter({repr("find"): 1})

    assert kept <= Counter(values_in(to_openai(item)))


@given(item=ITEMS)
def test_what_was_seen_can_be_posted_back(item: Json) -> None:
    shown = to_openai(item)

    assert parse_append(body_of(shown))["items"] == [shown]


@pytest.mark.parametrize("item_type", ["output_audio", "item_reference", "compaction_trigger"])
def test_what_openai_does_not_know_is_shown_as_it_is(item_type: str) -> None:
    items = [item for item in SAMPLES if item["type"] == item_type]

    assert items
    assert [to_openai(item) for item in items] == items


@pytest.mark.parametrize(
    ("role", "part_type"),
    [
        ("user", "input_text"),
        ("system", "input_text"),
        ("developer", "input_text"),
        ("assistant", "output_text"),
    ],
)
@pytest.mark.parametrize("content", ["Hello", ["Hello"]], ids=["text", "bare part"])
def test_text_is_a_part_of_whoever_speaks(content: object, role: str, part_type: str) -> None:
    shown = to_openai({"id": "m", "type": "message", "role": role, "content": content})

    annotations: Json = {"annotations": []} if role == "assistant" else {}
    assert shown["content"] == [{"type": part_type, "text": "Hello", **annotations}]
    assert shown["status"] == "completed"


@pytest.mark.parametrize("status", ["in_progress", "incomplete"])
def test_a_status_that_was_given_stays(status: str) -> None:
    item: Json = {"id": "m", "type": "message", "role": "user", "content": "x", "status": status}

    assert to_openai(item)["status"] == status


def test_a_message_of_very_many_parts_is_shown_as_it_was_given() -> None:
    few, many = (
        json.dumps({"id": "m", "type": "message", "role": "user", "content": ["x"] * count})
        for count in (30, 300)
    )

    assert (
        json.loads(ItemRenderer(is_openai=True).render(few))["content"][0]["type"] == "input_text"
    )
    assert json.loads(ItemRenderer(is_openai=True).render(many)) == json.loads(many)


@given(item=ITEMS)
def test_without_include_the_text_is_unchanged(item: Json) -> None:
    text = json.dumps(item)

    assert ItemRenderer().render(text) is text


@given(item=ITEMS, some=CHOICES, others=CHOICES)
def test_of_two_choices_what_both_include_is_left(
    item: Json, some: frozenset[str], others: frozenset[str]
) -> None:
    shown = apply_include(others, apply_include(some, item))

    assert shown == apply_include(some & others, item)
    assert apply_include(frozenset(INCLUDABLE_FIELDS), item) == item


@given(item=ITEMS, included=CHOICES)
def test_include_selects_the_same_fields_in_either_dialect(
    item: Json, included: frozenset[str]
) -> None:
    assert apply_include(included, to_openai(item)) == to_openai(apply_include(included, item))


def test_the_values_of_include_are_openais() -> None:
    assert INCLUDABLE_FIELDS.keys() == set(get_args(ResponseIncludable))


@pytest.mark.parametrize("extra", [{}, {"signal": "SIGKILL"}])
def test_an_output_without_an_exit_code_keeps_its_shape_whatever_else_its_outcome_says(
    extra: dict[str, str],
) -> None:
    outcome = {"type": "exit", "exit_code": None, **extra}
    output = {"stdout": "", "stderr": "", "outcome": outcome}
    item: Json = {"type": "shell_call_output", "id": "sho_1", "call_id": "c", "output": output}

    assert to_openai(item)["output"] == output


def test_commands_that_are_null_count_as_absent() -> None:
    action = {"type": "exec", "command": "ls", "commands": None}
    item: Json = {"type": "shell_call", "id": "sh_1", "call_id": "c", "action": action}

    assert to_openai(item)["action"] == {**action, "commands": ["ls"]}
