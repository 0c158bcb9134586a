"""What the handler adds to an append of 20 items, in CPU time.

The floor is what no service of this kind can do without: one `validate_json` of the body and one
`transact_write_items` of the same rows, by a client of the same settings. Both run in turn, in
one process, against an HTTP layer that answers at once.
"""

from __future__ import annotations

import io
import json
import os
import statistics
import sys
import time
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import boto3
from botocore.awsrequest import AWSResponse
from pydantic import TypeAdapter

from conversations import clients
from conversations.contract.items import Batch

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_lambda_powertools.utilities.typing import LambdaContext

ROUNDS = 500
WARM_UP = 50
ITEMS = 20
EVENT = Path(__file__).parent.parent / "events" / "api.json"

ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
    "AWS_DEFAULT_REGION": "us-east-1",
    "CONVERSATIONS_TABLE": "conversations",
    "PAYLOAD_BUCKET": "payloads",
    "CORS_ORIGINS": "",
    "RETENTION_DAYS": "0",
    "SPILL_BYTES": "16384",
    "POWERTOOLS_SERVICE_NAME": "conversations",
    "POWERTOOLS_METRICS_NAMESPACE": "Conversations",
}


class _Body(io.BytesIO):
    def stream(self, **_: object) -> list[bytes]:
        return [self.read()]


class StubbedHttp:
    """DynamoDB without a network: it answers `{}`, and keeps what it was asked last."""

    def __init__(self) -> None:
        self.request: dict[str, Any] = {}

    def install(self) -> None:
        """Stand in for the network in every client that is made from now on."""
        boto3.setup_default_session()
        events = boto3._get_default_session().events  # noqa: SLF001 - the one every client has
        events.register("provide-client-params.dynamodb.TransactWriteItems", self._note)
        events.register("before-send.dynamodb.TransactWriteItems", self._answer)  # type: ignore[arg-type] # its answer counts

    def _note(self, params: dict[str, Any], **_: object) -> None:
        self.request = params

    @staticmethod
    def _answer(**_: object) -> AWSResponse:
        headers = {"Content-Type": "application/x-amz-json-1.0"}
        return AWSResponse("https://none.invalid", 200, headers, _Body(b"{}"))  # type: ignore[arg-type] # a plain dict does


class Context:
    """As much of Lambda's context as the handler looks at."""

    function_name = "api"
    memory_limit_in_mb = 1024
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:api"
    aws_request_id = "00000000-0000-0000-0000-000000000000"


def append_event() -> dict[str, Any]:
    """An append of 20 messages, about 10 KB, as API Gateway delivers it."""
    event: dict[str, Any] = json.loads(EVENT.read_text())
    sentence = "The kettle was on, the cat was out, and nobody had read the letter yet. "
    items = [
        {"type": "message", "role": "user", "content": f"{place}: {sentence * 6}"}
        for place in range(ITEMS)
    ]
    event["body"] = json.dumps({"items": items})
    return event


def cpu_ms(work: Callable[[], object]) -> float:
    """The CPU milliseconds of one call."""
    before = time.process_time_ns()
    work()
    return (time.process_time_ns() - before) / 1_000_000


def measure() -> dict[str, Any]:
    """Run the handler and its floor in turn; medians, and quartiles of the ratio pair by pair."""
    http = StubbedHttp()
    http.install()
    from functions.api import app  # noqa: PLC0415 - its clients are made after the stub

    event = append_event()
    adapter = TypeAdapter(Batch)
    client = boto3.client("dynamodb", config=clients.SETTINGS)

    def handler() -> None:
        answer = app.lambda_handler(event, cast("LambdaContext", Context()))
        if answer["statusCode"] != HTTPStatus.OK:
            raise RuntimeError(answer["body"])

    handler()
    request = http.request

    def floor() -> None:
        adapter.validate_json(event["body"])
        client.transact_write_items(**request)

    pairs = [(cpu_ms(handler), cpu_ms(floor)) for _ in range(WARM_UP + ROUNDS)][WARM_UP:]
    low, ratio, high = statistics.quantiles([ours / least for ours, least in pairs], n=4)
    return {
        "operation": f"append {ITEMS}",
        "body_bytes": len(event["body"]),
        "handler_ms": round(statistics.median(ours for ours, _ in pairs), 3),
        "floor_ms": round(statistics.median(least for _, least in pairs), 3),
        "ratio": round(ratio, 3),
        "ratio_quartiles": [round(low, 3), round(high, 3)],
        "rounds": ROUNDS,
    }


def main() -> None:
    """Print the result as one JSON object; the handler's log goes nowhere."""
    os.environ |= ENVIRONMENT
    out, sys.stdout = sys.stdout, io.StringIO()
    try:
        result = measure()
    finally:
        sys.stdout = out
    print(json.dumps(result))  # noqa: T201 - a command's output


main()
