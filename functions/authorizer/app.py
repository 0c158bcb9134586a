"""The authorizer function: it verifies a bearer key and returns a policy for its scopes."""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from conversations import aws_clients, init_phase
from conversations.auth.api_keys import ApiKey, ApiKeyRepository, Scope
from conversations.telemetry import RequestStats, failure_log_fields

if TYPE_CHECKING:
    from collections.abc import Collection

    from aws_lambda_powertools.utilities.typing import LambdaContext

    from conversations.telemetry import Metric

METHODS: dict[Scope, tuple[str, ...]] = {
    "read": ("GET", "HEAD"),
    "write": ("POST",),
    "delete": ("DELETE",),
}
"""Methods that each scope allows, on all routes."""

logger = Logger(use_rfc3339=True)


@functools.cache
def api_keys() -> ApiKeyRepository:
    """Return the table of keys, with the client of this execution environment."""
    return ApiKeyRepository(aws_clients.dynamodb(), os.environ["API_KEYS_TABLE"])


def lambda_handler(event: dict[str, Any], _: LambdaContext) -> dict[str, Any]:
    """Return the policy for one TOKEN authorizer event, and log the key's id or its rejection.

    The policy has all paths, and all methods that the key's scopes allow: API Gateway caches it for
    all requests with the key.

    Raises:
        Exception: "Unauthorized", for which API Gateway returns 401.
    """
    record = _verify(event["authorizationToken"].partition(" ")[2])
    if record is None:
        logger.info("key rejected", **_metric_fields("RejectedKeys"))
        raise Exception("Unauthorized")  # noqa: TRY002 - API Gateway recognizes the text
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
            record.usage_key.value if record.usage_key else os.environ["UNLIMITED_USAGE_KEY"]
        ),
    }


def _verify(key: str) -> ApiKey | None:
    """Return the record of a valid key, or None.

    A failure of AWS has its own metric, because Lambda's count of errors includes rejected keys.
    """
    try:
        return api_keys().verify(key)
    except Exception as error:
        fields = failure_log_fields(error) | _metric_fields("AuthorizerErrors")
        logger.error("key not validated", **fields)  # noqa: TRY400 - the text can contain content
        raise


def _metric_fields(metric: Metric) -> dict[str, Any]:
    stats = RequestStats()
    stats.add(metric)
    return stats.to_emf()


def _policy(method_arn: str, scopes: Collection[Scope]) -> dict[str, Any]:
    """Return the policy of a key with *scopes*; *method_arn* ends with API/STAGE/METHOD/PATH.

    Powertools can build policies, but its import would be a tenth of this function's cold start.
    """
    stage = "/".join(method_arn.split("/", 2)[:2])
    allowed = [f"{stage}/{method}/*" for scope in sorted(scopes) for method in METHODS[scope]]
    statement = {
        "Effect": "Allow" if allowed else "Deny",
        "Action": "execute-api:Invoke",
        "Resource": allowed or [f"{stage}/*"],
    }
    return {"Version": "2012-10-17", "Statement": [statement]}


init_phase.prepare([api_keys])
