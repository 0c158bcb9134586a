"""One execution environment: a function is imported, asked, and weighed.

It runs as a process of its own, whose path holds the artefact, the layer and what Lambda brings.
Standard input has a list of [event, times]. Standard output has the CPU milliseconds of the import
and of each answer, by event, and the largest memory in MB.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from http import HTTPStatus
from typing import Any


class Context:
    """As much of Lambda's context as a handler looks at."""

    function_name = "api"
    memory_limit_in_mb = 1024
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:api"
    aws_request_id = "00000000-0000-0000-0000-000000000000"


def main() -> None:
    """Do what standard input says."""
    orders = json.load(sys.stdin)
    out = os.fdopen(os.dup(1), "w")
    sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - the function's log
    before = time.process_time()
    import app  # type: ignore[import-not-found]  # noqa: PLC0415 - this is what is measured

    imported = time.process_time()
    answers = [[_answer_ms(app, event) for _ in range(times)] for event, times in orders]
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    result = {"import_ms": (imported - before) * 1000, "answers_ms": answers, "peak_mb": peak_mb}
    json.dump(result, out)


def _answer_ms(app: Any, event: dict[str, Any]) -> float:  # noqa: ANN401 - whatever module it is
    before = time.process_time()
    answer = app.lambda_handler(event, Context())
    passed = time.process_time() - before
    if answer.get("statusCode", HTTPStatus.OK) != HTTPStatus.OK:
        raise RuntimeError(answer["body"])
    return passed * 1000


if __name__ == "__main__":
    main()
