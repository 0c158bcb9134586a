import base64
import gzip
import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from local.errors import TemplateError
from local.functions import PAYLOAD_LIMIT
from local.gateway import BODY_LIMIT
from local.stack import DevStack
from local.template import Template

APP = Path(__file__).parent / "app" / "template.yaml"
ALLOWED = {"Authorization": "Bearer allow"}


@pytest.fixture(scope="module")
def app() -> Iterator[DevStack]:
    with DevStack.start(engine="moto", template=APP) as app:
        yield app


@pytest.fixture
def visitor(app: DevStack) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=app.url, headers=ALLOWED) as visitor:
        yield visitor


@pytest.fixture
def wire(app: DevStack) -> Iterator[socket.socket]:
    """Return a TCP connection, for requests that an HTTP client would not send."""
    address = urlsplit(app.url)
    with socket.create_connection((str(address.hostname), int(address.port or 0)), 10) as wire:
        yield wire


def response_of(visitor: httpx.Client, **response: object) -> httpx.Response:
    """Return the client's response if the function returns *response*."""
    return visitor.post("/respond", json=response)


def said(wire: socket.socket, *lines: str, body: bytes = b"") -> tuple[int, bytes]:
    """Send a request byte for byte, and return the response's status and body."""
    wire.sendall("\r\n".join([*lines, "", ""]).encode() + body)
    return read_response(wire, is_head=lines[0].startswith("HEAD"))


def read_response(wire: socket.socket, *, is_head: bool = False) -> tuple[int, bytes]:
    stream = wire.makefile("rb", buffering=0)
    status = int(stream.readline().split()[1])
    length = 0
    while (line := stream.readline()) != b"\r\n":
        name, _, value = line.partition(b":")
        length = int(value) if name.lower() == b"content-length" else length
    body = b""
    while len(body) < length and not is_head:
        body += stream.read(length - len(body)) or b""
    return status, body


def test_function_gets_the_event_of_the_request(visitor: httpx.Client) -> None:
    response = visitor.put("/echo/caf%C3%A9?a=1&a=2", content=b"hello", headers={"X-Odd-Name": "1"})

    event = response.json()["event"]
    assert response.status_code == 200
    assert event["resource"] == "/echo/{name}"
    assert event["pathParameters"] == {"name": "café"}
    assert event["queryStringParameters"] == {"a": "2"}
    assert event["body"] == "hello"
    assert event["requestContext"]["authorizer"]["number"] == "7"
    assert event["requestContext"]["identity"]["sourceIp"] == "127.0.0.1"


def test_function_gets_headers_as_the_client_spelled_them(wire: socket.socket) -> None:
    _, body = said(
        wire,
        "GET /echo/a HTTP/1.1",
        "hOsT: x",
        "aUthorization: Bearer allow",
        "X-oDd: é",
    )

    headers = json.loads(body)["event"]["headers"]
    assert headers["hOsT"] == "x"
    assert headers["aUthorization"] == "Bearer allow"
    assert headers["X-oDd"] == "Ã©"


def test_function_gets_a_context(visitor: httpx.Client) -> None:
    context = visitor.get("/echo/a").json()["context"]

    assert context["function_name"] == "local-stack-EchoFunction"
    assert context["invoked_function_arn"].endswith(":function:local-stack-EchoFunction")
    assert context["memory_limit_in_mb"] == "128"
    assert len(context["aws_request_id"]) == 36
    assert 19_000 < context["remaining_ms"] <= 20_000


def test_route_without_an_authorizer_is_open(app: DevStack) -> None:
    response = httpx.get(f"{app.url}/open")

    assert response.status_code == 200
    assert "authorizer" not in response.json()["event"]["requestContext"]


@pytest.mark.parametrize(
    ("token", "status"),
    [
        ("allow", 200),
        ("read", 200),
        ("deny", 404),
        ("unauthorized", 401),
        ("crash", 500),
        ("nonsense", 500),
        ("Not Plausible", 401),
    ],
)
def test_authorizer_decides(app: DevStack, token: str, status: int) -> None:
    response = httpx.get(f"{app.url}/echo/a", headers={"Authorization": f"Bearer {token}"})

    assert response.status_code == status


def test_error_is_worded_by_the_template(app: DevStack) -> None:
    response = httpx.get(f"{app.url}/echo/a", headers={"User-Agent": "pytest"})

    assert response.status_code == 401
    assert response.json() == {"error": "Unauthorized", "plain": "Unauthorized"}
    assert response.headers["content-type"] == "application/json"
    assert response.headers["www-authenticate"] == "Bearer"
    assert response.headers["x-user-agent"] == "pytest"
    assert response.headers["x-from"] == "stageVariableValue"
    assert response.headers["x-request-id"] == response.headers["x-amzn-requestid"]


def test_error_takes_the_media_type_that_is_accepted(app: DevStack) -> None:
    denied = {"Authorization": "Bearer deny"}

    as_json = httpx.get(f"{app.url}/echo/a", headers=denied)
    as_text = httpx.get(f"{app.url}/echo/a", headers={**denied, "Accept": "text/plain"})

    assert as_json.json() == {"said": "GET /echo/{name}"}
    assert as_text.text == "denied"
    assert as_text.headers["content-type"] == "text/plain"


def test_error_that_the_template_leaves_alone_is_the_gateways(visitor: httpx.Client) -> None:
    response = visitor.get("/nowhere")

    assert response.status_code == 403
    assert response.json() == {"message": "Missing Authentication Token"}
    assert response.headers["x-amzn-errortype"] == "MISSING_AUTHENTICATION_TOKEN"


def test_default_response_covers_its_class(visitor: httpx.Client) -> None:
    response = visitor.get("/fail")

    assert response.status_code == 502
    assert response.json() == {"error": "INTEGRATION_FAILURE", "at": "testStage"}


def test_response_with_an_unknown_variable_is_rejected_at_the_start(tmp_path: Path) -> None:
    for name in ("echo", "gate", "listener"):
        (tmp_path / name).symlink_to(APP.parent / name)
    text = APP.read_text().replace("$context.stage", "$context.weather")
    (tmp_path / "template.yaml").write_text(text)

    with (
        pytest.raises(TemplateError, match=r"context\.weather"),
        DevStack.start(template=tmp_path / "template.yaml"),
    ):
        pass


@pytest.mark.parametrize(
    "response",
    [
        pytest.param({"statusCode": 200, "body": {"a": 1}}, id="body-no-string"),
        pytest.param({"body": "x"}, id="no-status"),
        pytest.param({"statusCode": "ok"}, id="status-no-number"),
        pytest.param({"statusCode": 99}, id="status-out-of-range"),
        pytest.param({"statusCode": 200, "cookies": []}, id="another-key"),
        pytest.param({"statusCode": 200, "headers": []}, id="headers-no-object"),
        pytest.param({"statusCode": 200, "headers": {"a": {}}}, id="header-no-string"),
        pytest.param({"statusCode": 200, "headers": {"a": "b\r\nc: d"}}, id="header-two-lines"),
        pytest.param({"statusCode": 200, "multiValueHeaders": {"a": "b"}}, id="values-no-list"),
        pytest.param({"statusCode": 200, "body": "*", "isBase64Encoded": True}, id="no-base64"),
        pytest.param(["statusCode"], id="no-object"),
        pytest.param(None, id="null"),
    ],
)
def test_malformed_response_is_502(visitor: httpx.Client, response: object) -> None:
    got = visitor.post("/respond", content=json.dumps(response))

    assert got.status_code == 502
    assert got.json()["error"] == "INTEGRATION_FAILURE"


def test_response_above_the_limit_is_502(visitor: httpx.Client) -> None:
    quotes = b'"' * (PAYLOAD_LIMIT * 2 // 5)  # two bytes each in the event, four when echoed

    response = visitor.post("/echo/a", content=quotes)

    assert response.status_code == 502


def test_headers_of_both_kinds_are_merged(visitor: httpx.Client) -> None:
    response = response_of(
        visitor,
        statusCode=201,
        headers={"X-One": "1", "Set-Cookie": "lost", "X-Number": 7},
        multiValueHeaders={"set-cookie": ["a=1", "b=2"]},
        body="",
    )

    assert response.status_code == 201
    assert response.headers.get_list("set-cookie") == ["a=1", "b=2"]
    assert response.headers["x-one"] == "1"
    assert response.headers["x-number"] == "7"
    assert response.headers["content-type"] == "application/json"


def test_base64_body_is_decoded(visitor: httpx.Client) -> None:
    encoded = base64.b64encode(b"\x00\xff").decode()

    response = response_of(visitor, statusCode="200", body=encoded, isBase64Encoded=True)

    assert response.content == b"\x00\xff"


def test_binary_body_arrives_as_base64(visitor: httpx.Client) -> None:
    event = visitor.post("/echo/a", content=b"\x00\xff").json()["event"]

    assert event["isBase64Encoded"] is True
    assert base64.b64decode(event["body"]) == b"\x00\xff"


def test_bodyless_status_leaves_the_connection_usable(visitor: httpx.Client) -> None:
    assert response_of(visitor, statusCode=204, body="ignored").content == b""
    assert visitor.get("/echo/a").status_code == 200


def test_response_is_compressed_from_the_size_in_the_template(visitor: httpx.Client) -> None:
    smaller = response_of(visitor, statusCode=200, body="x" * 299)
    large = response_of(visitor, statusCode=200, body="x" * 300)

    assert "content-encoding" not in smaller.headers
    assert (large.headers["content-encoding"], large.text) == ("gzip", "x" * 300)


def test_response_with_its_own_coding_stays_unchanged(visitor: httpx.Client) -> None:
    packed = gzip.compress(bytes(range(256)) * 2)
    encoded = {"body": base64.b64encode(packed).decode(), "isBase64Encoded": True}

    response = response_of(visitor, statusCode=200, headers={"Content-Encoding": "gzip"}, **encoded)

    assert response.headers.get_list("content-encoding") == ["gzip"]
    assert response.content == bytes(range(256)) * 2


@pytest.mark.parametrize(("size", "is_unpacked"), [(299, False), (300, True)])
def test_body_is_unpacked_from_the_size_in_the_template(
    visitor: httpx.Client, *, size: int, is_unpacked: bool
) -> None:
    body = "x" * (size - len(gzip.compress(b"x", 0)) + 1)
    packed = gzip.compress(body.encode(), 0)

    response = visitor.post("/echo/a", content=packed, headers={"Content-Encoding": "gzip"})

    assert len(packed) == size
    assert (response.json()["event"]["body"] == body) == is_unpacked


def test_nothing_is_packed_unless_the_template_says_so(tmp_path: Path, app: DevStack) -> None:
    for name in ("echo", "gate", "listener"):
        (tmp_path / name).symlink_to(APP.parent / name)
    text = APP.read_text().replace("MinimumCompressionSize: 300", "")
    (tmp_path / "template.yaml").write_text(text)

    with DevStack.start(template=tmp_path / "template.yaml") as plain:
        responses = [httpx.get(f"{url}/open") for url in (plain.url, app.url)]

    assert ["content-encoding" in response.headers for response in responses] == [False, True]


def test_chunked_body_is_put_together(visitor: httpx.Client) -> None:
    event = visitor.post("/echo/a", content=iter([b"one ", b"two ", b"three"])).json()["event"]

    assert event["body"] == "one two three"


@pytest.mark.parametrize("is_chunked", [False, True], ids=["length", "chunked"])
def test_body_above_10_mb_is_413(visitor: httpx.Client, *, is_chunked: bool) -> None:
    size = BODY_LIMIT + 1

    content = iter([b"x" * (size // 2), b"x" * (size - size // 2)]) if is_chunked else b"x" * size
    response = visitor.post("/echo/a", content=content)

    assert response.status_code == 413
    assert response.json() == {"message": "Request Too Long"}
    assert visitor.get("/echo/a").status_code == 200


def test_event_above_what_lambda_takes_is_413(visitor: httpx.Client) -> None:
    fits = visitor.post("/respond", content=b" " * (PAYLOAD_LIMIT - 5000) + b'{"statusCode":200}')
    too_large = visitor.post("/respond", content=b" " * PAYLOAD_LIMIT + b'{"statusCode":200}')
    escaped = visitor.post("/respond", content=b'"' * (PAYLOAD_LIMIT // 2))

    assert [fits.status_code, too_large.status_code, escaped.status_code] == [200, 413, 413]


def test_connection_is_kept_through_errors(wire: socket.socket) -> None:
    head = said(wire, "HEAD /nowhere HTTP/1.1", "Host: x")
    options = said(wire, "OPTIONS * HTTP/1.1", "Host: x")
    keyless = said(wire, "POST /respond HTTP/1.1", "Host: x", "Content-Length: 4", body=b"body")
    bodyless = said(wire, "HEAD /echo/a HTTP/1.1", "Host: x", "Authorization: Bearer allow")
    good = said(wire, "GET /echo/a HTTP/1.1", "Host: x", "Authorization: Bearer allow")

    statuses = [head[0], options[0], keyless[0], bodyless[0], good[0]]
    assert statuses == [403, 403, 401, 200, 200]


def test_pipelined_requests_get_responses_in_order(wire: socket.socket) -> None:
    lines = "GET /echo/{} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer allow\r\n\r\n"
    wire.sendall((lines.format("a") + lines.format("b")).encode())

    names = [json.loads(read_response(wire)[1])["event"]["path"] for _ in range(2)]

    assert names == ["/echo/a", "/echo/b"]


def test_client_that_hangs_up_halfway_harms_nobody(
    wire: socket.socket, visitor: httpx.Client
) -> None:
    head = "POST /respond HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer allow\r\nContent-Length: 9"
    wire.sendall(f"{head}\r\n\r\nhalf".encode())
    wire.close()

    assert visitor.get("/echo/a").status_code == 200


def test_many_connections_are_served_at_once(app: DevStack) -> None:
    def visit(number: int) -> str:
        response = httpx.get(f"{app.url}/echo/{number}", headers=ALLOWED)
        return str(response.json()["event"]["pathParameters"]["name"])

    with ThreadPoolExecutor(max_workers=16) as visitors:
        names = list(visitors.map(visit, range(64)))

    assert names == [str(number) for number in range(64)]


def test_reset_deletes_data_and_cached_policies(app: DevStack, visitor: httpx.Client) -> None:
    s3, bucket = app.resources.s3, app.template.name("PaperBucket")
    table = app.template.name("HeardTable")
    s3.put_object(Bucket=bucket, Key="k", Body=b"v")
    app.resources.dynamodb.put_item(TableName=table, Item={"id": {"S": "a"}})
    visitor.get("/echo/a")

    app.reset()

    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)
    assert app.resources.dynamodb.scan(TableName=table)["Count"] == 0
    assert visitor.get("/echo/a").status_code == 200


@pytest.mark.parametrize(
    ("handler", "words"),
    [("app.nothing", "define the handler app.nothing"), ("nothing.lambda_handler", r"nothing\.py")],
)
def test_function_that_is_not_there_is_named(tmp_path: Path, handler: str, words: str) -> None:
    for name in ("echo", "gate", "listener"):
        (tmp_path / name).symlink_to(APP.parent / name)
    text = APP.read_text().replace("Handler: app.lambda_handler", f"Handler: {handler}")
    (tmp_path / "template.yaml").write_text(text)

    with (
        pytest.raises(TemplateError, match=words),
        DevStack.start(template=tmp_path / "template.yaml"),
    ):
        pass


def test_variable_of_two_meanings_is_rejected(tmp_path: Path) -> None:
    addition = "CodeUri: echo\n      Environment: {Variables: {HEARD_TABLE: other}}"
    (tmp_path / "template.yaml").write_text(APP.read_text().replace("CodeUri: echo", addition))

    with (
        pytest.raises(TemplateError, match="HEARD_TABLE differs"),
        DevStack.start(template=tmp_path / "template.yaml"),
    ):
        pass


def test_names_in_the_template_are_those_of_the_engine(app: DevStack) -> None:
    names = app.resources.dynamodb.list_tables()["TableNames"]

    assert {Template(APP).name("NotesTable"), Template(APP).name("HeardTable")} <= {*names}
