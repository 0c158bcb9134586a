"""Each item type of the contract is in every part of the project that distinguishes types."""

from __future__ import annotations

import re
from collections import Counter
from itertools import chain
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin

import pytest

from conversations.contract.bodies import parse_append
from conversations.contract.fields import EchoedFields
from conversations.contract.items import ITEM_TYPES, Item
from conversations.errors import InvalidRequestError
from tests.support.contract_cases import EXAMPLES, Json, body_of, with_type
from tests.support.paths import DOCS

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = DOCS / "compatibility.md"
SHARED_PREFIX = "item"
UNDECLARED_TEXT = {"web_search_call": {"results"}}
"""Fields with text that clients send, though no SDK declares them."""
WITHOUT_TEXT = {"item_reference", "configuration_update", "compaction_trigger"}
OF_NO_FIELD: object = [[{}]]
"""Value that is valid only in a field of any JSON."""
ANY_JSON = {("tool_search_call", "arguments")}


def type_of(member: Any) -> str:
    """Return the `type` that a member of the union declares."""
    declared = get_args(member)[0] if get_origin(member) is Annotated else member
    annotation = declared.__annotations__["type"]
    while get_args(annotation):
        annotation = get_args(annotation)[0]
    return str(annotation)


def members_by_type(item_type: object) -> list[Any]:
    """Return the classes of the union with this `type`."""
    members = [get_args(m)[0] if get_origin(m) is Annotated else m for m in get_args(Item)]
    return [member for member in members if type_of(member) == item_type]


TYPES = {type_of(member) for member in get_args(Item)}


def types_of_the_page() -> Iterator[str]:
    """Yield the types in the table of `docs/compatibility.md`."""
    table = PAGE.read_text(encoding="utf-8").partition("| `type` | in mka1 |")[2]
    for line in table.partition("\n\n")[0].splitlines()[2:]:
        yield line.split("|")[1].strip(" `")


@pytest.mark.parametrize(
    ("found", "missing"),
    [
        pytest.param(
            {*ITEM_TYPES},
            "no prefix for generated ids. Annotate its `type` with ItemType",
            id="annotations",
        ),
        pytest.param(
            {str(with_type(item)["type"]) for _, item in EXAMPLES},
            "no example. Add one with every field to tests/contract/examples",
            id="examples",
        ),
        pytest.param(
            {*types_of_the_page()},
            "no row in the table of types. Add it to docs/compatibility.md",
            id="docs",
        ),
    ],
)
def test_each_type_is_known(found: set[str], missing: str) -> None:
    unknown = sorted(TYPES - found)

    assert not unknown, f"{', '.join(unknown)}: {missing}."


def test_the_page_has_no_type_that_the_contract_lacks() -> None:
    assert {*types_of_the_page()} <= TYPES


def test_each_type_has_text_unless_it_is_known_to_have_none() -> None:
    without = {name for name, item_type in ITEM_TYPES.items() if not item_type.text}

    assert without == WITHOUT_TEXT, (
        f"{', '.join(sorted(without ^ WITHOUT_TEXT))}: name the fields that a search reads, in "
        "ItemType(text=...) at the type, or add the type to WITHOUT_TEXT of this test."
    )


def test_a_prefix_is_short_and_of_one_type() -> None:
    prefixes = Counter(item_type.prefix for item_type in ITEM_TYPES.values())

    for prefix, count in prefixes.items():
        assert re.fullmatch("[a-z]{2,4}", prefix), f"{prefix}: use two to four lower-case letters."
        assert count == 1 or prefix == SHARED_PREFIX, f"{prefix}: another type has this prefix."


@pytest.mark.parametrize("item_type", sorted(TYPES))
def test_the_fields_of_a_type_are_in_its_examples_and_those_with_text_exist(item_type: str) -> None:
    fields = {name for member in members_by_type(item_type) for name in member.__annotations__}
    examples = [item for _, item in EXAMPLES if with_type(item)["type"] == item_type]

    missing = fields - EchoedFields.__annotations__.keys() - {*chain.from_iterable(examples)}
    unknown = {*ITEM_TYPES[item_type].text} - fields - UNDECLARED_TEXT.get(item_type, set())
    assert not missing, f"Add an example of {item_type} with {', '.join(sorted(missing))}."
    assert not unknown, f"ItemType(text=...) of {item_type} names fields that it does not have."


def test_a_value_of_another_kind_is_rejected_at_its_path() -> None:
    for name, item in EXAMPLES:
        fields = {
            field
            for member in members_by_type(with_type(item)["type"])
            for field in member.__annotations__
        }
        for field in (fields & {"id", *item}) - {"type"}:
            body = body_of({**item, field: OF_NO_FIELD})
            if (with_type(item)["type"], field) in ANY_JSON:
                parse_append(body)
                continue
            with pytest.raises(InvalidRequestError) as caught:
                parse_append(body)
            assert (caught.value.param or "").startswith(f"items[0].{field}"), name


@pytest.mark.parametrize("item_type", sorted(TYPES))
def test_a_type_alone_is_rejected_if_the_type_has_required_fields(item_type: str) -> None:
    item: Json = {"type": item_type}
    required = [member.__required_keys__ - {"type"} for member in members_by_type(item_type)]

    if not all(required):
        parse_append(body_of(item))
        return
    with pytest.raises(InvalidRequestError) as caught:
        parse_append(body_of(item))
    assert (caught.value.param or "").startswith("items[0]")
