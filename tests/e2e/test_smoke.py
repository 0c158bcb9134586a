"""`make smoke` against the deployed stack, as its operator runs it."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING

from tests.support.paths import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.stacks import Stack

NOT_IN_MINISTACK = {"CORS", "compression", "document", "keys", "scopes", "unknown routes"}
"""Features that MiniStack's gateway lacks: codings, gateway responses, the host of a stack."""


def test_smoke_finds_only_what_the_emulator_lacks(
    stack: Stack, key_with: Callable[..., str]
) -> None:
    keys = {"KEY": key_with("--delegate"), "READ_KEY": key_with("--scope", "read")}
    arguments = f"--json --header X-Api-Key:{stack.usage_key}"

    done = subprocess.run(  # noqa: S603 - our own command
        ["/usr/bin/env", "make", "smoke", f"URL={stack.url}", f"ARGS={arguments}"],
        cwd=ROOT,
        env={**os.environ, **keys, "SSL_CERT_FILE": os.environ["AWS_CA_BUNDLE"]},
        capture_output=True,
        text=True,
        check=False,
    )

    report = json.loads(done.stdout.splitlines()[-1])
    failed = {
        each["check"]: each["detail"] for each in report["checks"] if each["outcome"] == "failed"
    }
    assert failed.keys() == NOT_IN_MINISTACK, failed
    assert report["passed"] > 20
    assert done.returncode != 0
