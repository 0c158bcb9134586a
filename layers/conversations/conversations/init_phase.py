"""Preparation in Lambda's init phase, in which a function has a full CPU and no request waits."""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def prepare(
    for_requests: Sequence[Callable[[], object]], for_snapshot: Sequence[Callable[[], object]] = ()
) -> None:
    """Call *for_requests* while Lambda loads a function; outside of Lambda, do nothing.

    Before a snapshot (SnapStart), call *for_snapshot* too, which only some requests need.
    Environments that are restored from one snapshot must not draw the same random numbers, so
    `random`, from which botocore takes its retry delays, is seeded again after each restore. A
    snapshot contains no connection, because making a client opens none.
    """
    initialization_type = os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE")
    if initialization_type is None:
        return
    for make in for_requests:
        make()
    if initialization_type == "snap-start":
        from snapshot_restore_py import (  # noqa: PLC0415 - only Lambda's runtime has it
            register_after_restore,
        )

        for make in for_snapshot:
            make()
        register_after_restore(random.seed)
