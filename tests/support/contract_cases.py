"""The contract by example: items to accept as they are, and bodies to refuse at a given path."""

import json
from pathlib import Path
from typing import cast

type Json = dict[str, object]

_CONTRACT = Path(__file__).parents[1] / "contract"
_INDEX: list[dict[str, str]] = json.loads((_CONTRACT / "invalid" / "index.json").read_text())

EXAMPLES: list[tuple[str, Json]] = [
    (str(path.relative_to(_CONTRACT / "examples").with_suffix("")), json.loads(path.read_text()))
    for path in sorted((_CONTRACT / "examples").rglob("*.json"))
]
"""One item each, by name; those under `openai/` are shapes that only OpenAI's clients send."""

INVALID: list[tuple[str, bytes, str | None]] = [
    (
        entry["file"],
        (_CONTRACT / "invalid" / entry["file"]).read_bytes(),
        entry["path"].removeprefix("$").removeprefix(".") or None,
    )
    for entry in _INDEX
]
"""One request body each, by name, with the `param` that its refusal must carry."""


def body_of(*items: Json) -> bytes:
    """An append's body."""
    return json.dumps({"items": items}).encode()


def answered(item: Json) -> Json:
    """What an item is after parsing: the same, with the `type` that it left out."""
    untyped = "message" if "role" in item else "item_reference"
    return {**item, "type": cast("str | None", item.get("type")) or untyped}
