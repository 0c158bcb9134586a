"""Import a built function and print the result, for `tests/template/test_build.py`."""

from __future__ import annotations

import gc
import json
import sys

import app  # type: ignore[import-not-found] # on the path of this process alone


def main() -> None:
    """Print the cached objects, the number of item types, the hooks, and the modules."""
    made = [
        name
        for part in (app, sys.modules.get("conversations.contract.bodies"))
        for name, value in vars(part or object).items()
        if hasattr(value, "cache_info") and value.cache_info().currsize
    ]
    members = [each for each in gc.get_objects() if type(each).__name__ == "LazyMember"]
    built = sum("adapter" in vars(member) for member in members)
    hooks = sys.modules.get("snapshot_restore_py")
    seeds = hooks and [hook[0].__name__ for hook in hooks.get_after_restore()]
    print(json.dumps([made, built, seeds, [*sys.modules]]))  # noqa: T201 - what the test reads


if __name__ == "__main__":
    main()
