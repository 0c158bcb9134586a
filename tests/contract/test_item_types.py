"""Each item type of the contract is known wherever the project tells types apart."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin

import pytest

from conversations import ids
from conversations.contract.items import Item
from tests.support.contract_cases import EXAMPLES, INVALID, answered
from tests.support.paths import DOCS

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = DOCS / "compatibility.md"


def type_of(member: Any) -> str:
    """Return the `type` that a member of the union declares."""
    declared = get_args(member)[0] if get_origin(member) is Annotated else member
    annotation = declared.__annotations__["type"]
    while get_args(annotation):
        annotation = get_args(annotation)[0]
    return str(annotation)


TYPES = {type_of(member) for member in get_args(Item)}


def types_of_invalid_items() -> Iterator[str]:
    """Yield the types of items that a body of `invalid` is refused for."""
    for _, body, param in INVALID:
        found = re.match(r"items\[(\d+)\]\.", param or "")
        try:
            value = json.loads(body)
        except (ValueError, RecursionError):
            continue
        if found:
            item = value["items"][int(found[1])]
            yield str(item.get("type"))


def types_of_the_page() -> Iterator[str]:
    """Yield the types in the table of `docs/compatibility.md`."""
    table = PAGE.read_text(encoding="utf-8").partition("| `type` | in mka1 |")[2]
    for line in table.partition("\n\n")[0].splitlines()[2:]:
        yield line.split("|")[1].strip(" `")


@pytest.mark.parametrize(
    ("found", "missing"),
    [
        pytest.param(
            {*ids.PREFIXES},
            "no prefix for generated ids. Add it to PREFIXES in conversations/ids.py",
            id="prefixes",
        ),
        pytest.param(
            {str(answered(item)["type"]) for _, item in EXAMPLES},
            "no example. Add tests/contract/examples/NN-TYPE.min.json and .full.json",
            id="examples",
        ),
        pytest.param(
            {*types_of_invalid_items()},
            "no invalid body. Add one to tests/contract/invalid, with its path in index.json",
            id="invalid bodies",
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


@pytest.mark.parametrize("place", [{*ids.PREFIXES}, {*types_of_the_page()}], ids=["ids", "docs"])
def test_no_type_is_known_that_the_contract_lacks(place: set[str]) -> None:
    assert place <= TYPES
