"""What goes between the store's clients and AWS: counted, kept, and answered again from memory."""

from __future__ import annotations

import io
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from botocore.awsrequest import AWSResponse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from botocore.awsrequest import AWSRequest
    from botocore.model import OperationModel
    from mypy_boto3_dynamodb.client import DynamoDBClient


class Call(NamedTuple):
    """One request to AWS."""

    operation: str
    params: dict[str, Any]
    request_bytes: int


class _Body(io.BytesIO):
    def stream(self, **_: object) -> list[bytes]:
        return [self.read()]


class ClientRecorder:
    """What some clients of DynamoDB send and get.

    They reach what they are configured for, and their answers are kept. While `replaying`, each
    operation is answered with the body that it was answered with last, at once and below all that
    botocore does.
    """

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self._is_replaying = False
        self.answers: dict[str, bytes] = {}

    def tap(self, client: DynamoDBClient) -> DynamoDBClient:
        """The client, which is one of those from now on."""
        events = client.meta.events
        events.register("provide-client-params.dynamodb", self._note)
        events.register("request-created.dynamodb", self._count)
        events.register("before-send.dynamodb", self._answer)  # type: ignore[arg-type] # its answer counts
        # Before our client takes the body away.
        events.register_first("before-parse.dynamodb", self._keep)
        return client

    @contextmanager
    def replaying(self) -> Iterator[None]:
        """Answer from memory until the block is left."""
        self._is_replaying = True
        try:
            yield
        finally:
            self._is_replaying = False

    @staticmethod
    def _note(params: dict[str, Any], context: dict[str, Any], **_: object) -> None:
        context["params"] = params

    def _keep(
        self, operation_model: OperationModel, response_dict: dict[str, Any], **_: object
    ) -> None:
        if not self._is_replaying:
            self.answers[operation_model.name] = response_dict["body"]

    def _count(self, operation_name: str, request: AWSRequest, **_: object) -> None:
        if not self._is_replaying:
            params = request.context["params"]
            self.calls.append(Call(operation_name, params, len(request.body)))

    def _answer(self, event_name: str, **_: object) -> AWSResponse | None:
        if not self._is_replaying:
            return None
        body = self.answers[event_name.rpartition(".")[2]]
        headers = {"Content-Type": "application/x-amz-json-1.0"}
        return AWSResponse("https://none.invalid", 200, headers, _Body(body))  # type: ignore[arg-type] # a plain dict does
