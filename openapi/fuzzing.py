"""`python -m openapi.fuzzing`: schemathesis against the local stack, by each of the documents."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from conversations.auth.api_keys import ApiKeys
from local.stack import LocalStack
from openapi.dialects import FACES

if TYPE_CHECKING:
    from openapi.dialects import Face

ROOT: Final = Path(__file__).parents[1]
SEED: Final = 1


def command(url: str, face: Face, *options: str) -> list[str]:
    """What tries the service at *url*; the settings are those of `schemathesis.toml`."""
    program = str(Path(sys.executable).with_name("schemathesis"))
    document = f"{url}{face.prefix}/openapi.json"
    return [program, "run", document, "--seed", str(SEED), *options]


def issue_key(stack: LocalStack) -> str:
    """A key that may do everything."""
    keys = ApiKeys(stack.resources.dynamodb, stack.template.name("ApiKeysTable"))
    with stack.engine.turn:
        return keys.create(account="fuzzing", name="fuzzing", may_delegate=True)[0]


def main(options: list[str]) -> int:
    """Try both faces with all of schemathesis' phases; the exit status of the first that fails."""
    quiet = {"POWERTOOLS_LOG_LEVEL": "CRITICAL"}
    # On MiniStack, because moto slows down with every row.
    with (
        TemporaryDirectory() as data,
        LocalStack.start(engine="ministack", data=Path(data), overrides=quiet) as stack,
    ):
        environment = {**os.environ, "API_KEY": issue_key(stack)}
        for face in FACES:
            run = subprocess.run(  # noqa: S603 - our own command
                command(stack.url, face, *options), cwd=ROOT, env=environment, check=False
            )
            if run.returncode:
                return run.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
