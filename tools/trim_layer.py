"""Remove from packages what functions do not use: `python trim_layer.py PACKAGES SERVICE ...`.

The size of the packages, and the modules that they import, lengthen a cold start. Of botocore's
30 MB, 28 describe services that the functions never call, and half of the rest is documentation.
Some packages import all their modules if one is imported. `DECISIONS.md` has the effect of each.
"""

import ast
import gzip
import json
import shutil
import sys
from pathlib import Path

LAZY_PACKAGES = (
    "aws_lambda_powertools/event_handler",
    "aws_lambda_powertools/event_handler/openapi",
    "aws_lambda_powertools/utilities/data_classes",
)
"""Packages whose `__init__.py` imports every event's classes, and asyncio with them."""
LAZY_MODULE = '''"""Names of the package's modules, each imported on first use."""

from importlib import import_module

_MODULES = {modules!r}


def __getattr__(name):
    if name not in _MODULES:
        raise AttributeError(f"module {{__name__!r}} has no attribute {{name!r}}")
    return getattr(import_module(_MODULES[name], __name__), name)
'''
UNWRITTEN_DOCSTRINGS = '''"""Docstrings of clients, empty: the layer has no documentation."""


class ClientMethodDocstring(str):
    def __new__(cls, **_):
        return super().__new__(cls)


PaginatorDocstring = WaiterDocstring = ClientMethodDocstring
'''


def trim(packages: Path, services: set[str]) -> None:
    """Trim the *packages* in a folder; of botocore's services, keep only *services*."""
    data = packages / "botocore" / "data"
    for folder in data.iterdir():
        if folder.is_dir() and folder.name not in services:
            shutil.rmtree(folder)
    _keep_endpoints(data / "endpoints.json", services)
    for service in services:
        _drop_documentation(data / service)
    _drop_documenters(packages / "botocore" / "docs")
    # The module looks for h2 by `importlib.metadata`, which is slow. botocore uses HTTP/1.1.
    (packages / "urllib3" / "http2" / "__init__.py").write_text("", encoding="utf-8")
    for name in LAZY_PACKAGES:
        _import_lazily(packages / name / "__init__.py")


def _keep_endpoints(path: Path, services: set[str]) -> None:
    """Remove other services from all partitions, because each new client reads the whole file."""
    endpoints = json.loads(path.read_text(encoding="utf-8"))
    for partition in endpoints["partitions"]:
        partition["services"] = {
            name: service for name, service in partition["services"].items() if name in services
        }
    path.write_text(json.dumps(endpoints), encoding="utf-8")


def _drop_documentation(service: Path) -> None:
    """Remove the documentation from the models of a *service*, and decompress them."""
    for examples in service.rglob("examples-1.json"):
        examples.unlink()
    for path in service.rglob("*.json.gz"):
        model = json.loads(gzip.decompress(path.read_bytes()))
        path.with_suffix("").write_text(
            json.dumps(_undocumented(model), separators=(",", ":")), encoding="utf-8"
        )
        path.unlink()


def _undocumented(value: object) -> object:
    if isinstance(value, list):
        return [_undocumented(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    return {
        key: "" if key == "documentation" and isinstance(inner, str) else _undocumented(inner)
        for key, inner in value.items()
    }


def _drop_documenters(docs: Path) -> None:
    """Remove botocore's writers of documentation, except for the names that clients import."""
    for path in docs.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != "utils.py":
            path.unlink()
    (docs / "__init__.py").write_text("", encoding="utf-8")
    (docs / "docstring.py").write_text(UNWRITTEN_DOCSTRINGS, encoding="utf-8")


def _import_lazily(init: Path) -> None:
    """Rewrite the *init* of a package that only imports names from its modules."""
    modules = {}
    for statement in ast.parse(init.read_text(encoding="utf-8")).body:
        if isinstance(statement, ast.ImportFrom):
            module = "." * statement.level + str(statement.module)
            modules |= {alias.name: module for alias in statement.names}
        elif not _is_docstring_or_all(statement):
            sys.exit(f"{init}, line {statement.lineno}: more than imports. Do not make it lazy.")
    init.write_text(LAZY_MODULE.format(modules=modules), encoding="utf-8")


def _is_docstring_or_all(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) or (
        isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "__all__"
    )


if __name__ == "__main__":
    trim(Path(sys.argv[1]), set(sys.argv[2:]))
