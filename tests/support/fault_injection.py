"""What AWS may do to a request, injected at botocore: before it is sent, or after it was done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn, cast

import botocore.exceptions
from botocore.awsrequest import AWSResponse
from botocore.exceptions import BotoCoreError, ClientError, ConnectionClosedError, HTTPClientError

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from botocore.client import BaseClient
    from botocore.model import OperationModel

type Parsed = dict[str, Any]

CANCELED = "TransactionCanceledException"


def lost_answer() -> ConnectionClosedError:
    return ConnectionClosedError(endpoint_url="https://aws.invalid")


def connection_errors() -> list[BotoCoreError]:
    """All errors of botocore that say that no response came, by whatever names it has them."""
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


def refusal(code: str, *reasons: str) -> Parsed:
    """A refusal by AWS; *reasons* are the codes of a cancelled transaction's."""
    status = 500 if code == "InternalServerError" else 400
    return {
        "Error": {"Code": code, "Message": code},
        "CancellationReasons": [{"Code": reason} for reason in reasons],
        "ResponseMetadata": {"HTTPStatusCode": status},
    }


class Faults:
    """The faults that the next calls of one operation meet, one each; then all is well."""

    def __init__(self, client: BaseClient, operation: str) -> None:
        self.calls: list[Parsed] = []
        self._before: Iterator[Exception | Parsed | None] = iter(())
        self._after: Iterator[Exception | None] = iter(())
        events = client.meta.events
        service = client.meta.service_model.service_id.hyphenize()
        events.register(f"provide-client-params.{service}.{operation}", self._note)
        events.register(f"before-call.{service}.{operation}", self._refuse)  # type: ignore[arg-type] # its answer counts
        events.register(f"after-call.{service}.{operation}", self._lose)

    def before(self, *faults: Exception | Parsed | None) -> None:
        """What the next calls meet instead of AWS."""
        self._before = iter(faults)

    def after(self, *faults: Exception | None) -> None:
        """What the next calls meet once AWS has done them."""
        self._after = iter(faults)

    def _note(self, params: Parsed, **_: object) -> None:
        self.calls.append(params)

    def _refuse(self, **_: object) -> tuple[AWSResponse, Parsed] | None:
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


BEFORE: dict[str, list[Exception | Parsed]] = {
    "TransactWriteItems": [
        refusal(CANCELED, "TransactionConflict", "None"),
        refusal(CANCELED, "None", "ThrottlingError"),
        refusal("TransactionInProgressException"),
    ],
    "TransactGetItems": [refusal(CANCELED, "TransactionConflict", "None")],
}
"""What an operation may meet instead of AWS, beside what all may."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to one call."""

    what: Exception | Parsed
    is_after: bool = False
    """Whether AWS has done it all the same."""


READS = {"GetItem", "BatchGetItem", "TransactGetItems", "Query", "GetObject"}
"""Of these it is all one whether AWS did it before it failed."""


def faults_of(operation: str, lost: Sequence[BotoCoreError]) -> list[Fault]:
    """All that may happen to a call of an operation; *lost* are the errors of a lost connection."""
    failed = refusal("InternalServerError")
    refused: list[Exception | Parsed] = [*BEFORE.get(operation, []), *lost]
    refused.append(refusal("ThrottlingException"))
    if operation in READS:
        return [*(Fault(what) for what in refused), Fault(failed, is_after=True)]
    return [
        *(Fault(what) for what in refused),
        *(Fault(what, is_after=True) for what in lost),
        Fault(failed),
        Fault(failed, is_after=True),
    ]


class FaultPlan:
    """Which of the calls that follow, of several clients, meet a fault."""

    def __init__(self, *clients: BaseClient) -> None:
        self.calls: list[str] = []
        self._clients = clients
        self._is_on = False
        self._injected = 0
        self._choose: Callable[[int, str], Fault | None] = lambda *_: None
        self._now: Fault | None = None
        for client in clients:
            service = client.meta.service_model.service_id.hyphenize()
            client.meta.events.register(f"before-call.{service}", self._before)
            client.meta.events.register(f"after-call.{service}", self._after)

    def inject_at(self, faults: Mapping[int, Fault]) -> None:
        """Begin to count calls, and let those in these places meet their faults."""
        self._begin(lambda place, _: faults.get(place))

    def inject_randomly(self, dice: random.Random, share: float) -> None:
        """Let a share of the calls meet any fault."""
        lost = connection_errors()
        self._begin(
            lambda _, call: dice.choice(faults_of(call, lost)) if dice.random() < share else None
        )

    def see_both_places(self) -> None:
        """Let pages of an index hold each entry twice.

        An update of an index key is a deletion and a put, and a reader may see both entries.
        """
        for client in self._clients:
            client.meta.events.register("after-call.dynamodb.Query", _double)

    def stop(self) -> int:
        """Be well again; how many faults there were."""
        self._is_on = False
        return self._injected

    def _begin(self, choose: Callable[[int, str], Fault | None]) -> None:
        self._is_on, self._choose = True, choose
        self.calls, self._injected = [], 0

    def _before(self, model: OperationModel, **_: object) -> None:
        if not self._is_on:
            return
        self._now = self._choose(len(self.calls), model.name)
        self.calls.append(model.name)
        if self._now and not self._now.is_after:
            self._strike(model)

    def _after(self, model: OperationModel, parsed: Parsed, **_: object) -> None:
        if self._is_on and self._now and self._now.is_after:
            if "Body" in parsed:
                parsed["Body"].close()  # nobody will read it
            self._strike(model)

    def _strike(self, model: OperationModel) -> NoReturn:
        fault, self._now = cast("Fault", self._now), None
        self._injected += 1
        if isinstance(fault.what, Exception):
            raise fault.what
        raise ClientError(cast("Any", fault.what), model.name)


def _double(parsed: Parsed, **_: object) -> None:
    parsed["Items"] = [*parsed["Items"], *parsed["Items"]]
