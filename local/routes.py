"""Matching of requests to routes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from local.template import Route

_ANY: Final = "ANY"


@dataclass(frozen=True, slots=True)
class RouteMatch:
    """Route with the decoded values of its path parameters."""

    route: Route
    parameters: Mapping[str, str]


def match_route(routes: Sequence[Route], method: str, raw_path: str) -> RouteMatch | None:
    """Return the route of a request, or None if no route has its path and method.

    As in API Gateway, a literal segment takes precedence over `{name}`, and `{name}` over
    `{name+}`. The resource is selected before the method. An escaped slash does not end a segment,
    and a trailing slash is ignored.
    """
    segments = raw_path.rstrip("/").split("/")
    found = [(route, values) for route in routes if (values := _values(route, segments))]
    if not found:
        return None
    resource = min((route.path for route, _ in found), key=_rank)
    for wanted in (method, _ANY):
        for route, values in found:
            if (route.path, route.method) == (resource, wanted):
                return RouteMatch(route, {n: unquote(v) for n, v in values.items() if n})
    return None


def _values(route: Route, segments: Sequence[str]) -> dict[str, str] | None:
    """Return the parameters' undecoded values, with literal segments under ""; None if no match."""
    pattern = route.path.rstrip("/").split("/")
    values: dict[str, str] = {}
    for index, (wanted, given) in enumerate(zip(pattern, segments, strict=False)):
        name = wanted[1:-1] if wanted.startswith("{") else ""
        if name.endswith("+"):
            values[name[:-1]] = "/".join(segments[index:])
            return values
        if (not name and wanted != given) or (name and not given):
            return None
        values[name] = given
    return values if len(pattern) == len(segments) else None


def _rank(path: str) -> list[int]:
    return [segment.startswith("{") + segment.endswith("+}") for segment in path.split("/")]
