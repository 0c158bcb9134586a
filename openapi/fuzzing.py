"""Command `python -m openapi.fuzzing`, which runs schemathesis with each document."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from conversations.auth.api_keys import ApiKeyRepository
from conversations.http.dialects import DIALECTS
from local.stack import DevStack

if TYPE_CHECKING:
    from conversations.http.dialects import Dialect

ROOT: Final = Path(__file__).parents[1]
SEED: Final = 1


def command(url: str, dialect: Dialect, *options: str) -> list[str]:
    """Return the command that tests the service at *url*, as `schemathesis.toml` says."""
    program = str(Path(sys.executable).with_name("schemathesis"))
    document = f"{url}{dialect.prefix}/openapi.json"
    return [program, "run", document, "--seed", str(SEED), *options]


def issue_key(stack: DevStack) -> str:
    """Create a key with every scope and with delegation."""
    keys = ApiKeyRepository(stack.resources.dynamodb, stack.template.name("ApiKeysTable"))
    with stack.engine.lock:
        return keys.create(account="fuzzing", name="fuzzing", may_delegate=True)[0]


def main(options: list[str]) -> int:
    """Run schemathesis on both dialects; return the exit status of the first that fails."""
    quiet = {"POWERTOOLS_LOG_LEVEL": "CRITICAL"}
    # MiniStack, because moto becomes slower with every row.
    with (
        TemporaryDirectory() as data,
        DevStack.start(engine="ministack", data=Path(data), overrides=quiet) as stack,
    ):
        environment = {**os.environ, "API_KEY": issue_key(stack)}
        for dialect in DIALECTS:
            run = subprocess.run(  # noqa: S603 - our own command
                command(stack.url, dialect, *options), cwd=ROOT, env=environment, check=False
            )
            if run.returncode:
                return run.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
