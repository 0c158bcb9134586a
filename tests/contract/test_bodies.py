"""The bodies of a create and of a metadata update."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversations.contract.bodies import parse_create, parse_update
from conversations.errors import InvalidRequestError
from tests.support.contract_cases import EXAMPLES, INVALID, body_of, with_type

EMPTY_IN_A_CREATE = {"016-missing-items.json", "015-items-null.json", "021-items-empty.json"}
EMPTY_IN_A_CREATE |= {"001-empty.body", "017-only-include.json"}


def pairs(count: int) -> dict[str, str]:
    return {f"k{index}": "v" for index in range(count)}


@pytest.mark.parametrize("body", [None, "", b"", " \n", "{}", '{"items":null,"metadata":null}'])
def test_a_create_needs_nothing(body: str | bytes | None) -> None:
    created = parse_create(body)

    assert not created.get("items")
    assert not created.get("metadata")


def test_a_create_reads_items_as_an_append_does() -> None:
    items = [item for _, item in EXAMPLES[:20]]

    assert parse_create(body_of(*items)).get("items") == [with_type(item) for item in items]


def test_a_create_rejects_what_an_append_rejects() -> None:
    for name, body, param in INVALID:
        if name not in EMPTY_IN_A_CREATE and not (param or "").startswith("include"):
            with pytest.raises(InvalidRequestError) as raised:
                parse_create(body)

            assert raised.value.param == param, name


@pytest.mark.parametrize(
    "metadata", [{}, pairs(16), {"k" * 64: "v" * 512}, {"odd key": "", "type=x": "", "[key]": ""}]
)
def test_metadata_within_limits_comes_back(metadata: dict[str, str]) -> None:
    body = json.dumps({"metadata": metadata})

    assert parse_create(body) == parse_update(body) == {"metadata": metadata}


@pytest.mark.parametrize(
    ("metadata", "param", "code"),
    [
        ([], "metadata", "invalid_type"),
        ("x", "metadata", "invalid_type"),
        (pairs(17), "metadata", "invalid_value"),
        ({"k": 5}, "metadata.k", "invalid_type"),
        ({"a b": {}}, 'metadata["a b"]', "invalid_type"),
        ({"[key]": 5}, 'metadata["[key]"]', "invalid_type"),
        ({"": "v"}, 'metadata[""]', "string_below_min_length"),
        ({"k": "v" * 513}, "metadata.k", "string_above_max_length"),
        ({"k" * 65: "v"}, f'metadata["{"k" * 64}…"]', "string_above_max_length"),
    ],
)
def test_metadata_beyond_limits_is_rejected(metadata: object, param: str, code: str) -> None:
    for parse in (parse_create, parse_update):
        with pytest.raises(InvalidRequestError) as raised:
            parse(json.dumps({"metadata": metadata}))

        assert (raised.value.param, raised.value.code) == (param, code)


@pytest.mark.parametrize(
    ("key", "value", "param", "code"),
    [
        ("k" * 65, {"a": 1}, f'metadata["{"k" * 64}…"]', "string_above_max_length"),
        ("", {"a": 1}, 'metadata[""]', "string_below_min_length"),
        ("type=x", 5, 'metadata["type=x"]', "invalid_type"),
    ],
)
def test_an_odd_key_is_named_whatever_its_value(
    key: str, value: object, param: str, code: str
) -> None:
    with pytest.raises(InvalidRequestError) as raised:
        parse_create(json.dumps({"metadata": {key: value}}))

    assert (raised.value.param, raised.value.code) == (param, code)


def test_a_null_value_is_for_updates_only() -> None:
    body = '{"metadata":{"k":null}}'

    assert parse_update(body) == {"metadata": {"k": None}}
    with pytest.raises(InvalidRequestError, match=r"metadata\.k must be a string, got null"):
        parse_create(body)


def test_deletions_do_not_count_as_pairs() -> None:
    metadata = {**pairs(16), "gone": None}

    assert parse_update(json.dumps({"metadata": metadata})) == {"metadata": metadata}


def test_openai_may_update_with_no_metadata_at_all() -> None:
    assert parse_update('{"metadata":null}') == {"metadata": None}


@pytest.mark.parametrize(("body", "param"), [("", None), ("[]", None), ("{}", "metadata")])
def test_an_update_needs_metadata(body: str, param: str | None) -> None:
    with pytest.raises(InvalidRequestError) as raised:
        parse_update(body)

    assert raised.value.param == param


@given(st.text())
def test_any_key_is_written_so_that_it_can_be_found(key: str) -> None:
    with pytest.raises(InvalidRequestError) as raised:
        parse_update(json.dumps({"metadata": {key: 5}}))

    assert (raised.value.param or "").startswith("metadata")
