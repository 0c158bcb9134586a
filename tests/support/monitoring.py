"""Alarms of the template, and the log of a stack that wrote each of its metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from conversations import ids
from conversations.auth.api_keys import ApiKeyRepository
from conversations.storage import backoff
from local.intrinsics import Intrinsics, Json, mapping, read_document, section
from local.template import TEMPLATE, Template
from tests.support.fault_injection import CANCELED, Faults, error_response
from tests.support.http_helpers import HELLO, LARGE
from tests.support.log_lines import Log, module_of, reading_log
from tests.support.template_values import TOPIC

if TYPE_CHECKING:
    from local.stack import DevStack

DOCUMENT = read_document(TEMPLATE)
_INTRINSICS = Intrinsics(DOCUMENT, {"AlarmTopicArn": TOPIC})


def resources(kind: str) -> dict[str, dict[str, Json]]:
    """Return the resolved properties of the template's resources of a type, by logical id."""
    return {
        name: mapping(_INTRINSICS.resolve(mapping(resource)["Properties"]))
        for name, resource in section(DOCUMENT, "Resources").items()
        if mapping(resource)["Type"] == kind
    }


ALARMS = resources("AWS::CloudWatch::Alarm")


def log_of_every_metric(stack: DevStack) -> Log:
    """Send requests that write each metric at least once, and return the log."""
    stack.reset()
    keys = ApiKeyRepository(stack.resources.dynamodb, Template().name("ApiKeysTable"))
    with stack.engine.lock:
        key, _ = keys.create(account="acme", name="test")
    headers = {"Authorization": f"Bearer {key}"}
    with (
        pytest.MonkeyPatch.context() as patch,
        reading_log(stack) as log,
        httpx.Client(base_url=f"{stack.url}/api/v1/llm", headers=headers) as client,
    ):
        patch.setattr(backoff, "FIRST_DELAY_SECONDS", 0)
        patch.setenv("_X_AMZN_TRACE_ID", "Root=1-5759e988-bd862e3fe1be46a994272793")  # as on Lambda
        _send_requests(stack, client, patch)
    return log


def _send_requests(stack: DevStack, client: httpx.Client, patch: pytest.MonkeyPatch) -> None:
    """Send requests that make the service write each of its metrics.

    The purge comes first: moto's streams end with the first transaction that is cancelled.
    """
    deleted = client.post("/conversations", json={"items": [HELLO]}).json()["id"]
    client.delete(f"/conversations/{deleted}")
    stack.drain_streams()
    client.get("/conversations/none")
    path = f"/conversations/{client.post('/conversations').json()['id']}/items"
    for _ in range(2):
        client.post(path, json={"items": [LARGE]}, headers={"Idempotency-Key": "k"})
    with stack.engine.lock:
        writes = Faults(module_of(stack, "ApiFunction").dynamodb_client(), "TransactWriteItems")
    reasons = [
        error_response(CANCELED, reason, "None") for reason in ("TransactionConflict", "Throttling")
    ]
    reasons[1]["CancellationReasons"][0]["Code"] = "ThrottlingError"
    writes.before(*reasons)
    client.post(path, json={"items": [HELLO]})
    with patch.context() as past:
        past.setattr(ids, "new_batch_number", lambda _: ids.batch_number_after("0" * 26))
        client.post(path, json={"items": [{**HELLO, "content": "late"}]})
    with patch.context() as broken:
        broken.setenv("CONVERSATIONS_TABLE", "none")
        client.get("/conversations")
    client.get("/conversations", headers={"Authorization": "Bearer unknown"})
    patch.setenv("API_KEYS_TABLE", "none")
    module_of(stack, "AuthorizerFunction").api_keys.cache_clear()
    client.get("/conversations", headers={"Authorization": "Bearer another"})
    module_of(stack, "AuthorizerFunction").api_keys.cache_clear()
    module_of(stack, "ApiFunction").dynamodb_client.cache_clear()
