"""Event filter patterns, by which an event source mapping selects records.

The rules are those of "Filter rule syntax" in the Lambda developer guide: equality, exists, prefix,
suffix, anything-but and numeric ranges. DynamoDB numbers are strings in a record and compare so.
"""

from collections.abc import Callable, Mapping
from typing import Final

from local.errors import TemplateError
from local.intrinsics import Json, JsonObject

_ORDERS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "=": lambda value, bound: value == bound,
    "<": lambda value, bound: value < bound,
    "<=": lambda value, bound: value <= bound,
    ">": lambda value, bound: value > bound,
    ">=": lambda value, bound: value >= bound,
}


def matches(pattern: JsonObject, event: Json) -> bool:
    """Return whether every field of the pattern has one of the values that it lists."""
    fields = event if isinstance(event, dict) else {}
    return all(
        matches(wanted, fields.get(name))
        if isinstance(wanted, dict)
        else any(_accepts(rule, fields, name) for rule in _rules(wanted))
        for name, wanted in pattern.items()
    )


def _rules(wanted: Json) -> list[Json]:
    if not isinstance(wanted, list):
        raise TemplateError(f"A filter pattern must have a list of values, got {wanted!r}.")
    return wanted


def _accepts(rule: Json, fields: JsonObject, name: str) -> bool:
    value = fields.get(name)
    match rule:
        case {"exists": bool(wanted)}:
            return (name in fields) is wanted
        case {"prefix": str(prefix)}:
            return isinstance(value, str) and value.startswith(prefix)
        case {"suffix": str(suffix)}:
            return isinstance(value, str) and value.endswith(suffix)
        case {"anything-but": others}:
            return name in fields and value not in (
                others if isinstance(others, list) else [others]
            )
        case {"numeric": list(bounds)}:
            return isinstance(value, int | float) and _is_within(value, bounds)
        case dict():
            raise TemplateError(f"The local stack does not support the filter rule {rule!r}.")
        case _:
            return name in fields and value == rule


def _is_within(value: float, bounds: list[Json]) -> bool:
    orders = zip(bounds[::2], bounds[1::2], strict=True)
    return all(_ORDERS[str(order)](value, float(str(bound))) for order, bound in orders)
