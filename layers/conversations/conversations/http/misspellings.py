"""Misspelt names of query parameters, which would otherwise filter by metadata."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from conversations.errors import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Iterable


def reject_misspelt(name: str, parameters: Iterable[str]) -> None:
    """Reject a metadata name that is one slip of the keyboard from a name in *parameters*.

    `limt`, `ordre`, `orders` and `LIMIT` are; `research`, `topic`, `user` and `order_id` are not.

    Raises:
        InvalidRequestError: the message names the parameter.
    """
    for parameter in parameters:
        if _differ_by_one_slip(name.lower(), parameter):
            shown = json.dumps(name[:100], ensure_ascii=False)
            raise InvalidRequestError(
                f"{shown} is not a parameter. Did you mean '{parameter}'? To filter by the"
                f" metadata key {shown}, use the parameter 'metadata', which is a JSON object.",
                code="unknown_parameter",
                param=name,
            )


def _differ_by_one_slip(one: str, other: str) -> bool:
    """Return whether at most one letter was added, omitted, replaced, or swapped with its neighbor.

    That is a Damerau-Levenshtein distance of at most 1.
    """
    start = _common_prefix(one, other)
    one, other = one[start:], other[start:]
    end = _common_prefix(one[::-1], other[::-1])
    one, other = one[: len(one) - end], other[: len(other) - end]
    return max(len(one), len(other)) <= 1 or (len(one) == 2 and one == other[::-1])  # noqa: PLR2004 - two neighbors


def _common_prefix(one: str, other: str) -> int:
    """Return the number of letters with which both begin."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((index for index, (a, b) in pairs if a != b), min(len(one), len(other)))
