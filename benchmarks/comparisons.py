"""Results as rows of one table: ratios of one run, and figures with a limit."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

NO_SPREAD = ""


class Row(NamedTuple):
    """Row of the table; lower is better."""

    what: str
    against: str
    """Denominator of the ratio; empty for a figure."""
    value: float
    at_most: float | None
    """Target, if any."""
    spread: str
    """Quartiles of the pairs' ratios."""
    measured: str
    """Medians of a ratio, or the unit of a figure."""

    @property
    def is_met(self) -> bool:
        """Whether the value is within its target; true without a target."""
        return self.at_most is None or self.value <= self.at_most


def ratio(  # noqa: PLR0913 - a row's parts, each named by its caller
    what: str,
    against: str,
    *,
    ours: Sequence[float],
    theirs: Sequence[float],
    unit: str,
    at_most: float | None = None,
) -> Row:
    """Return the median of the pairs' ratios; a slow machine slows both halves of a pair."""
    low, middle, high = statistics.quantiles(
        [one / other for one, other in zip(ours, theirs, strict=True)], n=4
    )
    medians = f"{statistics.median(ours):,.2f} : {statistics.median(theirs):,.2f} {unit}"
    spread = f"{low:.2f} to {high:.2f}"
    return Row(what, against, round(middle, 3), at_most, spread, f"{medians}, {len(ours)} pairs")


def figure(what: str, value: float, unit: str, at_most: float | None = None) -> Row:
    """Return a row of a single figure."""
    return Row(what, "", value, at_most, NO_SPREAD, unit)


def table_of(rows: Iterable[Row]) -> str:
    """Return the rows as a Markdown table."""
    lines = [
        "| what | against | at most | reached | quartiles | medians |",
        "| --- | --- | ---: | ---: | --- | --- |",
    ]
    for row in rows:
        target = "" if row.at_most is None else f"{row.at_most:g}"
        mark = "" if row.is_met else " **missed**"
        lines.append(
            f"| {row.what} | {row.against} | {target} | {row.value:g}{mark}"
            f" | {row.spread} | {row.measured} |"
        )
    return "\n".join(lines)
