from pathlib import Path

import pytest

from local import claim
from local.claim import claimed
from local.errors import FolderInUseError


def test_stack_that_neither_starts_nor_ends_is_not_waited_for_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claim, "_START_SECONDS", 0.1)
    with claimed(tmp_path) as first:
        with pytest.raises(FolderInUseError, match="an unknown address"), claimed(tmp_path):
            pass
        first.announce("http://127.0.0.1:9")
        with pytest.raises(FolderInUseError, match="at http://"), claimed(tmp_path):
            pass
        first.withdraw()

    with claimed(tmp_path):
        pass
