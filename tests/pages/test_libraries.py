"""The console's libraries are what npm has at the locked versions."""

from __future__ import annotations

import json

import pytest

from tests.support.paths import ROOT

LIBRARIES = ROOT / "functions/pages/console/libraries"
MODULES = ROOT / ".tools/console-libraries/node_modules"
COPIES = {
    "markdown-it.umd.min.js": "markdown-it/dist/browser/markdown-it.umd.min.js",
    "purify.min.js": "dompurify/dist/purify.min.js",
}


@pytest.mark.skipif(not MODULES.exists(), reason="The libraries are not installed: it needs npm.")
@pytest.mark.parametrize("name", COPIES)
def test_a_library_is_the_one_of_the_lock(name: str) -> None:
    assert (LIBRARIES / name).read_bytes() == (MODULES / COPIES[name]).read_bytes()


def test_every_package_that_is_shipped_has_its_licence() -> None:
    lock = json.loads((ROOT / "tools/console-libraries/package-lock.json").read_text())
    packages = {name.rpartition("node_modules/")[2] for name in lock["packages"] if name}

    licensed = {path.name.removesuffix(".LICENSE.txt") for path in LIBRARIES.glob("*.txt")}

    # argparse is for markdown-it's command line, and types are for TypeScript.
    assert licensed == packages - {"argparse", "@types/trusted-types"}
