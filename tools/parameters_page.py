"""Generator of the table of parameters in `docs/template.md`: `make parameters`."""

from __future__ import annotations

from pathlib import Path

from local.intrinsics import Json, as_text, items, mapping, read_document, section
from local.template import TEMPLATE

PAGE = Path(__file__).parents[1] / "docs" / "template.md"
BEGIN, END = "<!-- parameters: made by `make parameters` -->", "<!-- end of parameters -->"


def table() -> str:
    """Return the table of parameters: their declarations, and their entries in the metadata.

    Raises:
        KeyError: `Metadata.Parameters` in the template has no entry for a parameter.
    """
    document = read_document(TEMPLATE)
    explained = section(section(document, "Metadata"), "Parameters")
    lines = [
        "| parameter | default | what it does | costs | change it when |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, given in section(document, "Parameters").items():
        declared, more = mapping(given), mapping(explained[name])
        description = f"{declared['Description']}{_values(declared.get('AllowedValues'))}"
        cells = (
            f"`{name}`",
            _default(declared["Default"]),
            description,
            more["Costs"],
            more["Change"],
        )
        lines.append(f"| {' | '.join(map(as_text, cells))} |")
    return "\n".join(lines)


def page(text: str) -> str:
    """Return the *text* of the page with its table replaced by the current one."""
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}\n{table()}\n{END}{rest.partition(END)[2]}"


def _default(value: Json) -> str:
    return "empty" if value == "" else f"`{as_text(value)}`"


def _values(allowed: Json) -> str:
    values = [as_text(value) for value in items(allowed or [])]
    return f" One of `{'`, `'.join(values)}`." if values else ""


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
