"""Who may import whom, and how large a module may be."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
DOMAIN = ROOT / "layers" / "domain" / "conversations"

MAY_IMPORT = {
    "errors": set[str](),
    "ids": set[str](),
    "contract": {"errors", "ids"},
    "clients": set[str](),
    "cors": set[str](),
    "tally": set[str](),
    "storage": {"clients", "contract", "errors", "ids", "tally"},
    "init_phase": set[str](),
    "failures": {"clients", "errors", "storage"},
    "views": {"storage"},
    "requests": {"contract", "errors", "ids", "storage", "views"},
    "key_text": set[str](),
    "api_keys": {"ids", "key_text"},
    "usage_plans": {"api_keys"},
    "command_line": set[str](),
    "key_commands": {"api_keys", "command_line", "usage_plans"},
    "__main__": {"command_line", "key_commands", "storage"},
    "__init__": set[str](),
}
"""The parts of `conversations` that each part may use; of itself, a package may use all."""


def imported(path: Path) -> Iterator[str]:
    """The dotted names that a module imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def modules(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))


@pytest.mark.parametrize("path", modules(DOMAIN), ids=lambda path: path.stem)
def test_a_part_of_the_domain_imports_what_stands_below_it(path: Path) -> None:
    part = path.relative_to(DOMAIN).parts[0].removesuffix(".py")
    used = {name.split(".")[1] for name in imported(path) if name.split(".")[0] == "conversations"}

    assert used - {part} <= MAY_IMPORT[part]


@pytest.mark.parametrize("path", modules(ROOT / "functions"), ids=lambda path: path.parent.name)
def test_a_function_imports_nothing_of_ours_but_the_domain(path: Path) -> None:
    assert not {"functions", "local", "tests"} & {name.split(".")[0] for name in imported(path)}


@pytest.mark.parametrize("path", modules(DOMAIN), ids=lambda path: path.stem)
def test_the_domain_knows_nothing_of_what_uses_it(path: Path) -> None:
    assert not {"functions", "local"} & {name.split(".")[0] for name in imported(path)}


@pytest.mark.parametrize(
    "path",
    [
        module
        for part in ("functions", "layers", "local", "openapi", "benchmarks")
        for module in modules(ROOT / part)
    ],
    ids=str,
)
def test_a_module_is_under_300_lines(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 300


def test_a_decision_says_what_was_so_what_was_chosen_and_what_else_there_was() -> None:
    _, *decisions = (ROOT / "DECISIONS.md").read_text(encoding="utf-8").split("\n## ")
    dates = [decision[: len("2026-11-23")] for decision in decisions]

    assert dates == sorted(dates, reverse=True)
    for decision in decisions:
        parts = [decision.find(f"**{name}.**") for name in ("Context", "Decision", "Alternatives")]
        assert 0 < parts[0] < parts[1] < parts[2], decision.splitlines()[0]
        assert decision.count("**Context.**") == 1
