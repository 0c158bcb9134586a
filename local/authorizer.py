"""The TOKEN authorizer: who asks it, what it may answer, how long the answer holds."""

import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from local.events import Request, method_arn, token_event
from local.functions import UNAUTHORIZED, FunctionError
from local.intrinsics import Json, JsonObject
from local.responses import GatewayError
from local.template import Api, Authorizer

type Invoke = Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True)
class CachedPolicy:
    """What the function said of a token: for which calls it is good, and the caller's context."""

    context: JsonObject
    statements: tuple[JsonObject, ...]

    def allows(self, arn: str) -> bool:
        """As IAM evaluates: a matching Deny wins, then a matching Allow, else no."""
        effects = {
            statement.get("Effect") for statement in self.statements if _applies(statement, arn)
        }
        return "Allow" in effects and "Deny" not in effects


class TokenAuthorizer:
    """One authorizer of the API with its cache.

    As AWS does, the cache is per token and for the whole stage, so a policy that names only the
    method it was asked for locks the token out of the others until the entry has run out. What
    is not a policy (an error, "Unauthorized") is not kept.
    """

    def __init__(
        self,
        definition: Authorizer,
        invoke: Invoke,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._definition = definition
        self._invoke = invoke
        self._clock = clock
        self._cache: dict[str, tuple[float, CachedPolicy]] = {}

    def authorize(self, request: Request, api: Api) -> JsonObject:
        """The context that the request's token brings with it.

        Raises:
            GatewayError: UNAUTHORIZED, ACCESS_DENIED, AUTHORIZER_FAILURE (the function failed) or
                AUTHORIZER_CONFIGURATION_ERROR (its answer is not one).
        """
        token = request.header(self._definition.header)
        if not token or not self._is_plausible(token):
            raise GatewayError("UNAUTHORIZED")
        arn = method_arn(request, api)
        verdict = self._cached(token) or self._asked(token, arn)
        if not verdict.allows(arn):
            raise GatewayError("ACCESS_DENIED")
        return verdict.context

    def clear_cache(self) -> None:
        """Empty the cache, as a new deployment of the stage does."""
        self._cache.clear()

    def _is_plausible(self, token: str) -> bool:
        validation = self._definition.validation
        return validation is None or validation.fullmatch(token) is not None

    def _cached(self, token: str) -> CachedPolicy | None:
        expires, verdict = self._cache.get(token, (0.0, None))
        return verdict if self._clock() < expires else None

    def _asked(self, token: str, arn: str) -> CachedPolicy:
        started = self._clock()
        try:
            answer = self._invoke(json.dumps(token_event(token, arn)).encode())
        except FunctionError as error:
            is_refusal = error.message == UNAUTHORIZED
            raise GatewayError("UNAUTHORIZED" if is_refusal else "AUTHORIZER_FAILURE") from error
        latency_ms = int((self._clock() - started) * 1000)
        verdict = _policy_of(json.loads(answer), latency_ms)
        if self._definition.ttl_seconds:
            self._cache[token] = (self._clock() + self._definition.ttl_seconds, verdict)
        return verdict


def _policy_of(answer: Json, latency_ms: int) -> CachedPolicy:
    match answer:
        case {
            "principalId": str(principal),
            "policyDocument": {"Statement": list(statements)},
            **others,
        }:
            given = others.get("context") or {}
        case _:
            raise GatewayError("AUTHORIZER_CONFIGURATION_ERROR")
    if not isinstance(given, dict) or any(isinstance(v, dict | list) for v in given.values()):
        raise GatewayError("AUTHORIZER_CONFIGURATION_ERROR")
    context: JsonObject = {name: _as_text(value) for name, value in given.items()}
    return CachedPolicy(
        {**context, "principalId": principal, "integrationLatency": latency_ms},
        tuple(statement for statement in statements if isinstance(statement, dict)),
    )


def _as_text(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _applies(statement: JsonObject, arn: str) -> bool:
    return any(_matches(p, "execute-api:Invoke") for p in _patterns(statement, "Action")) and any(
        _matches(p, arn) for p in _patterns(statement, "Resource")
    )


def _patterns(statement: JsonObject, key: str) -> Iterator[str]:
    given = statement.get(key)
    yield from (str(pattern) for pattern in (given if isinstance(given, list) else [given]))


def _matches(pattern: str, text: str) -> bool:
    """IAM's wildcards: `*` is any run of characters, slashes too, and `?` is one."""
    wild = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(wild, text, re.DOTALL) is not None
