"""What the functions of a local stack really write to their logs."""

from __future__ import annotations

import io
import json
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wire import Json

    from local.stack import LocalStack


def module_of(function: str) -> Any:
    """The module that the local stack made of a function's file."""
    return sys.modules[f"local.functions.{function}"]


class Log:
    """The lines of all functions, which share one logger in this process."""

    def __init__(self) -> None:
        self.text = io.StringIO()

    def lines(self, message: str) -> list[Json]:
        """The lines with that message so far."""
        lines = [json.loads(line) for line in self.text.getvalue().splitlines()]
        return [line for line in lines if line["message"] == message]


@contextmanager
def reading_log(stack: LocalStack) -> Iterator[Log]:
    log = Log()
    handlers = {module_of(name).logger.registered_handler for name in stack.template.functions}
    streams = {handler: handler.setStream(log.text) for handler in handlers}
    try:
        yield log
    finally:
        for handler, stream in streams.items():
            handler.setStream(stream)
