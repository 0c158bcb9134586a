"""Paths of values in a body, and their text for the client."""

import json
import re

type Path = tuple[str | int, ...]

_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_MAX_SHOWN_KEY = 64
_MAX_SHOWN_STEPS = 20


def format_path(path: Path) -> str | None:
    """Return *path* as a client would write it: `items[1].content[0].image_url`; None for the body.

    A key that would be misread after a dot is quoted: `metadata["a b"]`. A path deeper than any
    that the contract names is truncated.
    """
    cut = "…" if len(path) > _MAX_SHOWN_STEPS else ""
    return "".join(map(_step, path[:_MAX_SHOWN_STEPS])).removeprefix(".") + cut or None


def _step(step: str | int) -> str:
    if isinstance(step, int):
        return f"[{step}]"
    shown = step if len(step) <= _MAX_SHOWN_KEY else step[:_MAX_SHOWN_KEY] + "…"
    if _PLAIN_KEY.fullmatch(shown):
        return f".{shown}"
    return f"[{json.dumps(shown, ensure_ascii=False)}]"
