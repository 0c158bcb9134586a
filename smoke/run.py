"""Runner of the checks, in order, with their durations."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import httpx

from smoke import gateway, routes
from smoke.api import Api, CheckError, SkipError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    type Check = Callable[[Api], None]

PREFIXES = ("/api/v1/llm", "/v1")
CHECKS: dict[str, Check] = {
    "document": routes.check_document,
    "pages": routes.check_pages,
    "keys": gateway.check_keys,
    "scopes": gateway.check_scopes,
    "unknown routes": gateway.check_unknown_routes,
    "conversations": routes.check_conversations,
    "items": routes.check_items,
    "HEAD": routes.check_head,
    "batch of 20": routes.check_batch,
    "replay": routes.check_replay,
    "paging": routes.check_paging,
    "invalid bodies": gateway.check_invalid_bodies,
    "compression": gateway.check_compression,
    "CORS": gateway.check_cors,
    "end users": routes.check_end_users,
    "deletion": routes.check_deletion,
    "writers": routes.check_writers,
    "batch of 5 MB": routes.check_large_batch,
    "body limits": gateway.check_body_limits,
    "cleaning up": Api.delete_created,
}
"""Every check by its name; `docs/smoke.md` explains them."""
ONCE = {"writers", "batch of 5 MB", "body limits"}
"""Long checks that do not depend on the prefix."""


@dataclass(frozen=True, slots=True)
class Result:
    """Result of a check."""

    check: str
    prefix: str
    outcome: Literal["passed", "failed", "skipped"]
    seconds: float
    detail: str
    """Reason of the failure, or what the check needs."""


def run(api: Api) -> Iterator[Result]:
    """Run every check under each prefix; the last one deletes what they created."""
    for prefix in PREFIXES:
        for name in CHECKS:
            if name not in ONCE or prefix == PREFIXES[0]:
                yield run_check(name, replace(api, prefix=prefix))


def run_check(name: str, api: Api) -> Result:
    """Run one check."""
    started = time.monotonic()

    def result(outcome: Literal["passed", "failed", "skipped"], detail: str = "") -> Result:
        return Result(name, api.prefix, outcome, round(time.monotonic() - started, 2), detail)

    try:
        CHECKS[name](api)
    except SkipError as reason:
        return result("skipped", str(reason))
    except CheckError as error:
        return result("failed", str(error))
    except httpx.LocalProtocolError:  # its text has the header's value, which may be the key
        return result("failed", "A header cannot be sent: does the API key have a line break?")
    except (httpx.HTTPError, OSError) as error:
        return result("failed", f"No response: {type(error).__name__}: {error}")
    except (LookupError, TypeError, ValueError) as error:
        return result("failed", f"Unexpected response: {type(error).__name__}: {error}")
    return result("passed")
