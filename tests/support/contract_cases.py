"""Examples of the contract: valid items, and invalid bodies with the path of the error."""

import json
from typing import cast

from tests.support.paths import TESTS

type Json = dict[str, object]

_CONTRACT = TESTS / "contract"
_INDEX: list[dict[str, str]] = json.loads((_CONTRACT / "invalid" / "index.json").read_text())

MESSAGE: Json = {"type": "message", "role": "user", "content": "hi"}
EXAMPLES: list[tuple[str, Json]] = [
    (str(path.relative_to(_CONTRACT / "examples").with_suffix("")), json.loads(path.read_text()))
    for path in sorted((_CONTRACT / "examples").rglob("*.json"))
]
"""Items by name; those under `openai/` have shapes that only OpenAI's clients send, those under
`own/` types that neither SDK has."""

INVALID: list[tuple[str, bytes, str | None]] = [
    (
        entry["file"],
        (_CONTRACT / "invalid" / entry["file"]).read_bytes(),
        entry["path"].removeprefix("$").removeprefix(".") or None,
    )
    for entry in _INDEX
]
"""Invalid request bodies by name, with the expected `param` of the error."""


def body_of(*items: Json) -> bytes:
    """Return the body of an append."""
    return json.dumps({"items": items}).encode()


def with_type(item: Json) -> Json:
    """Return an item as parsing leaves it: with its `type`, if the client omitted that."""
    untyped = "message" if "role" in item else "item_reference"
    return {**item, "type": cast("str | None", item.get("type")) or untyped}
