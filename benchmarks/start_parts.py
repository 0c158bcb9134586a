"""Parts of the API function's cold start, from the built artifacts.

`make build && .venv/bin/python -m benchmarks.start_parts` prints the table, which
`docs/performance.md` contains. The modules are imported one after the other. Each part contains the
modules of the standard library, and of small packages, that no earlier part has imported.
"""

from __future__ import annotations

import statistics
import sys

from benchmarks import events
from benchmarks.cold_starts import BUILD, CONVERSATION, LAYER, Environment, serving
from local.template import Template

STARTS = 15
WARM = 20
IMPORTS = {
    "pydantic": "import of pydantic",
    "aws_lambda_powertools.event_handler": "import of Powertools",
    "botocore.session": "import of botocore",
    "conversations.contract.bodies": "the item types, for which pydantic builds validators",
}
"""Modules to import, in this order, and the names of their parts."""


def main() -> None:
    """Print the table of the medians of all starts."""
    variables = Template().functions["ApiFunction"].environment
    orders = [(events.append(CONVERSATION, 1), WARM)]
    with serving({"TransactWriteItems": b"{}"}) as url:
        api = Environment(BUILD / "ApiFunction", {**variables, "AWS_ENDPOINT_URL": url}, [LAYER])
        api.start([])  # writes bytecode where the artifact has none
        starts = [api.start(orders, [*IMPORTS]) for _ in range(STARTS)]
    parts = {
        name: statistics.median(start.parts_ms[index] for start in starts)
        for index, name in enumerate(IMPORTS.values())
    }
    parts["the function, the rest of its package, and the client of DynamoDB"] = statistics.median(
        start.import_ms - sum(start.parts_ms) for start in starts
    )
    later = statistics.median(time for start in starts for time in start.responses_ms[0][1:])
    first = statistics.median(start.responses_ms[0][0] for start in starts)
    parts[f"the first response, an append; a later one takes {later:.1f} ms"] = first
    total = sum(parts.values())
    sys.stdout.write("| part of a cold start | CPU, ms | share |\n| --- | ---: | ---: |\n")
    for part, milliseconds in parts.items():
        sys.stdout.write(f"| {part} | {milliseconds:.0f} | {milliseconds / total:.0%} |\n")
    sys.stdout.write(f"| **sum** | **{total:.0f}** | |\n")


if __name__ == "__main__":
    main()
