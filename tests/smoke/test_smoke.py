"""The smoke test passes on a working stack, and each of its checks fails on its fault."""

from __future__ import annotations

import contextlib
import json
import re
import runpy
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from conversations.auth.api_keys import SCOPES, ApiKeyRepository, Scope
from local.stack import DevStack
from smoke.__main__ import main
from smoke.api import Api
from smoke.run import CHECKS, ONCE, PREFIXES, run, run_check
from tests.support.paths import DOCS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from smoke.run import Result
    from tests.support.issue_key import IssueKey

PAGE = (DOCS / "smoke.md").read_text(encoding="utf-8")
APP = "https://app.example.com"
READ: frozenset[Scope] = frozenset({"read"})
DELETION = httpx.Request("DELETE", "http://x/")
NEEDS_KEYS = {"scopes", "end users"}

type Change = Callable[[httpx.Request, httpx.Response], httpx.Response]


class Changed(httpx.HTTPTransport):
    """A transport that changes requests or responses."""

    def __init__(self, change: Change, *, without: str = "") -> None:
        super().__init__()
        self._change = change
        self._without = without

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.headers.pop(self._without, None)
        response = super().handle_request(request)
        response.request = request
        response.read()
        return self._change(request, response)


def unchanged(_: httpx.Request, response: httpx.Response) -> httpx.Response:
    return response


def with_body(change: Callable[[Any], object]) -> Change:
    """Return a change of a JSON response."""

    def changed(request: httpx.Request, response: httpx.Response) -> httpx.Response:
        body = response.json() if response.content else None
        if not isinstance(body, dict):
            return response
        change(body)
        headers = {"x-request-id": response.headers["x-request-id"]}
        return httpx.Response(response.status_code, headers=headers, json=body, request=request)

    return changed


def responding(method: str, status: int, ending: str = "", **body: object) -> Change:
    """Return a change of the response to requests of a method, which still take effect."""

    def changed(request: httpx.Request, response: httpx.Response) -> httpx.Response:
        if request.method != method or not request.url.path.endswith(ending):
            return response
        return httpx.Response(status, headers={"x-request-id": "1"}, json=body, request=request)

    return changed


def without_header(name: str) -> Change:
    def changed(_: httpx.Request, response: httpx.Response) -> httpx.Response:
        response.headers.pop(name, None)
        return response

    return changed


def reverse(body: Any) -> None:
    body.get("data", []).reverse()


def empty(body: Any) -> None:
    body.update({"data": []} if "data" in body else {})


BROKEN: dict[str, tuple[str, Changed]] = {
    "server of the document": (
        "document",
        Changed(with_body(lambda body: body.get("servers", [{}])[0].update(url="http://x"))),
    ),
    "one page": (
        "pages",
        Changed(responding("GET", 404, "docs", error={"code": "route_not_found"})),
    ),
    "policy of a page": ("pages", Changed(without_header("content-security-policy"))),
    "challenge of a 401": ("keys", Changed(without_header("www-authenticate"))),
    "scope": ("scopes", Changed(responding("DELETE", 200, deleted=True))),
    "unknown route": ("unknown routes", Changed(responding("PUT", 403, error={}))),
    "list of conversations": ("conversations", Changed(with_body(empty))),
    "order of items": ("items", Changed(with_body(reverse))),
    "order of a batch": ("batch of 20", Changed(with_body(reverse))),
    "replay of a key": ("replay", Changed(unchanged, without="Idempotency-Key")),
    "next page": ("paging", Changed(with_body(lambda body: body.update(has_more=False)))),
    "path of a fault": (
        "invalid bodies",
        Changed(with_body(lambda body: body.get("error", {}).update(param=None))),
    ),
    "gzip": ("compression", Changed(unchanged, without="Accept-Encoding")),
    "end user": ("end users", Changed(unchanged, without="X-On-Behalf-Of")),
    "deletion": ("deletion", Changed(responding("GET", 200, data=[]))),
    "one of many writers": ("writers", Changed(with_body(lambda body: body.get("data", []).pop()))),
    "limit of a body": ("body limits", Changed(responding("POST", 200, "items"))),
    "text of a large batch": ("batch of 5 MB", Changed(with_body(empty))),
    "request id": ("conversations", Changed(without_header("x-request-id"))),
    "envelope": ("unknown routes", Changed(responding("GET", 404, error="none"))),
    "JSON": ("conversations", Changed(responding("POST", 200))),
}
"""Faults: the check that must find each, and how to cause it."""


@pytest.fixture
def make_api(stack: DevStack, issue_key: IssueKey) -> Iterator[Callable[..., Api]]:
    """Create an API with two keys, over a given transport."""
    clients = []

    def make(transport: httpx.BaseTransport | None = None, **given: Any) -> Api:
        client = httpx.Client(base_url=stack.url, transport=transport, timeout=60)
        clients.append(client)
        keys = {"key": issue_key(may_delegate=True), "read_key": issue_key(scopes=READ)}
        return Api(client, PREFIXES[0], **{**keys, **given})

    yield make
    for client in clients:
        client.close()


def test_every_check_passes_on_a_stack_that_works(make_api: Callable[..., Api]) -> None:
    api = make_api()

    results = [*run(api)]

    assert [(each.check, each.detail) for each in results if each.outcome == "failed"] == []
    assert {each.check for each in results if each.outcome == "skipped"} == {"CORS"}
    assert len(results) == 2 * len(CHECKS) - len(ONCE)
    assert api.call("GET", "/conversations").json()["data"] == []


@pytest.mark.parametrize("broken", BROKEN)
def test_a_check_fails_where_the_api_is_broken(make_api: Callable[..., Api], broken: str) -> None:
    check, transport = BROKEN[broken]

    result = run_check(check, make_api(transport))

    assert result.outcome == "failed", result
    assert result.detail


def test_every_check_can_fail() -> None:
    tried = {check for check, _ in BROKEN.values()}

    assert tried == CHECKS.keys() - {"HEAD", "CORS", "cleaning up"}  # below


def test_what_is_left_behind_is_named(make_api: Callable[..., Api]) -> None:
    api = make_api(Changed(responding("DELETE", 500)))
    path = api.create()

    result = run_check("cleaning up", api)

    assert result.outcome == "failed"
    assert path in result.detail


def test_the_deletion_of_one_conversation_does_not_hinder_another(
    make_api: Callable[..., Api],
) -> None:
    def hinder(request: httpx.Request, response: httpx.Response) -> httpx.Response:
        is_last = request.method == "DELETE" and request.url.path.endswith(paths[-1])
        return httpx.Response(500, request=request) if is_last else response

    api = make_api(Changed(hinder))
    paths = [api.create() for _ in range(3)]

    result = run_check("cleaning up", api)

    assert paths[-1] in result.detail
    assert api.call("GET", "/conversations").json()["data"] == []


def test_what_cannot_be_checked_says_what_it_needs(
    make_api: Callable[..., Api], issue_key: IssueKey
) -> None:
    api = make_api(key=issue_key(), read_key=None)

    details = {check: run_check(check, api) for check in NEEDS_KEYS}

    assert {result.outcome for result in details.values()} == {"skipped"}
    assert "--scope read" in details["scopes"].detail
    assert "--delegate" in details["end users"].detail


class WithBody(BaseHTTPRequestHandler):
    """A server whose responses to HEAD have a body."""

    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "4")
        self.send_header("X-Request-Id", "1")
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(b"body")

    def log_message(self, *_: object) -> None:
        """Write no log."""


def test_a_body_of_head_is_seen() -> None:
    with HTTPServer(("127.0.0.1", 0), WithBody) as server:
        server.timeout = 20
        thread = threading.Thread(target=server.handle_request, daemon=True)
        thread.start()
        with httpx.Client(base_url=f"http://127.0.0.1:{server.server_port}") as client:
            seen = Api(client, "/v1", None).head("/conversations")
        thread.join(20)

    assert (seen.status_code, seen.headers["x-request-id"], seen.content) == (200, "1", b"body")


@pytest.mark.parametrize("check", ["HEAD", "pages"])
@pytest.mark.parametrize(
    ("response", "detail"),
    [
        (httpx.Response(200, headers={"x-request-id": "1"}, content=b"body"), "a body of 4 bytes"),
        (httpx.Response(200), "no header x-request-id"),
    ],
    ids=["a body", "no request id"],
)
def test_a_response_to_head_has_a_request_id_and_no_body(
    make_api: Callable[..., Api],
    monkeypatch: pytest.MonkeyPatch,
    check: str,
    response: httpx.Response,
    detail: str,
) -> None:
    response.request = httpx.Request("HEAD", "http://x/")
    monkeypatch.setattr(Api, "head", lambda *_: response)

    assert detail in run_check(check, make_api()).detail


@pytest.fixture(scope="module")
def open_stack(running_stack: DevStack) -> Iterator[DevStack]:
    """Run a stack with one allowed origin, and without the pages.

    It runs in the environment of the usual one.
    """
    assert running_stack.url
    with DevStack.start(parameters={"CorsOrigins": APP, "Pages": "false"}) as stack:
        stack.reset()
        yield stack


def test_a_stack_without_pages_is_told(open_stack: DevStack) -> None:
    with httpx.Client(base_url=open_stack.url) as client:
        result = run_check("pages", Api(client, PREFIXES[0], None))

    assert (result.outcome, result.detail) == ("skipped", "The stack has no pages: Pages is false.")


@pytest.mark.parametrize(
    ("origin", "transport", "outcome"),
    [
        (APP, None, "passed"),
        ("https://elsewhere.example", None, "failed"),
        (None, None, "skipped"),
        (APP, Changed(without_header("access-control-allow-origin")), "failed"),
        (APP, Changed(without_header("access-control-allow-methods")), "failed"),
    ],
    ids=["the origin", "another origin", "no origin", "no permission", "no methods"],
)
def test_cors_is_checked_by_an_origin_that_may_call(
    open_stack: DevStack, origin: str | None, transport: Changed | None, outcome: str
) -> None:
    keys = ApiKeyRepository(open_stack.resources.dynamodb, open_stack.template.name("ApiKeysTable"))
    with open_stack.engine.lock:
        key, _ = keys.create(account="acme", name="smoke", scopes=SCOPES)

    with httpx.Client(base_url=open_stack.url, transport=transport) as client:
        result = run_check("CORS", Api(client, PREFIXES[0], key, origin=origin))

    assert result.outcome == outcome, result


def results_of(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Run only these checks."""
    monkeypatch.setattr("smoke.run.CHECKS", {name: CHECKS[name] for name in names})


@pytest.fixture
def arguments(stack: DevStack, issue_key: IssueKey, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setenv("API_KEY", issue_key())
    monkeypatch.setenv("READ_KEY", "")
    return ["--url", stack.url, "--header", "X-Front: smoke"]


def test_people_get_a_table(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    results_of(monkeypatch, "keys", "scopes")

    status = main(arguments)

    lines = capsys.readouterr().out.splitlines()
    assert status == 0
    assert [line.split()[0] for line in lines[:-1]] == ["passed", "skipped"] * 2
    assert "READ_KEY" in lines[1]
    assert lines[-1].startswith("2 passed, 0 failed, 2 skipped in ")


def test_programs_get_json_and_a_status(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    results_of(monkeypatch, "items")
    monkeypatch.setenv("API_KEY", "another")

    status = main([*arguments, "--json"])

    report = json.loads(capsys.readouterr().out)
    assert status == 1
    assert (report["passed"], report["failed"], report["skipped"]) == (0, 2, 0)
    assert "401" in report["checks"][0]["detail"]


def test_a_missing_key_is_one_sentence(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_KEY", "")

    assert main(["--url", "http://127.0.0.1:9"]) == 2
    assert capsys.readouterr().err.startswith("The API key is missing. Add KEY=")


def test_a_url_without_a_response_is_reported(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    status = main([*arguments, "--url", "http://127.0.0.1:9"])

    assert status == 2
    assert "http://127.0.0.1:9 does not respond" in capsys.readouterr().err


def test_the_module_is_a_command(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["smoke", *arguments, "--url", "http://127.0.0.1:9"])
    monkeypatch.delitem(sys.modules, "smoke.__main__")

    with pytest.raises(SystemExit, match="2"):
        runpy.run_module("smoke", run_name="__main__")


def test_ctrl_c_leaves_nothing_behind(
    arguments: list[str],
    make_api: Callable[..., Api],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def check(api: Api) -> None:
        api.create()
        raise KeyboardInterrupt

    monkeypatch.setattr("smoke.run.CHECKS", {"items": check, "cleaning up": Api.delete_created})

    assert main(arguments) == 130
    clean_up, counts = capsys.readouterr().out.splitlines()
    assert clean_up.startswith("passed  cleaning up")
    assert counts.startswith("1 passed, 0 failed, 0 skipped in ")
    assert make_api().call("GET", "/conversations").json()["data"] == []


def test_ctrl_c_leaves_the_json_of_the_finished_checks(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(_: Api) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("smoke.run.CHECKS", {"keys": lambda _: None, "items": interrupt})

    assert main([*arguments, "--json"]) == 130
    report = json.loads(capsys.readouterr().out)
    assert (report["passed"], [each["check"] for each in report["checks"]]) == (1, ["keys"])


def test_a_second_ctrl_c_leaves_the_json_too(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def check(api: Api) -> None:
        api.created.append(("/nowhere", {}))

    def interrupt(_: Api) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("smoke.run.CHECKS", {"keys": check, "cleaning up": interrupt})

    assert main([*arguments, "--json"]) == 130
    assert [each["check"] for each in json.loads(capsys.readouterr().out)["checks"]] == ["keys"]


@pytest.mark.parametrize(("options", "checks"), [((), None), (("--json",), [])])
def test_ctrl_c_before_the_first_response_ends_quietly(
    options: Sequence[str],
    checks: list[object] | None,
    arguments: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(httpx.Client, "get", interrupt)

    assert main([*arguments, *options]) == 130
    out, err = capsys.readouterr()
    assert (json.loads(out)["checks"] if out else None, err) == (checks, "")


@pytest.mark.parametrize(
    "interruption", [KeyboardInterrupt(), httpx.ReadTimeout("timed out")], ids=["Ctrl-C", "timeout"]
)
def test_a_deletion_without_a_response_is_tried_again(
    interruption: BaseException, make_api: Callable[..., Api]
) -> None:
    faults = iter([interruption])

    def lose(request: httpx.Request, response: httpx.Response) -> httpx.Response:
        if request.method == "DELETE" and (fault := next(faults, None)):
            raise fault
        return response

    api = make_api(Changed(lose))
    paths = [api.create() for _ in range(2)]

    with contextlib.suppress(KeyboardInterrupt):
        result = run_check("cleaning up", api)
        assert result.detail == f"No response: ReadTimeout. Not deleted: {', '.join(paths)}."
    assert [path for path, _ in api.created] == paths
    assert run_check("cleaning up", api).outcome == "passed"
    assert (api.created, api.call("GET", "/conversations").json()["data"]) == ([], [])


def test_a_clean_up_after_the_checks_is_counted(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def check(api: Api) -> None:
        api.created.append(("/nowhere", {}))

    monkeypatch.setattr("smoke.run.CHECKS", {"items": check, "cleaning up": Api.delete_created})
    monkeypatch.setattr("smoke.run.PREFIXES", PREFIXES[:1])
    monkeypatch.setattr(Api, "send", lambda *_, **__: httpx.Response(500, request=DELETION))

    status = main([*arguments, "--json"])

    report = json.loads(capsys.readouterr().out)
    assert (status, report["passed"], report["failed"]) == (1, 1, 2)
    assert [each["check"] for each in report["checks"]] == ["items", "cleaning up", "cleaning up"]


def test_a_lost_connection_is_a_failure(make_api: Callable[..., Api]) -> None:
    def lose(_: httpx.Request) -> httpx.Response:
        raise httpx.ReadError("lost")

    result: Result = run_check("items", make_api(httpx.MockTransport(lose)))

    assert (result.outcome, result.detail) == ("failed", "No response: ReadError: lost")


def test_a_key_that_no_header_can_have_is_not_printed(make_api: Callable[..., Api]) -> None:
    result = run_check("items", make_api(key="secret\n"))

    assert result.detail == "A header cannot be sent: does the API key have a line break?"


@pytest.mark.parametrize("value", ["secret\nvalue", "secret\u2026"])
def test_a_header_that_cannot_be_sent_is_not_printed(
    value: str, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([*arguments, "--header", f"X-Front: {value}"])

    printed = capsys.readouterr().err
    assert "argument --header: must be printable ASCII" in printed
    assert "secret" not in printed


def test_the_page_explains_every_check() -> None:
    [table] = re.findall(r"^\| check \|.*\n\|[- |]+\n((?:\|.*\n)+)", PAGE, flags=re.MULTILINE)

    assert re.findall(r"^\| (.*?) \|", table, flags=re.MULTILINE) == [*CHECKS]
