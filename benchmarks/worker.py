"""Process that imports a function, invokes it and measures both.

Its import path has the artifact, the layer and Lambda's own packages. Its arguments are modules to
import first. Standard input is a list of [event, times]. Standard output is the CPU milliseconds of
each of these imports, of the whole import, and of each response by event, and the peak memory in
MB.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import sys
import time
from http import HTTPStatus
from typing import Any


class Context:
    """The fields of Lambda's context that handlers read."""

    function_name = "api"
    memory_limit_in_mb = 1024
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:api"
    aws_request_id = "00000000-0000-0000-0000-000000000000"


def main() -> None:
    """Measure the events of standard input."""
    orders = json.load(sys.stdin)
    out = os.fdopen(os.dup(1), "w")
    sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - the function's log
    before = time.process_time()
    parts_ms = [_import_ms(module) for module in sys.argv[1:]]
    import app  # type: ignore[import-not-found]  # noqa: PLC0415 - this is what is measured

    imported = time.process_time()
    responses = [[_response_ms(app, event) for _ in range(times)] for event, times in orders]
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    result = {
        "parts_ms": parts_ms,
        "import_ms": (imported - before) * 1000,
        "responses_ms": responses,
        "peak_mb": peak_mb,
    }
    json.dump(result, out)


def _import_ms(module: str) -> float:
    before = time.process_time()
    importlib.import_module(module)
    return (time.process_time() - before) * 1000


def _response_ms(app: Any, event: dict[str, Any]) -> float:  # noqa: ANN401 - whatever module it is
    before = time.process_time()
    response = app.lambda_handler(event, Context())
    passed = time.process_time() - before
    if response.get("statusCode", HTTPStatus.OK) != HTTPStatus.OK:
        raise RuntimeError(response["body"])
    return passed * 1000


if __name__ == "__main__":
    main()
