"""The preflight function: it responds, without a key, to the CORS preflights of browsers."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEvent

from conversations.http.cors import preflight_headers

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger(use_rfc3339=True)


def lambda_handler(event: dict[str, Any], _: LambdaContext) -> dict[str, Any]:
    """Return the response to one OPTIONS request, with the CORS headers for its origin."""
    origin = APIGatewayProxyEvent(event).headers.get("Origin")
    request_id = event["requestContext"]["requestId"]
    logger.info("request", request_id=request_id, route=f"OPTIONS {event['resource']}", status=204)
    headers = preflight_headers(os.environ["CORS_ORIGINS"], origin)
    return {"statusCode": 204, "headers": {"x-request-id": request_id, **headers}}
