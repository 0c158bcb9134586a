"""Commands of `docs/operations.md`, run as they stand on a deployed stack."""

from __future__ import annotations

import re
import shutil
import sys
import textwrap
from typing import TYPE_CHECKING

import pytest

from tests.e2e.cloud import CLI
from tests.support.paths import DOCS, ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.stacks import Stack

PAGE = (DOCS / "operations.md").read_text(encoding="utf-8")
NEEDS_JQ = pytest.mark.skipif(shutil.which("jq") is None, reason="there is no jq on this machine")
EXAMPLE = "lambda-conversations-prod"
"""Name of the stack on the page."""


def block(title: str, start: str) -> str:
    """Return the block of commands of a chapter that contains *start*, from there to its end."""
    [chapter] = re.findall(rf"^##+ {title}\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    found = re.findall(r"\n\n((?: {4,}.+\n)+)", chapter)
    [text] = [text for each in found if start in (text := textwrap.dedent(each))]
    return text[text.index(start) :]


def run(stack: Stack, folder: Path, *commands: str, **placeholders: str) -> str:
    """Run commands of the page in one shell, in *folder*, and return what they print."""
    aws = folder / "aws"
    aws.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m tests.support.aws_cli "$@"\n')
    aws.chmod(0o700)
    script = "".join((block("Before you start", "export STACK"), *commands))
    for name, value in {EXAMPLE: stack.name, **placeholders}.items():
        script = re.sub(rf"\b{name}\b", value, script)
    path = f'export PATH="{folder}:{CLI.parent}:$PATH" PYTHONPATH="{ROOT}"\n'
    return stack.cloud.run("bash", "-eo", "pipefail", "-c", path + script, cwd=folder)
