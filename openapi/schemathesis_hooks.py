"""What a schema cannot tell schemathesis, which loads this file by `schemathesis.toml`.

A schema says what a request looks like, and nothing of the requests before it. All errors share one
schema, which does not say which codes a status may have.
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

_ROOM: Final = 240
_OF_STATE: Final = {"item_already_in_conversation", "idempotency_key_reused"}
_UNSAYABLE: Final = ("is already the id of another item of this request", "at most 16 pairs")

_COUNT: Final = itertools.count()


@schemathesis.hook
def before_call(_: HookContext, case: Case[Any], __: dict[str, Any]) -> None:
    """Give each valid request an Idempotency-Key of its own, where it has one.

    schemathesis draws few, and the second request under one would get no further.
    """
    is_valid = case.meta is not None and case.meta.generation.mode.is_positive
    key = case.headers.get("Idempotency-Key", "")
    if is_valid and 0 < len(key) < _ROOM:
        case.headers["Idempotency-Key"] = f"{key}-{next(_COUNT)}"


@schemathesis.hook
def filter_failure(_: HookContext, failure: Failure, case: Case[Any], response: Response) -> bool:  # noqa: ARG001 - its signature
    """Whether a failure is one."""
    match failure:
        case RejectedPositiveData():
            error: dict[str, Any] = response.json()["error"]
            return error["code"] not in _OF_STATE and not any(
                text in error["message"] for text in _UNSAYABLE
            )
        case UnsupportedMethodResponse():
            # API Gateway has one answer for an unknown path and for an unknown method.
            return bool(response.json()["error"]["code"] != "route_not_found")
    return True


@schemathesis.check
def error_code_conformance(_: CheckContext, response: Response, case: Case[Any]) -> None:
    """Check that the document names the code of an error under its status.

    Other checks look at a status that the document lacks, and at a method.
    """
    is_described = case.method.upper() == case.operation.method.upper()
    described = case.operation.definition.raw["responses"].get(str(response.status_code))
    if is_described and described and response.status_code >= HTTPStatus.BAD_REQUEST:
        codes = described["content"]["application/json"]["examples"]
        code = response.json()["error"]["code"]
        if code not in codes:
            raise AssertionError(f"`{code}` is not among the codes of a {response.status_code}")
