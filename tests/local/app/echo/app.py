"""Function that returns its event, or the response that the body contains."""

import json
from typing import Any

from local.functions import LambdaContext


def lambda_handler(event: dict[str, Any], context: LambdaContext) -> object:
    if event["resource"] == "/fail":
        raise RuntimeError("It was meant to.")
    if event["resource"] == "/respond":
        return json.loads(event["body"])
    seen = {"event": event, "context": _shown(context)}
    return {"statusCode": 200, "body": json.dumps(seen)}


def _shown(context: LambdaContext) -> dict[str, object]:
    return {
        "aws_request_id": context.aws_request_id,
        "function_name": context.function_name,
        "invoked_function_arn": context.invoked_function_arn,
        "memory_limit_in_mb": context.memory_limit_in_mb,
        "remaining_ms": context.get_remaining_time_in_millis(),
    }
