"""HTTP responses with the pages."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import TYPE_CHECKING

import httpx
import pytest

from local.template import Template
from tests.support.log_lines import reading_log

if TYPE_CHECKING:
    from local.stack import DevStack

PATHS = ["/console", "/api/v1/llm/docs", "/v1/docs"]
every_page = pytest.mark.parametrize("path", PATHS)


def directives(response: httpx.Response) -> dict[str, str]:
    policy = response.headers["Content-Security-Policy"]
    return dict(directive.split(" ", 1) for directive in policy.split("; "))


@every_page
def test_a_page_is_sent_without_a_key_and_with_the_headers_of_a_careful_site(
    path: str, stack: DevStack
) -> None:
    response = httpx.get(stack.url + path)

    assert response.status_code == 200
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Referrer-Policy"] == "no-referrer"
    assert response.headers["x-request-id"]
    assert "Set-Cookie" not in response.headers


@every_page
def test_the_policy_allows_the_scripts_and_styles_of_the_page_and_nothing_else(
    path: str, stack: DevStack
) -> None:
    response = httpx.get(stack.url + path)

    allowed = directives(response)
    for element in ("script", "style"):
        texts = re.findall(f"<{element}>(.*?)</{element}>", response.text, re.DOTALL)
        digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()) for text in texts]
        assert allowed[f"{element}-src"].split() == [f"'sha256-{d.decode()}'" for d in digests]
    for name in ("default-src", "base-uri", "form-action", "frame-ancestors"):
        assert allowed[name] == "'none'"
    assert allowed["connect-src"] == "'self'"
    assert "http" not in response.headers["Content-Security-Policy"]


def test_only_dompurify_may_make_markup_in_the_console(stack: DevStack) -> None:
    allowed = directives(httpx.get(f"{stack.url}/console"))

    assert allowed["require-trusted-types-for"] == "'script'"
    assert allowed["trusted-types"] == "dompurify"


@every_page
def test_a_page_loads_nothing_from_elsewhere(path: str, stack: DevStack) -> None:
    response = httpx.get(stack.url + path)

    document = re.sub(r"<(script|style)>.*?</\1>", "", response.text, flags=re.DOTALL)
    assert not re.findall(r'(?:src|href)="(?!data:|#)', document)


@every_page
def test_an_unchanged_page_is_not_sent_again(path: str, stack: DevStack) -> None:
    etag = httpx.get(stack.url + path).headers["ETag"]

    for known in (etag, etag.removeprefix("W/"), f'"other", {etag}'):
        again = httpx.get(stack.url + path, headers={"If-None-Match": known})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["ETag"] == etag
    other = httpx.get(stack.url + path, headers={"If-None-Match": '"other"'})
    assert other.status_code == 200


@every_page
def test_a_page_is_compressed_and_responds_to_head(path: str, stack: DevStack) -> None:
    response = httpx.get(stack.url + path)
    head = httpx.head(stack.url + path)

    assert response.headers["Content-Encoding"] == "gzip"
    assert int(response.headers["Content-Length"]) < len(response.content) / 2
    assert head.status_code == 200


def test_a_page_leaves_one_log_line(stack: DevStack) -> None:
    with reading_log(stack) as log:
        response = httpx.get(f"{stack.url}/console?key=secret")

    [line] = log.lines("request")
    assert line["route"] == "GET /console"
    assert (line["status"], line["request_id"]) == (200, response.headers["x-request-id"])
    assert "secret" not in log.text.getvalue()


def test_without_pages_the_template_has_no_route_of_theirs() -> None:
    template = Template(parameters={"Pages": "false"})

    assert not {route.path for route in template.api.routes} & {*PATHS}
    assert "PagesFunction" not in template.functions
    assert {route.path for route in Template().api.routes} >= {*PATHS}
