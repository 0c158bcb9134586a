"""Hooks of schemathesis for rules that a schema cannot express; `schemathesis.toml` loads them.

A schema describes one request, not those before it. All errors share one schema, which does not
list the codes of each status.
"""

from __future__ import annotations

import itertools
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import schemathesis
from schemathesis.openapi.checks import RejectedPositiveData, UnsupportedMethodResponse

if TYPE_CHECKING:
    from schemathesis import Case, CheckContext, HookContext, Response
    from schemathesis.core.failures import Failure

_MAX_KEY_LENGTH: Final = 240
_DEPENDS_ON_STATE: Final = {"item_already_in_conversation", "idempotency_key_reused"}
_NOT_IN_SCHEMA: Final = ("is also the id of another item in this request", "at most 16 pairs")

_COUNT: Final = itertools.count()


@schemathesis.hook
def before_call(_: HookContext, case: Case[Any], __: dict[str, Any]) -> None:
    """Make the Idempotency-Key of each valid request unique.

    schemathesis draws few keys, and a second request under one key would be a replay or a 422.
    """
    is_valid = case.meta is not None and case.meta.generation.mode.is_positive
    key = case.headers.get("Idempotency-Key", "")
    if is_valid and 0 < len(key) < _MAX_KEY_LENGTH:
        case.headers["Idempotency-Key"] = f"{key}-{next(_COUNT)}"


@schemathesis.hook
def filter_failure(_: HookContext, failure: Failure, case: Case[Any], response: Response) -> bool:  # noqa: ARG001 - its signature
    """Return whether a failure counts."""
    match failure:
        case RejectedPositiveData():
            error: dict[str, Any] = response.json()["error"]
            return error["code"] not in _DEPENDS_ON_STATE and not any(
                text in error["message"] for text in _NOT_IN_SCHEMA
            )
        case UnsupportedMethodResponse():
            # API Gateway returns the same error for an unknown path and an unknown method.
            return bool(response.json()["error"]["code"] != "route_not_found")
    return True


@schemathesis.check
def error_code_conformance(_: CheckContext, response: Response, case: Case[Any]) -> None:
    """Check that the document lists the code of an error under its status.

    Other checks cover undocumented statuses and methods.
    """
    is_described = case.method.upper() == case.operation.method.upper()
    described = case.operation.definition.raw["responses"].get(str(response.status_code))
    if is_described and described and response.status_code >= HTTPStatus.BAD_REQUEST:
        codes = described["content"]["application/json"]["examples"]
        code = response.json()["error"]["code"]
        if code not in codes:
            raise AssertionError(f"`{code}` is not among the codes of a {response.status_code}")
