"""Log lines that the functions of a local stack write."""

from __future__ import annotations

import inspect
import io
import json
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.stack import DevStack
    from tests.support.http_helpers import Json


def module_of(stack: DevStack, function: str) -> SimpleNamespace:
    """Return the module of a function of this stack; each stack has its own modules."""
    handler: Any = inspect.unwrap(stack._functions[function]._handler)  # noqa: SLF001 - the way to AWS
    return SimpleNamespace(**handler.__globals__)


class Log:
    """Lines of all functions, which share one logger in this process."""

    def __init__(self) -> None:
        self.text = io.StringIO()

    def lines(self, message: str) -> list[Json]:
        """Return the lines with this message so far."""
        lines = [json.loads(line) for line in self.text.getvalue().splitlines()]
        return [line for line in lines if line["message"] == message]


@contextmanager
def reading_log(stack: DevStack) -> Iterator[Log]:
    log = Log()
    handlers = {
        module_of(stack, name).logger.registered_handler for name in stack.template.functions
    }
    streams = {handler: handler.setStream(log.text) for handler in handlers}
    try:
        yield log
    finally:
        for handler, stream in streams.items():
            handler.setStream(stream)
