"""Folders of the project."""

from __future__ import annotations

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
TESTS: Final = ROOT / "tests"
DOCS: Final = ROOT / "docs"
EVENTS: Final = ROOT / "events"
