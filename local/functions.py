"""Lambda functions in this process, each with one invocation at a time."""

import importlib.util
import json
import logging
import sys
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Final

from local.engines import changed_environment
from local.errors import TemplateError
from local.intrinsics import JsonObject
from local.template import Function

PAYLOAD_LIMIT: Final = 6_291_456  # bytes of JSON, in and out, of a synchronous invocation

UNAUTHORIZED: Final = "Unauthorized"
"""Message of the error by which an authorizer rejects a token; it is not a failure."""

type Handler = Callable[[JsonObject, "LambdaContext"], object]

_logger = logging.getLogger(__name__)


class FunctionError(Exception):
    """Invocation without a response that Lambda would return."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


@dataclass(frozen=True, slots=True)
class LambdaContext:
    """Second argument of a handler, with the fields of the Lambda runtime client."""

    function_name: str
    invoked_function_arn: str
    memory_limit_in_mb: str
    deadline: float
    log_group_name: str
    log_stream_name: str
    function_version: str = "$LATEST"
    aws_request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    client_context: None = None
    identity: None = None
    tenant_id: None = None

    def get_remaining_time_in_millis(self) -> int:
        """Return what remains of the template's timeout, never below zero.

        A function past its timeout is not stopped, so that a debugger can pause it.
        """
        return max(0, int((self.deadline - time.monotonic()) * 1000))


class LambdaFunction:
    """One execution environment: it loads its module once and handles one event at a time.

    Powertools relies on this guarantee of Lambda: its resolver keeps the current event on a class.
    """

    def __init__(self, definition: Function, lock: AbstractContextManager[object]) -> None:
        """Load the handler, and hold *lock* during every invocation.

        As in Lambda's init phase, the module makes its clients while it is loaded. They keep this
        stack's endpoint, whatever the process starts later.

        Raises:
            TemplateError: the handler does not exist.
        """
        self._definition = definition
        self._lock = lock
        self._environment = threading.Lock()
        self._log_stream = f"{time.strftime('%Y/%m/%d')}/[$LATEST]{uuid.uuid4().hex}"
        with lock, changed_environment({"AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand"}):
            self._handler = _load_handler(definition)

    def invoke(self, payload: bytes) -> bytes:
        """Invoke the function with an event as JSON, and return its response as JSON.

        Raises:
            FunctionError: the handler raised, or its response is not JSON or too large. The
                reason is logged.
        """
        event = json.loads(payload)
        with self._environment, self._lock:
            try:
                result = self._handler(event, self._context())
                response = json.dumps(result, ensure_ascii=False).encode()
            except Exception as error:
                # An exception of the handler is a failure of the function, not of the gateway.
                if str(error) != UNAUTHORIZED:
                    _logger.exception("%s failed", self._definition.name)
                raise FunctionError(str(error)) from error
        if len(response) > PAYLOAD_LIMIT:
            _logger.error("%s returned %d bytes", self._definition.name, len(response))
            raise FunctionError("Response payload size exceeded maximum allowed payload size")
        return response

    def _context(self) -> LambdaContext:
        return LambdaContext(
            function_name=self._definition.name,
            invoked_function_arn=self._definition.arn,
            memory_limit_in_mb=str(self._definition.memory_mb),
            deadline=time.monotonic() + self._definition.timeout_seconds,
            log_group_name=f"/aws/lambda/{self._definition.name}",
            log_stream_name=self._log_stream,
        )


def _load_handler(definition: Function) -> Handler:
    module_name, _, attribute = definition.handler.rpartition(".")
    module = _load_module(
        f"local.functions.{definition.logical_id}", definition.code / f"{module_name}.py"
    )
    handler: Handler | None = getattr(module, attribute, None)
    if handler is None:
        raise TemplateError(f"{definition.code} does not define the handler {definition.handler}.")
    return handler


def _load_module(name: str, path: Path) -> ModuleType:
    """Run the file under a unique module name, because every function calls its module `app`."""
    spec = importlib.util.spec_from_file_location(name, path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise TemplateError(f"There is no function at {path}.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
