"""The authorizer function: a bearer key in, a policy for the whole stage and its context out."""

from __future__ import annotations

import functools
import os
import traceback
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.data_classes.api_gateway_authorizer_event import (
    APIGatewayAuthorizerResponse,
    APIGatewayAuthorizerTokenEvent,
)

from conversations import clients
from conversations.api_keys import ApiKey, ApiKeys, Scope
from conversations.tally import Tally

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from conversations.tally import Metric

METHODS: dict[Scope, tuple[str, ...]] = {
    "read": ("GET", "HEAD"),
    "write": ("POST",),
    "delete": ("DELETE",),
}
"""What each scope opens, on every route."""

logger = Logger()


@functools.cache
def api_keys() -> ApiKeys:
    """The table of keys, made by this execution environment's first request."""
    return ApiKeys(clients.dynamodb(), os.environ["API_KEYS_TABLE"])


def lambda_handler(event: dict[str, Any], _: LambdaContext) -> dict[str, Any]:
    """Answer one TOKEN authorizer event, and tell the log by which key, or of one more refusal.

    The policy is for the whole stage, because API Gateway keeps it for the key's next requests
    too, whatever their method and path.

    Raises:
        Exception: "Unauthorized", which is how API Gateway is told to answer 401.
    """
    request = APIGatewayAuthorizerTokenEvent(event)
    record = _verify(request.authorization_token.partition(" ")[2])
    if record is None:
        logger.info("key refused", **_counted("RefusedKeys"))
        raise Exception("Unauthorized")  # noqa: TRY002 - API Gateway knows this one by its text
    logger.info("key accepted", key_id=record.key_id)
    return _policy(request, record)


def _verify(key: str) -> ApiKey | None:
    """The key's record; where AWS fails us, that is counted, for Lambda counts refusals as well."""
    try:
        return api_keys().verify(key)
    except Exception as error:
        frames = traceback.format_tb(error.__traceback__)
        counted = _counted("FailedAuthorizations")
        logger.error("key not judged", error=type(error).__name__, frames=frames, **counted)  # noqa: TRY400 - its text may be anything
        raise


def _counted(metric: Metric) -> dict[str, Any]:
    tally = Tally()
    tally.add(metric)
    return tally.embedded()


def _policy(request: APIGatewayAuthorizerTokenEvent, record: ApiKey) -> dict[str, Any]:
    arn = request.parsed_arn
    policy = APIGatewayAuthorizerResponse(
        principal_id=record.account,
        region=arn.region,
        aws_account_id=arn.aws_account_id,
        api_id=arn.api_id,
        stage=arn.stage,
        context={
            "account": record.account,
            "key_id": record.key_id,
            "may_delegate": record.may_delegate,
        },
        usage_identifier_key=(
            record.usage.value if record.usage else os.environ["UNLIMITED_USAGE_KEY"]
        ),
    )
    if not record.scopes:
        policy.deny_all_routes()
    for scope in sorted(record.scopes):
        for method in METHODS[scope]:
            policy.allow_route(method, "*")
    return policy.asdict()
