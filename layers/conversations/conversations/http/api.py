"""HTTP interface of the API function: routes under each prefix, one envelope for all errors."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, cast

from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response, content_types
from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEvent

from conversations.errors import ApiError, InvalidRequestError, RouteNotFoundError
from conversations.http import cors, failures
from conversations.http.dialects import PREFIXES
from conversations.http.request import Request, normalize_event
from conversations.http.routes import Route
from conversations.json_text import compact_json
from conversations.telemetry import failure_log_fields, request_log_fields

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_lambda_powertools import Logger
    from aws_lambda_powertools.utilities.typing import LambdaContext

    type Handler = Callable[..., str]


class Api:
    """Router for a REST API of API Gateway; it handles one request at a time, as Lambda does."""

    def __init__(self, logger: Logger) -> None:
        self.routes: list[Route] = []
        self._logger = logger
        self._resolver = APIGatewayRestResolver(strip_prefixes=[*PREFIXES])
        self._resolver.not_found(self._unknown_route)
        self._resolver.exception_handler(ApiError)(self._error_response)
        self._resolver.exception_handler(Exception)(self._handle_unexpected_error)

    @property
    def request(self) -> Request:
        """The current request."""
        return cast("Request", self._resolver.context["request"])

    def route(self, method: str, path: str, **declared: Any) -> Callable[[Handler], Handler]:  # noqa: ANN401 - `Route` checks them
        """Return a decorator that registers a handler as a route.

        The handler takes the request and the path's ids, and returns JSON. *declared* are the other
        fields of its `Route`.
        """

        def register(handler: Handler) -> Handler:
            self.routes.append(Route(method=method, path=path, handler=handler, **declared))

            def call_handler(**path_ids: str) -> Response[str]:
                self.request.check_ids()
                self.request.stats.conversation_id = path_ids.get("conversation_id")
                return _json_response(handler(self.request, **path_ids))

            self._resolver.route(path.replace("{", "<").replace("}", ">"), method)(call_handler)
            return handler

        return register

    def respond(self, event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
        """Return the response to a REST proxy event, and write its log line.

        A HEAD is handled as a GET; API Gateway omits the body.
        """
        started = time.perf_counter()
        normalized = normalize_event(event)
        request = Request(APIGatewayProxyEvent(normalized))
        self._resolver.context["request"] = request
        response: dict[str, Any] = self._resolver.resolve(normalized, context)
        headers = {
            "x-request-id": event["requestContext"]["requestId"],
            **cors.response_headers(os.environ["CORS_ORIGINS"], request.origin),
        }
        response["multiValueHeaders"] |= {name: [value] for name, value in headers.items()}
        duration_ms = round(1000 * (time.perf_counter() - started), 1)
        fields = request_log_fields(event, response, request.stats)
        self._logger.info("request", **fields, duration_ms=duration_ms)
        return response

    def _unknown_route(self, _: Exception) -> Response[str]:
        """Return the error for a path that no route matches.

        API Gateway rejects unknown routes itself, so the cause is nearly always an invalid id.
        """
        try:
            self.request.check_ids()
        except InvalidRequestError as error:
            return self._error_response(error)
        return self._error_response(RouteNotFoundError("No route has this method and path."))

    def _error_response(self, error: ApiError) -> Response[str]:
        self.request.stats.code = error.code
        if error.code == "invalid_json":
            error.message += self.request.content_type_hint()
        body = compact_json(error.envelope())
        return _json_response(body, error.spec.statuses[0], dict(error.spec.headers))

    def _handle_unexpected_error(self, error: Exception) -> Response[str]:
        """Log an error without its text, and return a 500 or 503."""
        request_id = self._resolver.current_event.request_context.request_id
        self._logger.error("request failed", request_id=request_id, **failure_log_fields(error))
        self.request.stats.add("Throttles", failures.is_throttle(error))
        return self._error_response(failures.public_error(error))


def _json_response(
    body: str, status: int = 200, headers: dict[str, str] | None = None
) -> Response[str]:
    return Response(status, content_types.APPLICATION_JSON, body, headers)
