"""Recorder of DynamoDB calls, which can replay the responses."""

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
    """Request to AWS."""

    operation: str
    params: dict[str, Any]
    request_bytes: int


class _Body(io.BytesIO):
    def stream(self, **_: object) -> list[bytes]:
        return [self.read()]


class ClientRecorder:
    """Recorder of the requests and responses of DynamoDB clients.

    The clients reach their own endpoint, and their responses are recorded. While `replaying`, each
    operation receives the body of its last response, without a connection.
    """

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self._is_replaying = False
        self.responses: dict[str, bytes] = {}

    def record(self, client: DynamoDBClient) -> DynamoDBClient:
        """Record the calls of a client, and return it."""
        events = client.meta.events
        events.register("provide-client-params.dynamodb", self._note)
        events.register("request-created.dynamodb", self._count)
        events.register("before-send.dynamodb", self._replay)  # type: ignore[arg-type] # botocore uses the returned value
        # Registered first, because our client removes the body.
        events.register_first("before-parse.dynamodb", self._keep)
        return client

    @contextmanager
    def replaying(self) -> Iterator[None]:
        """Replay recorded responses for the block."""
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
            self.responses[operation_model.name] = response_dict["body"]

    def _count(self, operation_name: str, request: AWSRequest, **_: object) -> None:
        if not self._is_replaying:
            params = request.context["params"]
            self.calls.append(Call(operation_name, params, len(request.body)))

    def _replay(self, event_name: str, **_: object) -> AWSResponse | None:
        if not self._is_replaying:
            return None
        body = self.responses[event_name.rpartition(".")[2]]
        headers = {"Content-Type": "application/x-amz-json-1.0"}
        return AWSResponse("https://none.invalid", 200, headers, _Body(body))  # type: ignore[arg-type] # a plain dict does
