"""The preflight function: browsers ask it, without a key, whether a page may call the API."""

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
    """Answer one OPTIONS request of API Gateway, with the headers by which a page may go on."""
    origin = APIGatewayProxyEvent(event).headers.get("Origin")
    request_id = event["requestContext"]["requestId"]
    logger.info("request", request_id=request_id, route=f"OPTIONS {event['resource']}", status=204)
    headers = preflight_headers(os.environ["CORS_ORIGINS"], origin)
    return {"statusCode": 204, "headers": {"x-request-id": request_id, **headers}}
