"""What AWS may do to a request, injected at botocore: before it is sent, or after it was done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.awsrequest import AWSResponse
from botocore.exceptions import ConnectionClosedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from botocore.client import BaseClient

type Parsed = dict[str, Any]

CANCELED = "TransactionCanceledException"


def lost_answer() -> ConnectionClosedError:
    return ConnectionClosedError(endpoint_url="https://aws.invalid")


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
