"""Faults of AWS, injected in botocore before a request is sent or after it took effect."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn, cast

import botocore.exceptions
from botocore.awsrequest import AWSResponse
from botocore.exceptions import BotoCoreError, ClientError, ConnectionClosedError, HTTPClientError

from conversations.aws_clients import MAY_HAVE_TAKEN_EFFECT

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from botocore.client import BaseClient
    from botocore.model import OperationModel

type Parsed = dict[str, Any]

CANCELED = "TransactionCanceledException"


def lost_response() -> ConnectionClosedError:
    return ConnectionClosedError(endpoint_url="https://aws.invalid")


def connection_errors() -> list[BotoCoreError]:
    """Return all errors of botocore for a missing response."""
    bases = (botocore.exceptions.ConnectionError, HTTPClientError)
    return [
        kind(
            endpoint_url="https://aws.invalid",
            proxy_url="https://proxy.invalid",
            error=OSError("injected"),
        )
        for kind in vars(botocore.exceptions).values()
        if isinstance(kind, type) and issubclass(kind, bases)
    ]


def error_response(code: str, *reasons: str) -> Parsed:
    """Return an error response of AWS; *reasons* are the codes of a cancelled transaction."""
    status = 500 if code == "InternalServerError" else 400
    return {
        "Error": {"Code": code, "Message": code},
        "CancellationReasons": [{"Code": reason} for reason in reasons],
        "ResponseMetadata": {"HTTPStatusCode": status},
    }


class Faults:
    """Faults of the next calls of one operation, one for each call."""

    def __init__(self, client: BaseClient, operation: str) -> None:
        self.calls: list[Parsed] = []
        self._before: Iterator[Exception | Parsed | None] = iter(())
        self._after: Iterator[Exception | None] = iter(())
        events = client.meta.events
        service = client.meta.service_model.service_id.hyphenize()
        events.register(f"provide-client-params.{service}.{operation}", self._note)
        events.register(f"before-call.{service}.{operation}", self._fail)  # type: ignore[arg-type] # botocore uses the returned value
        events.register(f"after-call.{service}.{operation}", self._lose)

    def before(self, *faults: Exception | Parsed | None) -> None:
        """Inject results in place of the next calls."""
        self._before = iter(faults)

    def after(self, *faults: Exception | None) -> None:
        """Inject results after the next calls took effect."""
        self._after = iter(faults)

    def _note(self, params: Parsed, **_: object) -> None:
        self.calls.append(params)

    def _fail(self, **_: object) -> tuple[AWSResponse, Parsed] | None:
        match next(self._before, None):
            case None:
                return None
            case dict() as parsed:
                status = parsed["ResponseMetadata"]["HTTPStatusCode"]
                return AWSResponse("https://aws.invalid", status, {}, None), parsed  # type: ignore[arg-type] # not read
            case error:
                raise error

    def _lose(self, **_: object) -> None:
        if error := next(self._after, None):
            raise error


def behind_a_lost_response(response: Parsed) -> Parsed:
    """Return an error response to the second of botocore's tries, after a lost first response."""
    metadata = {**response["ResponseMetadata"], MAY_HAVE_TAKEN_EFFECT: True}
    return {**response, "ResponseMetadata": metadata}


BEFORE: dict[str, list[Exception | Parsed]] = {
    "TransactWriteItems": [
        error_response(CANCELED, "TransactionConflict", "None"),
        error_response(CANCELED, "None", "ThrottlingError"),
        error_response("TransactionInProgressException"),
    ],
    "TransactGetItems": [error_response(CANCELED, "TransactionConflict", "None")],
}
"""Faults of single operations before they reach AWS, beside those of all operations."""
BEHIND = [
    behind_a_lost_response(error_response("ThrottlingException")),
    behind_a_lost_response(error_response(CANCELED, "TransactionConflict", "None")),
]
"""Errors of the second of botocore's tries of a transaction, after the first took effect or not."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Fault of one call."""

    what: Exception | Parsed
    is_after: bool = False
    """Whether the call took effect."""


READS = {"GetItem", "BatchGetItem", "TransactGetItems", "Query", "GetObject"}
"""Operations for which it makes no difference whether AWS performed them."""


def faults_of(operation: str, lost: Sequence[BotoCoreError]) -> list[Fault]:
    """Return all faults of a call of an operation; *lost* are the errors of a lost connection."""
    failed = error_response("InternalServerError")
    unsent: list[Exception | Parsed] = [*BEFORE.get(operation, []), *lost]
    unsent.append(error_response("ThrottlingException"))
    if operation == "TransactWriteItems":
        unsent += BEHIND
    if operation in READS:
        return [*(Fault(what) for what in unsent), Fault(failed, is_after=True)]
    return [
        *(Fault(what) for what in unsent),
        *(Fault(what, is_after=True) for what in lost),
        *(Fault(what, is_after=True) for what in BEHIND if operation == "TransactWriteItems"),
        Fault(failed),
        Fault(failed, is_after=True),
    ]


class FaultPlan:
    """Plan of faults for the next calls of several clients."""

    def __init__(self, *clients: BaseClient) -> None:
        self.calls: list[str] = []
        self._clients = clients
        self._is_on = False
        self._injected = 0
        self._choose: Callable[[int, str], Fault | None] = lambda *_: None
        self._now: Fault | None = None
        self._sent: dict[str, Any] = {}
        for client in clients:
            service = client.meta.service_model.service_id.hyphenize()
            client.meta.events.register(f"before-call.{service}", self._before)
            client.meta.events.register(f"after-call.{service}", self._after)

    def inject_at(self, faults: Mapping[int, Fault]) -> None:
        """Start to count calls, and inject faults at these positions."""
        self._begin(lambda index, _: faults.get(index))

    def inject_randomly(self, dice: random.Random, share: float) -> None:
        """Inject a random fault into a share of the calls."""
        lost = connection_errors()
        self._begin(
            lambda _, call: dice.choice(faults_of(call, lost)) if dice.random() < share else None
        )

    def see_both_places(self) -> None:
        """Make pages of an index contain each entry twice.

        An update of an index key is a deletion and a put, and a reader may see both entries.
        """
        for client in self._clients:
            client.meta.events.register("after-call.dynamodb.Query", _double)

    def stop(self) -> int:
        """Stop to inject faults, and return their number."""
        self._is_on = False
        return self._injected

    def _begin(self, choose: Callable[[int, str], Fault | None]) -> None:
        self._is_on, self._choose = True, choose
        self.calls, self._injected = [], 0

    def _before(self, model: OperationModel, params: Parsed, **_: object) -> None:
        if model.name == "TransactWriteItems":
            self._require_same_actions(json.loads(params["body"]))
        if not self._is_on:
            return
        self._now = self._choose(len(self.calls), model.name)
        self.calls.append(model.name)
        if self._now and not self._now.is_after:
            self._strike(model)

    def _require_same_actions(self, request: Parsed) -> None:
        """Check that a token always comes with the same actions: DynamoDB rejects others."""
        actions = request["TransactItems"]
        sent = self._sent.setdefault(request["ClientRequestToken"], actions)
        assert sent == actions, "one token, other actions"

    def _after(self, model: OperationModel, parsed: Parsed, **_: object) -> None:
        if self._is_on and self._now and self._now.is_after:
            if "Body" in parsed:
                parsed["Body"].close()  # nothing reads it
            self._strike(model)

    def _strike(self, model: OperationModel) -> NoReturn:
        fault, self._now = cast("Fault", self._now), None
        self._injected += 1
        if isinstance(fault.what, Exception):
            raise fault.what
        raise ClientError(cast("Any", fault.what), model.name)


def _double(parsed: Parsed, **_: object) -> None:
    parsed["Items"] = [*parsed["Items"], *parsed["Items"]]
