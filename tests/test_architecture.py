"""Allowed imports between the parts, and the size of modules."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
LAYER = ROOT / "layers" / "conversations" / "conversations"
CLI = ROOT / "cli" / "conversations_cli"
TESTS = ROOT / "tests"

MAY_IMPORT = {
    "errors": set[str](),
    "ids": set[str](),
    "model": set[str](),
    "telemetry": set[str](),
    "json_text": set[str](),
    "aws_clients": set[str](),
    "init_phase": set[str](),
    "contract": {"errors", "ids"},
    "http": {"aws_clients", "contract", "errors", "ids", "json_text", "model", "telemetry"},
    "storage": {"aws_clients", "contract", "errors", "ids", "json_text", "model", "telemetry"},
    "auth": {"ids"},
    "__init__": set[str](),
}
"""The other parts of `conversations` that each part may import."""


def imported(path: Path) -> Iterator[str]:
    """Yield the dotted names of all imports in a module."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def modules(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))


def parts(path: Path) -> set[str]:
    """Return the parts of `conversations` that a module imports."""
    return {name.split(".")[1] for name in imported(path) if name.split(".")[0] == "conversations"}


def tops(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imported(path)}


@pytest.mark.parametrize("path", modules(LAYER), ids=lambda path: str(path.relative_to(LAYER)))
def test_a_part_of_the_layer_imports_only_the_parts_below_it(path: Path) -> None:
    part = path.relative_to(LAYER).parts[0].removesuffix(".py")

    assert parts(path) - {part} <= MAY_IMPORT[part]


@pytest.mark.parametrize("path", modules(CLI), ids=lambda path: path.stem)
def test_the_command_line_does_not_import_http(path: Path) -> None:
    assert "http" not in parts(path)


@pytest.mark.parametrize(
    "path",
    [*modules(LAYER), *modules(ROOT / "functions"), *modules(CLI)],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_what_is_deployed_or_installed_imports_no_development_code(path: Path) -> None:
    of_tools = {"functions", "local", "openapi", "benchmarks", "tests"}

    assert not tops(path) & of_tools


@pytest.mark.parametrize(
    "path",
    [*modules(LAYER), *modules(ROOT / "functions")],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_what_runs_in_lambda_does_not_import_the_command_line(path: Path) -> None:
    assert "conversations_cli" not in tops(path)


@pytest.mark.parametrize("path", modules(TESTS), ids=lambda path: str(path.relative_to(TESTS)))
def test_helpers_of_tests_are_in_support_or_beside_their_tests(path: Path) -> None:
    folder = path.relative_to(TESTS).parts[0]
    shared = {name.split(".")[1] for name in imported(path) if name.startswith("tests.")}

    assert not [name for name in imported(path) if re.search(r"\btests\..*\btest_\w+", name)]
    assert shared <= {"conftest", "support", folder}


@pytest.mark.parametrize(
    "path",
    [
        module
        for part in ("functions", "layers", "cli", "local", "openapi", "benchmarks")
        for module in modules(ROOT / part)
    ],
    ids=str,
)
def test_a_module_is_under_300_lines(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 300
