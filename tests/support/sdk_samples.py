"""Sample items built from the SDKs' own types: every field, literal and union member in turn."""

import types
from collections.abc import Iterator
from itertools import chain
from typing import (
    Annotated,
    Any,
    Literal,
    NotRequired,
    Required,
    TypeAliasType,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

import typing_extensions
from meetkai_mka1.models.conversations_items_createop import ConversationsItemsCreateDataTypedDict
from meetkai_mka1.models.item import ItemTypedDict
from meetkai_mka1.types import UnrecognizedStr
from openai.types.responses.response_input_item_param import ResponseInputItemParam

from tests.support.contract_cases import Json

_WRAPPERS = {Annotated, Required, NotRequired, typing_extensions.Required}
_WRAPPERS |= {typing_extensions.NotRequired}
_ALIASES = (TypeAliasType, typing_extensions.TypeAliasType)
_SCALARS: dict[object, list[object]] = {
    str: ["text"],
    int: [7],
    float: [1.5, -2],
    bool: [True, False],
    object: [{"any": [1, None, "x", {"deep": 1.0}]}],
    Any: ["x", 1, None, [{"deep": 1.0}]],
    types.NoneType: [None],
    # Unknown values are left out, because the contract's enums are closed.
    UnrecognizedStr: [],
}
_SOURCES = {
    "input_image": ["file_id", "image_url"],
    "input_file": ["file_data", "file_id", "file_url"],
}


def _samples(kind: object) -> Iterator[object]:
    """Return sample values of *kind*, the simplest first."""
    if isinstance(kind, _ALIASES):
        return _samples(kind.__value__)
    if kind in _SCALARS:
        return iter(_SCALARS[kind])
    if is_typeddict(kind) or typing_extensions.is_typeddict(kind):
        return _objects(kind)
    return _generic(get_origin(kind), get_args(kind))


def _generic(origin: object, arguments: tuple[object, ...]) -> Iterator[object]:
    if origin is Literal:
        return iter(arguments)
    if origin in _WRAPPERS:
        return _samples(arguments[0])
    if origin in (Union, types.UnionType):
        return chain.from_iterable(map(_samples, arguments))
    if origin is dict:
        values = enumerate(_samples(arguments[1]))
        return iter([{}, {f"key {index}": value for index, value in values}])
    if isinstance(origin, _ALIASES):
        return _samples(origin.__value__[arguments])
    assert isinstance(origin, type), origin
    return iter([[], list(_samples(arguments[0]))])


def _objects(kind: object) -> Iterator[Json]:
    """Yield the minimal object, the full one, and the full one with each other value of a field."""
    hints = get_type_hints(kind, include_extras=True)
    values = {_wire(name): list(_samples(hint)) for name, hint in hints.items()}
    full: Json = {name: found[-1] for name, found in values.items()}
    required: Json = {_wire(name): values[_wire(name)][0] for name in _required(kind, hints)}
    yield from _with_one_source(required)
    for name, found in values.items():
        for value in found:
            yield from _with_one_source({**full, name: value})


def _wire(name: str) -> str:
    """Return the name in JSON; the mka1 SDK has other names for `bytes` and `format`."""
    return name.removesuffix("_")


def _required(kind: object, hints: dict[str, object]) -> list[str]:
    """Return the required names; openai's string annotations hide them from `__required_keys__`."""
    required: frozenset[str] = getattr(kind, "__required_keys__", frozenset())
    marks = (Required, typing_extensions.Required)
    return [name for name, hint in hints.items() if name in required or get_origin(hint) in marks]


def _with_one_source(sample: Json) -> Iterator[Json]:
    """Yield the sample with each single source; the SDKs document, but do not type, this rule."""
    sources = _SOURCES.get(str(sample.get("type")), [])
    if not sources:
        yield sample
    for source in sources:
        others = {name: value for name, value in sample.items() if name not in sources}
        yield {**others, source: "text"}


def _items(union: object) -> list[Json]:
    return [sample for sample in _samples(union) if isinstance(sample, dict)]


def is_valid_output(item: Json) -> bool:
    """Return whether an item is valid: openai's type allows outputs without a call."""
    return item.get("type") != "function_call_output" or not {"call_id", "name"}.isdisjoint(item)


OPENAI_ITEMS = _items(ResponseInputItemParam)
"""Items that the openai SDK can send."""

MKA1_ITEMS = _items(ItemTypedDict)
"""Items that the mka1 SDK can send."""

MKA1_RESPONSES = _items(ConversationsItemsCreateDataTypedDict)
"""Items that the mka1 SDK can receive, and post back."""
