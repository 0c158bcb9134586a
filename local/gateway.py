"""API Gateway REST as an ASGI application.

The order of checks is AWS's: route, throttle, token, policy, size, function. Not implemented: usage
plans, request validators, VTL, access logs in CloudWatch.
"""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from local.authorizer import Invoke, TokenAuthorizer
from local.encodings import decode_body, encode_response
from local.events import Request, proxy_event, request_context
from local.functions import PAYLOAD_LIMIT, FunctionError
from local.integration import proxy_response
from local.intrinsics import JsonObject
from local.responses import GatewayError, Response, check_responses, gateway_response
from local.routes import RouteMatch, match_route
from local.template import Api, Route
from local.throttle import TokenBucket

# Any: the values of an ASGI message depend on its type.
type Message = MutableMapping[str, Any]
type Receive = Callable[[], Awaitable[Message]]
type Send = Callable[[Message], Awaitable[None]]

BODY_LIMIT: Final = 10 * 1024 * 1024  # bytes; Lambda's limit on the event is lower
RAW_HEADERS: Final = "raw_headers"
"""Key of the scope's state that holds the headers in the client's spelling."""

_BODYLESS: Final = frozenset({204, 304})

_logger = logging.getLogger(__name__)


class ClientGoneError(Exception):
    """Connection that the client closed before its request was complete."""


class Gateway:
    """API of the template in front of its functions, which are named by logical id."""

    def __init__(
        self,
        api: Api,
        functions: Mapping[str, Invoke],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        check_responses(api)
        self._api = api
        self._functions = functions
        self._authorizers = {
            name: TokenAuthorizer(definition, functions[definition.function], clock)
            for name, definition in api.authorizers.items()
        }
        self._buckets = (
            {route: TokenBucket(api.throttle, clock) for route in api.routes}
            if api.throttle
            else {}
        )
        self._threads = ThreadPoolExecutor(max_workers=32, thread_name_prefix="gateway")

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Handle one HTTP request."""
        request = _request(scope, self._api.base_path)
        try:
            response = await self._encode(await self._handle(request, receive), request)
        except ClientGoneError:
            return
        _logger.info("%s %s %d", request.method, request.raw_path, response.status)
        await _respond(response, send)

    def clear_authorizer_caches(self) -> None:
        """Clear the authorizers' caches."""
        for authorizer in self._authorizers.values():
            authorizer.clear_cache()

    def close(self) -> None:
        """Wait for the requests in flight."""
        self._threads.shutdown()

    async def _handle(self, request: Request, receive: Receive) -> Response:
        match = match_route(self._api.routes, request.method, request.raw_path)
        context = request_context(request, self._api, match.route if match else None)
        try:
            known = _require_match(match)
            self._throttle(known.route)
            await self._authorize(request, known, context)
            body = await self._read(request, receive)
            event = proxy_event(request, context, self._api, known.parameters, body)
            return await self._integrate(known, event)
        except GatewayError as error:
            return gateway_response(error.kind, self._api, request, context)

    def _throttle(self, route: Route) -> None:
        if self._buckets and not self._buckets[route].take():
            raise GatewayError("THROTTLED")

    async def _read(self, request: Request, receive: Receive) -> bytes:
        """Read the body, and decode it unless it is below the minimum compression size."""
        body = await _read_body(request, receive)
        if len(body) < (self._api.minimum_compression_bytes or 0):
            return body
        return await self._run(decode_body, body, request, BODY_LIMIT)

    async def _encode(self, response: Response, request: Request) -> Response:
        minimum = self._api.minimum_compression_bytes
        if minimum is None or len(response.body) < minimum:
            return response
        return await self._run(encode_response, response, request)

    async def _authorize(self, request: Request, match: RouteMatch, context: JsonObject) -> None:
        if match.route.authorizer is not None:
            authorizer = self._authorizers[match.route.authorizer]
            context["authorizer"] = await self._run(authorizer.authorize, request, self._api)

    async def _integrate(self, match: RouteMatch, event: JsonObject) -> Response:
        payload = json.dumps(event, ensure_ascii=False).encode()
        if len(payload) > PAYLOAD_LIMIT:
            raise GatewayError("REQUEST_TOO_LARGE")
        try:
            result = await self._run(self._functions[match.route.function], payload)
        except FunctionError as error:
            raise GatewayError("INTEGRATION_FAILURE") from error
        return proxy_response(result)

    async def _run[**P, R](self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, lambda: call(*args, **kwargs))


def _require_match(match: RouteMatch | None) -> RouteMatch:
    if match is None:
        raise GatewayError("MISSING_AUTHENTICATION_TOKEN")
    return match


def _request(scope: Message, base_path: str) -> Request:
    raw_headers = scope["state"].get(RAW_HEADERS, scope["headers"])
    raw_path = scope["raw_path"].decode("latin-1")
    is_mapped = raw_path.startswith(f"{base_path}/")
    return Request(
        method=scope["method"],
        raw_path=raw_path.removeprefix(base_path) if is_mapped else "",
        base_path=base_path,
        query=scope["query_string"].decode("latin-1"),
        headers=[(name.decode("latin-1"), value.decode("latin-1")) for name, value in raw_headers],
        client=scope["client"][0],
        protocol=f"HTTP/{scope['http_version']}",
        scheme=scope["scheme"],
        port=scope["server"][1],
    )


async def _read_body(request: Request, receive: Receive) -> bytes:
    """Read the whole body; reject it as soon as it exceeds the limit."""
    if int(request.header("content-length") or 0) > BODY_LIMIT:
        raise GatewayError("REQUEST_TOO_LARGE")
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        body += message.get("body", b"")
        if len(body) > BODY_LIMIT:
            raise GatewayError("REQUEST_TOO_LARGE")
        if not message.get("more_body", False):
            return bytes(body)


async def _respond(response: Response, send: Send) -> None:
    body = b"" if response.status in _BODYLESS else response.body
    headers = [
        (name.encode("latin-1"), value.encode("latin-1")) for name, value in response.headers
    ]
    if response.status not in _BODYLESS:
        headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
