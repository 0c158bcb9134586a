"""Allowed imports between the parts, and the size of modules."""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
LAYER = ROOT / "layers" / "conversations" / "conversations"
CLI = ROOT / "cli" / "conversations_cli"
TESTS = ROOT / "tests"

DEVELOPMENT = ("local", "openapi", "benchmarks", "smoke", "tools")
"""Folders of code that is neither deployed nor installed."""
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


@functools.cache
def imported(path: Path) -> list[str]:
    """Return the dotted names of all imports in a module."""
    found: list[str] = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += (f"{node.module}.{alias.name}" for alias in node.names)
    return found


def modules(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))


def parts(path: Path) -> set[str]:
    """Return the parts of `conversations` that a module imports."""
    return {name.split(".")[1] for name in imported(path) if name.split(".")[0] == "conversations"}


def tops(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imported(path)}


def test_a_part_of_the_layer_imports_only_the_parts_below_it() -> None:
    for path in modules(LAYER):
        part = path.relative_to(LAYER).parts[0].removesuffix(".py")

        assert parts(path) - {part} <= MAY_IMPORT[part], path


def test_the_command_line_does_not_import_http() -> None:
    assert [path for path in modules(CLI) if "http" in parts(path)] == []


def test_what_is_deployed_or_installed_imports_no_development_code() -> None:
    of_tools = {"functions", "tests", *DEVELOPMENT}
    installed = [*modules(LAYER), *modules(ROOT / "functions"), *modules(CLI)]

    assert [path for path in installed if tops(path) & of_tools] == []


def test_what_runs_in_lambda_does_not_import_the_command_line() -> None:
    in_lambda = [*modules(LAYER), *modules(ROOT / "functions")]

    assert [path for path in in_lambda if "conversations_cli" in tops(path)] == []


def test_helpers_of_tests_are_in_support_or_beside_their_tests() -> None:
    for path in modules(TESTS):
        folder = path.relative_to(TESTS).parts[0]
        names = [name for name in imported(path) if name.startswith("tests.")]

        assert not [name for name in names if re.search(r"\btests\..*\btest_\w+", name)], path
        assert {name.split(".")[1] for name in names} <= {"conftest", "support", folder}, path


def test_a_module_is_under_300_lines() -> None:
    written = [
        module
        for part in (
            "functions",
            "layers",
            "cli",
            "local",
            "openapi",
            "benchmarks",
            "smoke",
            "tools",
        )
        for module in modules(ROOT / part)
    ]

    assert [path for path in written if len(path.read_text().splitlines()) > 300] == []
