"""Sample events of the functions, and a context to invoke their handlers with."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from tests.support.paths import EVENTS

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

CONTEXT = cast("LambdaContext", SimpleNamespace(function_name="test"))


def sample(name: str) -> Any:
    """Return the event in `events/<name>.json`."""
    return json.loads((EVENTS / f"{name}.json").read_text())
