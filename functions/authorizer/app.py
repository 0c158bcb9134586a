"""The authorizer function: a bearer key in, a policy for the whole stage and its context out."""

from __future__ import annotations

import functools
import os
import traceback
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from conversations import aws_clients, init_phase
from conversations.auth.api_keys import ApiKey, ApiKeyRepository, Scope
from conversations.telemetry import RequestStats

if TYPE_CHECKING:
    from collections.abc import Collection

    from aws_lambda_powertools.utilities.typing import LambdaContext

    from conversations.telemetry import Metric

METHODS: dict[Scope, tuple[str, ...]] = {
    "read": ("GET", "HEAD"),
    "write": ("POST",),
    "delete": ("DELETE",),
}
"""What each scope opens, on every route."""

logger = Logger(use_rfc3339=True)


@functools.cache
def api_keys() -> ApiKeyRepository:
    """Return the table of keys, with the client of this execution environment."""
    return ApiKeyRepository(aws_clients.dynamodb(), os.environ["API_KEYS_TABLE"])


def lambda_handler(event: dict[str, Any], _: LambdaContext) -> dict[str, Any]:
    """Answer one TOKEN authorizer event, and tell the log by which key, or of one more refusal.

    The policy is for the whole stage, because API Gateway keeps it for the key's next requests
    too, whatever their method and path.

    Raises:
        Exception: "Unauthorized", which is how API Gateway is told to answer 401.
    """
    record = _verify(event["authorizationToken"].partition(" ")[2])
    if record is None:
        logger.info("key refused", **_counted("RejectedKeys"))
        raise Exception("Unauthorized")  # noqa: TRY002 - API Gateway knows this one by its text
    logger.info("key accepted", key_id=record.key_id)
    return {
        "principalId": record.account,
        "policyDocument": _policy(event["methodArn"], record.scopes),
        "context": {
            "account": record.account,
            "key_id": record.key_id,
            "may_delegate": record.may_delegate,
        },
        "usageIdentifierKey": (
            record.usage.value if record.usage else os.environ["UNLIMITED_USAGE_KEY"]
        ),
    }


def _verify(key: str) -> ApiKey | None:
    """The key's record; where AWS fails us, that is counted, for Lambda counts refusals as well."""
    try:
        return api_keys().verify(key)
    except Exception as error:
        frames = traceback.format_tb(error.__traceback__)
        counted = _counted("AuthorizerErrors")
        logger.error("key not judged", error=type(error).__name__, frames=frames, **counted)  # noqa: TRY400 - its text may be anything
        raise


def _counted(metric: Metric) -> dict[str, Any]:
    stats = RequestStats()
    stats.add(metric)
    return stats.to_emf()


def _policy(method_arn: str, scopes: Collection[Scope]) -> dict[str, Any]:
    """What the key may call; *method_arn* ends with API/STAGE/METHOD/PATH.

    Powertools has a builder of policies, whose import would be a tenth of this function's start.
    """
    stage = "/".join(method_arn.split("/", 2)[:2])
    opened = [f"{stage}/{method}/*" for scope in sorted(scopes) for method in METHODS[scope]]
    statement = {
        "Effect": "Allow" if opened else "Deny",
        "Action": "execute-api:Invoke",
        "Resource": opened or [f"{stage}/*"],
    }
    return {"Version": "2012-10-17", "Statement": [statement]}


init_phase.prepare([api_keys])
