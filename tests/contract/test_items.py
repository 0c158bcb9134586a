"""Item contract: examples, samples of the SDKs' types, and random values."""

import json
import re
import tracemalloc
from collections.abc import Callable
from typing import NotRequired, get_args, get_origin, get_type_hints, is_typeddict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from conversations.contract import (
    client_tools,
    computer,
    content,
    hosted_tools,
    items,
    openai_only_items,
)
from conversations.contract.bodies import AppendItems, parse_append
from conversations.contract.items import MAX_BATCH_ITEMS, PLACEHOLDER_ID
from conversations.errors import InvalidRequestError
from tests.support.contract_cases import EXAMPLES, INVALID, MESSAGE, Json, body_of, with_type
from tests.support.sdk_samples import MKA1_ITEMS, MKA1_RESPONSES, OPENAI_ITEMS, is_valid_output

LONGEST_MESSAGE = 2000


def error_for(body: str | bytes) -> InvalidRequestError:
    with pytest.raises(InvalidRequestError) as raised:
        parse_append(body)
    return raised.value


def test_an_example_comes_back_as_it_was_given() -> None:
    for name, item in EXAMPLES:
        [parsed] = parse_append(body_of(item))["items"]

        assert json.dumps(parsed) == json.dumps(with_type(item)), name


def test_an_example_can_be_posted_back_with_the_fields_of_responses() -> None:
    for name, item in EXAMPLES:
        posted = {"id": "it_1", **with_type(item), "response_id": "resp_1", "metadata": {"k": "v"}}

        [parsed] = parse_append(body_of(posted))["items"]

        assert parsed == posted, name


def test_an_invalid_body_is_rejected_at_the_fault() -> None:
    found = {name: error_for(body).param for name, body, _ in INVALID}

    assert found == {name: param for name, _, param in INVALID}


@pytest.mark.parametrize(
    "items", [OPENAI_ITEMS, MKA1_ITEMS, MKA1_RESPONSES], ids=["openai", "mka1", "mka1-responses"]
)
def test_whatever_the_types_of_an_sdk_allow_comes_back_as_it_was_given(items: list[Json]) -> None:
    for item in filter(is_valid_output, items):
        [parsed] = parse_append(body_of(item))["items"]

        assert json.dumps(parsed) == json.dumps(with_type(item))


def fields_in(value: object) -> list[tuple[dict[str, object], str]]:
    """Yield each field in *value* with its object; keys of maps with free keys are not fields."""
    if isinstance(value, list):
        return [found for inner in value for found in fields_in(inner)]
    if not isinstance(value, dict):
        return []
    return [(value, name) for name in value] + [
        found
        for name, inner in value.items()
        if name not in {"metadata", "env", "attributes"}
        for found in fields_in(inner)
    ]


def test_null_counts_as_absent_for_every_optional_field() -> None:
    """A field that an item may omit, at any depth, may also be null."""
    for example, item in EXAMPLES:
        copy = json.loads(json.dumps(with_type(item)))
        for holder, name in fields_in(copy):
            kept = holder.pop(name)
            may_lack = is_accepted(copy)
            holder[name] = None

            assert is_accepted(copy) or not may_lack, f"{example}: {name} may not be null"
            holder[name] = kept


def is_accepted(item: Json) -> bool:
    try:
        parse_append(body_of(item))
    except InvalidRequestError:
        return False
    return True


def test_every_optional_field_of_the_contract_may_be_null() -> None:
    declared = [
        (kind.__name__, name, hint)
        for module in (client_tools, computer, content, hosted_tools, items, openai_only_items)
        for kind in vars(module).values()
        if is_typeddict(kind) and kind.__module__ == module.__name__
        for name, hint in get_type_hints(kind, include_extras=True).items()
        if get_origin(hint) is NotRequired
    ]

    assert len(declared) > 100
    for kind, name, hint in declared:
        [inner] = get_args(hint)
        assert TypeAdapter(inner).validate_python(None) is None, f"{kind}.{name}"


def test_only_a_reference_needs_an_id() -> None:
    for example, item in EXAMPLES:
        without = {name: value for name, value in item.items() if name != "id"}

        assert is_accepted(without) == (with_type(item)["type"] != "item_reference"), example


def test_only_one_shape_of_the_sdks_is_left_out() -> None:
    left_out = [item for item in OPENAI_ITEMS + MKA1_ITEMS if not is_valid_output(item)]

    assert left_out == [{"type": "function_call_output", "output": "text"}]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("{", "invalid_json"),
        ("", "invalid_json"),
        ("\ud800", "invalid_json"),
        ("{}", "missing_required_parameter"),
        ('{"items":5}', "invalid_type"),
        ('{"items":[]}', "array_below_min_length"),
        (body_of(*[MESSAGE] * (MAX_BATCH_ITEMS + 1)), "array_above_max_length"),
        (body_of({"type": "chat"}), "unknown_item_type"),
        (body_of({"type": 5}), "invalid_type"),
        (body_of({"type": "item_reference"}), "missing_required_parameter"),
        (body_of({"role": "tool", "content": "x"}), "invalid_value"),
        (body_of({"role": None, "content": "x"}), "invalid_type"),
        (body_of({"id": ""}), "string_below_min_length"),
        (body_of({"id": "x" * 65}), "string_above_max_length"),
        (body_of({"id": "a b"}), "invalid_value"),
        (body_of({**MESSAGE, "id": "a"}, {**MESSAGE, "id": "a"}), "invalid_value"),
        (body_of({**MESSAGE, "content": [{"type": "input_video"}]}), "invalid_value"),
        ('{"items":[{"x":NaN}]}', "invalid_value"),
        ('{"items":[{"x":' + "[" * 300, "invalid_value"),
    ],
)
def test_a_error_has_the_code_of_its_kind(body: str | bytes, code: str) -> None:
    assert error_for(body).code == code


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            body_of({**MESSAGE, "role": "tool"}),
            "items[0].role must be 'user', 'assistant', 'system' or 'developer', got \"tool\".",
        ),
        (
            body_of({**MESSAGE, "content": 5}),
            "items[0].content must be a string or an array, got 5.",
        ),
        (
            body_of({**MESSAGE, "content": {}}),
            "items[0].content must be a string or an array, got an object.",
        ),
        (body_of(*[MESSAGE] * 21), "items must have at most 20 entries, got 21."),
        (body_of({"id": "x" * 65}), "items[0].id must have at most 64 characters, got 65."),
        (
            body_of({"id": "a b"}),
            (
                "items[0].id must be 1 to 64 of the characters A-Z, a-z, 0-9, '_' and '-', got"
                ' "a b".'
            ),
        ),
        (
            body_of({"type": "function_call"}),
            "items[0] must have the fields 'call_id', 'name', 'arguments'.",
        ),
        ("{}", "The body must have the field 'items'."),
        ("[]", "The body must be an object, got an array."),
        (" \n", "The body is empty. Send a JSON object."),
        ('{"items":[{"x":NaN}]}', "items[0].x must be a finite number."),
    ],
)
def test_a_error_says_what_is_wrong_in_a_sentence(body: str | bytes, message: str) -> None:
    assert error_for(body).message == message


@pytest.mark.parametrize(
    ("field", "param"),
    [
        ('"x":{"y":[1,NaN]}', "items[0].x.y[1]"),
        ('"x":[-Infinity]', "items[0].x[0]"),
        ('"x":1e999', "items[0].x"),
        ('"x":' + "9" * 400 + ".5", "items[0].x"),
        ('"x":-' + "9" * 5000, "items[0].x"),
        ('"x":' + "[" * 100 + "NaN", "items[0].x" + "[0]" * 17 + "…"),
        ('"x y":' + "[\n" * 300, 'items[0]["x y"]'),
        ('"x":' + '{"[":' * 300, "items[0].x"),
        ('"content":[{"type":"input_text","text":"","z":' + "[" * 300, "items[0].content[0].z"),
        ('"metadata":{"k":' + "[" * 300, "items[0].metadata"),
    ],
)
def test_what_json_cannot_carry_is_rejected_where_it_stands(field: str, param: str) -> None:
    assert error_for('{"items":[{"role":"user","content":"é",' + field + "}]}").param == param


@pytest.mark.parametrize(
    ("field", "param"),
    [
        ('"content":"\\ud83d"', "items[0].content"),
        (r'"content":"a \" \\\\\ud83d b"', "items[0].content"),
        (r'"content":[{"type":"input_text","text":"\ud83d\u0041"}]', "items[0].content[0].text"),
        (r'"x":{"\udc00":1}', "items[0].x"),
    ],
)
def test_a_lone_surrogate_is_named_where_it_stands(field: str, param: str) -> None:
    failure = error_for('{"items":[{"role":"user",' + field + "}]}")

    assert (failure.code, failure.param) == ("invalid_value", param)
    assert f"{param} has a lone surrogate" in failure.message


MEGABYTE = 2**20
HOSTILE = {
    "newlines": b'{"items":[' + b"\n" * MEGABYTE + b"x",
    "escaped quotes": b'{"a":"' + b'\\"' * (MEGABYTE // 2) + b'\\ud83d"',
    "backslashes": b'{"a":"' + b"\\" * MEGABYTE + b'\\ud83d"',
    "digits": b'{"a":' + b"1" * MEGABYTE,
    "brackets": b"[" * MEGABYTE,
    "a key": b'{"' + b"k" * MEGABYTE + b'":"\\ud83d"',
    "an unknown name": b'{"' + b"k" * MEGABYTE + b'":1}',
    "a string": b'["' + b"k" * MEGABYTE + b'",NaN]',
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_body_takes_no_more_than_four_times_its_size(body: bytes) -> None:
    tracemalloc.start()
    error_for(body)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak <= 4 * len(body)


@pytest.mark.parametrize("text", ["{NaN", "[1.NaN]", "[1e-Infinity]", "[--Infinity]", "1NaN"])
def test_a_number_out_of_place_is_no_json(text: str) -> None:
    assert error_for(text).code == "invalid_json"


@pytest.mark.parametrize(
    "value", ["NaN", "Infinity", 10**4000, -1e308, 1.0, 1, "\0", [[[]]], {"": {"a b": None}}]
)
def test_an_unknown_key_keeps_its_value(value: object) -> None:
    [parsed] = parse_append(body_of({**MESSAGE, "x": value}))["items"]

    assert repr(parsed) == repr({**MESSAGE, "x": value})


def test_the_last_of_duplicate_keys_wins() -> None:
    [parsed] = parse_append('{"items":[{"role":"user","content":5,"content":"x"}]}')["items"]

    assert parsed == {"role": "user", "content": "x", "type": "message"}


def test_include_is_any_list_of_strings() -> None:
    body = json.dumps({"items": [MESSAGE], "include": ["anything"]})

    assert parse_append(body) == {"items": [MESSAGE], "include": ["anything"]}


def test_the_placeholder_and_references_take_no_part_in_uniqueness() -> None:
    placeholder = {**MESSAGE, "id": PLACEHOLDER_ID}
    reference: Json = {"type": "item_reference", "id": "msg_1"}
    items = [placeholder, placeholder, reference, reference, {**MESSAGE, "id": "msg_1"}]

    assert parse_append(body_of(*items))["items"] == items


def test_an_invalid_value_of_a_megabyte_is_reported_in_a_line() -> None:
    shown = error_for(body_of({"type": "x" * 10**6}))
    keyed = error_for('{"items":[{"' + "k" * 10**6 + '":NaN}]}')

    assert len(shown.message) < LONGEST_MESSAGE
    assert len(keyed.message) + len(keyed.param or "") < LONGEST_MESSAGE


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def read_or_rejected(body: bytes) -> AppendItems | None:
    """Return the parsed *body*, or None if it was rejected with a short message at a path."""
    failure = None
    try:
        batch = parse_append(body)
    except InvalidRequestError as error:
        failure = error
    if failure is None:
        assert json.dumps(batch, allow_nan=False)
        return batch
    assert len(failure.message) < LONGEST_MESSAGE
    is_of_the_contract = bool(failure.param is None or re.match(r"items|include|\[", failure.param))
    is_of_the_contract |= failure.code in {"unknown_parameter", "invalid_json"}
    assert is_of_the_contract or failure.message.endswith("must be a finite number.")
    return None


@given(st.binary() | st.text().map(lambda text: text.encode(errors="surrogatepass")))
def test_no_bytes_do_more_than_reject(body: bytes) -> None:
    read_or_rejected(body)


@given(JSON | st.fixed_dictionaries({"items": st.lists(JSON), "include": JSON}))
def test_any_json_is_read_or_rejected_as_invalid(value: object) -> None:
    read_or_rejected(json.dumps(value).encode())


@given(st.sampled_from([body_of(item) for _, item in EXAMPLES]), st.data())
def test_no_cut_or_spliced_body_does_more_than_reject(body: bytes, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(body)))
    end = data.draw(st.integers(start, len(body)))

    read_or_rejected(body[:start] + data.draw(st.binary(max_size=4)) + body[end:])


def setters(value: object) -> list[Callable[[object], None]]:
    """Return a function for each position in *value* that replaces the value there."""
    if isinstance(value, dict):
        steps = list(value)
    elif isinstance(value, list):
        steps = list(range(len(value)))
    else:
        return []
    here = [lambda new, step=step: value.__setitem__(step, new) for step in steps]
    return here + [setter for step in steps for setter in setters(value[step])]


@settings(max_examples=300)
@given(st.sampled_from([json.dumps(item) for _, item in EXAMPLES]), st.data())
def test_a_changed_item_is_read_as_it_is_or_rejected(text: str, data: st.DataObject) -> None:
    item = json.loads(text)
    data.draw(st.sampled_from(setters(item)))(data.draw(JSON))

    batch = read_or_rejected(body_of(item))

    if batch:
        assert json.dumps(batch["items"]) == json.dumps([with_type(item)])
