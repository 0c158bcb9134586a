import pytest

from local.routes import match_route
from local.template import Route

ROUTES = tuple(
    Route(method, path, "Function", None)
    for method, path in (
        ("GET", "/"),
        ("POST", "/things"),
        ("GET", "/things/{id}"),
        ("GET", "/things/special"),
        ("ANY", "/things/{id}/parts"),
        ("GET", "/things/{id}/parts"),
        ("GET", "/files/{path+}"),
    )
)


@pytest.mark.parametrize(
    ("method", "path", "route", "parameters"),
    [
        pytest.param("GET", "/", "GET /", {}, id="root"),
        pytest.param("POST", "/things", "POST /things", {}, id="literal"),
        pytest.param("POST", "/things/", "POST /things", {}, id="slash-at-the-end"),
        pytest.param("GET", "/things/a", "GET /things/{id}", {"id": "a"}, id="parameter"),
        pytest.param("GET", "/things/a%2Fb%20c", "GET /things/{id}", {"id": "a/b c"}, id="escaped"),
        pytest.param("GET", "/things/special", "GET /things/special", {}, id="literal-first"),
        pytest.param("GET", "/things/a/parts", "GET /things/{id}/parts", {"id": "a"}, id="method"),
        pytest.param("PUT", "/things/a/parts", "ANY /things/{id}/parts", {"id": "a"}, id="any"),
        pytest.param("GET", "/files/a/b", "GET /files/{path+}", {"path": "a/b"}, id="greedy"),
    ],
)
def test_request_finds_its_route(
    method: str, path: str, route: str, parameters: dict[str, str]
) -> None:
    match = match_route(ROUTES, method, path)

    assert match
    assert f"{match.route.method} {match.route.path}" == route
    assert match.parameters == parameters


@pytest.mark.parametrize(
    ("method", "path"),
    [
        pytest.param("GET", "/thing", id="path"),
        pytest.param("GET", "/THINGS/a", id="case"),
        pytest.param("GET", "/things", id="method"),
        pytest.param("POST", "/things/special", id="method-of-the-general-resource-only"),
        pytest.param("HEAD", "/things/a", id="head"),
        pytest.param("OPTIONS", "*", id="asterisk"),
        pytest.param("GET", "/things//parts", id="empty-parameter"),
        pytest.param("GET", "/things/a/parts/b", id="too-long"),
        pytest.param("GET", "/files", id="greedy-needs-something"),
    ],
)
def test_anything_else_has_no_route(method: str, path: str) -> None:
    assert match_route(ROUTES, method, path) is None
