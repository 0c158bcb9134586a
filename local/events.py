"""Events that API Gateway REST builds from an HTTP request, as AWS documents them.

The shapes are those of the developer guide: "Input format of a Lambda function for proxy
integration" and "Input to an API Gateway Lambda authorizer". Clients call the API as through a
custom domain: URLs do not contain the stage, which only `requestContext.path` shows, and only
`path` contains the domain's base path. Unlike API Gateway, the local stack also serves plain HTTP,
which `X-Forwarded-Proto` and `X-Forwarded-Port` show.
"""

import base64
import hashlib
import secrets
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl, unquote

from local.intrinsics import ACCOUNT_ID, REGION, JsonObject
from local.template import Api, Route

API_ID: Final = "localhost00"
DOMAIN_NAME: Final = f"{API_ID}.execute-api.{REGION}.amazonaws.com"

_HOP_BY_HOP: Final = frozenset(
    {"connection", "content-length", "expect", "keep-alive", "te", "trailer", "transfer-encoding"}
)
# A caller without an AWS identity: every field is null.
_IDENTITY: Final[Mapping[str, None]] = dict.fromkeys(
    (
        "accessKey",
        "accountId",
        "apiKey",
        "apiKeyId",
        "caller",
        "cognitoAuthenticationProvider",
        "cognitoAuthenticationType",
        "cognitoIdentityId",
        "cognitoIdentityPoolId",
        "principalOrgId",
        "user",
        "userArn",
    )
)


def _extended_request_id() -> str:
    return base64.b64encode(secrets.token_bytes(11)).decode()


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request without its body."""

    method: str
    raw_path: str
    """Path without the base path; empty if the request is outside of the API."""
    query: str
    headers: Sequence[tuple[str, str]]
    """Headers in the client's spelling and order."""
    client: str
    protocol: str = "HTTP/1.1"
    scheme: str = "https"
    port: int = 443
    """Port that received the request."""
    base_path: str = ""
    received_at: float = field(default_factory=time.time)
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    extended_request_id: str = field(default_factory=_extended_request_id)

    @property
    def path(self) -> str:
        """Path with its escapes decoded."""
        return unquote(self.raw_path)

    def header(self, name: str) -> str | None:
        """Return the last value of a header; *name* may be in any case."""
        values = (value for known, value in self.headers if known.lower() == name.lower())
        return next(reversed([*values]), None)


def request_context(request: Request, api: Api, route: Route | None) -> JsonObject:
    """Build `requestContext`, which also holds the `$context` variables.

    Without a route, the resource is empty.
    """
    resource = route.path if route else ""
    return {
        "accountId": ACCOUNT_ID,
        "apiId": API_ID,
        "domainName": DOMAIN_NAME,
        "domainPrefix": API_ID,
        "extendedRequestId": request.extended_request_id,
        "httpMethod": request.method,
        "identity": {
            **_IDENTITY,
            "sourceIp": request.client,
            "userAgent": request.header("user-agent"),
        },
        "path": f"/{api.stage}{request.path}",
        "protocol": request.protocol,
        "requestId": request.request_id,
        "requestTime": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(request.received_at)),
        "requestTimeEpoch": int(request.received_at * 1000),
        "resourceId": hashlib.sha256(resource.encode()).hexdigest()[:6],
        "resourcePath": resource,
        "stage": api.stage,
    }


def proxy_event(
    request: Request,
    context: JsonObject,
    api: Api,
    path_parameters: Mapping[str, str],
    body: bytes,
) -> JsonObject:
    """Build the event of a Lambda proxy integration.

    A body that is not UTF-8 is sent as base64. AWS does so only for media types in
    `BinaryMediaTypes`; in others it replaces the bytes that it cannot decode.
    """
    headers = _grouped_headers(_forwarded(request))
    query = _grouped(parse_qsl(request.query, keep_blank_values=True, errors="replace"))
    text, is_base64 = _body_text(body)
    return {
        "resource": context["resourcePath"],
        "path": request.base_path + request.path,
        "httpMethod": request.method,
        "headers": {name: values[-1] for name, values in headers.items()},
        "multiValueHeaders": {name: [*values] for name, values in headers.items()},
        "queryStringParameters": {name: values[-1] for name, values in query.items()} or None,
        "multiValueQueryStringParameters": {n: [*values] for n, values in query.items()} or None,
        "pathParameters": {**path_parameters} or None,
        "stageVariables": {**api.stage_variables} if api.stage_variables else None,
        "requestContext": context,
        "body": text,
        "isBase64Encoded": is_base64,
    }


def token_event(token: str, method_arn: str) -> JsonObject:
    """Build the event of a TOKEN authorizer."""
    return {"type": "TOKEN", "authorizationToken": token, "methodArn": method_arn}


def method_arn(request: Request, api: Api) -> str:
    """Return the ARN of the method and the concrete path, not of the resource."""
    stage = f"arn:aws:execute-api:{REGION}:{ACCOUNT_ID}:{API_ID}/{api.stage}"
    return f"{stage}/{request.method}{request.raw_path}"


def _forwarded(request: Request) -> list[tuple[str, str]]:
    """Return the headers without hop-by-hop ones and with those that the gateway adds."""
    own = {"x-forwarded-for", "x-forwarded-port", "x-forwarded-proto"}
    passed = [(n, v) for n, v in request.headers if n.lower() not in _HOP_BY_HOP | own]
    hops = [value for value in (request.header("x-forwarded-for"), request.client) if value]
    passed += [("X-Forwarded-For", ", ".join(hops))]
    passed += [("X-Forwarded-Port", str(request.port)), ("X-Forwarded-Proto", request.scheme)]
    if request.header("x-amzn-trace-id") is None:
        trace = f"Root=1-{int(request.received_at):08x}-{secrets.token_hex(12)}"
        passed.append(("X-Amzn-Trace-Id", trace))
    return passed


def _grouped_headers(headers: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    """Group values by name; the first spelling of a header wins."""
    spelling: dict[str, str] = {}
    return _grouped([(spelling.setdefault(n.lower(), n), value) for n, value in headers])


def _grouped(pairs: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for name, value in pairs:
        groups.setdefault(name, []).append(value)
    return groups


def _body_text(body: bytes) -> tuple[str | None, bool]:
    try:
        return body.decode() or None, False
    except UnicodeDecodeError:
        return base64.b64encode(body).decode(), True
