"""Which route of the API a request is for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from local.template import Route

_ANY: Final = "ANY"


@dataclass(frozen=True, slots=True)
class RouteMatch:
    """A route, with the values of its path's parameters, decoded."""

    route: Route
    parameters: Mapping[str, str]


def match_route(routes: Sequence[Route], method: str, raw_path: str) -> RouteMatch | None:
    """The route of a request, None if its path or its method is none of ours.

    As in a REST API's tree of resources, a literal segment is preferred to `{name}` and that to
    `{name+}`, the resource is chosen before the method, an escaped slash stays in its segment, and
    a slash at the end means nothing.
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
    """The parameters' values as they stand in the path; under "" whatever is literal."""
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
