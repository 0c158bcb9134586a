"""TOKEN authorizers and their cache of policies."""

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
    """Policy that the function returned for a token, with the caller's context."""

    context: JsonObject
    statements: tuple[JsonObject, ...]

    def allows(self, arn: str) -> bool:
        """Return whether the policy allows an ARN: a Deny wins over an Allow; the default is no."""
        effects = {
            statement.get("Effect") for statement in self.statements if _applies(statement, arn)
        }
        return "Allow" in effects and "Deny" not in effects


class TokenAuthorizer:
    """One authorizer of the API with its cache.

    As on AWS, one entry per token serves the whole stage: a policy that names only the requested
    method denies all others to that token until the entry expires. Errors and "Unauthorized" are
    not cached.
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
        """Return the context of the request's token.

        Raises:
            GatewayError: UNAUTHORIZED, ACCESS_DENIED, AUTHORIZER_FAILURE (the function failed) or
                AUTHORIZER_CONFIGURATION_ERROR (its response is not a policy).
        """
        token = request.header(self._definition.header)
        if not token or not self._is_plausible(token):
            raise GatewayError("UNAUTHORIZED")
        arn = method_arn(request, api)
        policy = self._cached(token) or self._evaluate(token, arn)
        if not policy.allows(arn):
            raise GatewayError("ACCESS_DENIED")
        return policy.context

    def clear_cache(self) -> None:
        """Empty the cache, as a new deployment of the stage does."""
        self._cache.clear()

    def _is_plausible(self, token: str) -> bool:
        validation = self._definition.validation
        return validation is None or validation.fullmatch(token) is not None

    def _cached(self, token: str) -> CachedPolicy | None:
        expires, policy = self._cache.get(token, (0.0, None))
        return policy if self._clock() < expires else None

    def _evaluate(self, token: str, arn: str) -> CachedPolicy:
        started = self._clock()
        try:
            response = self._invoke(json.dumps(token_event(token, arn)).encode())
        except FunctionError as error:
            is_unauthorized = error.message == UNAUTHORIZED
            raise GatewayError(
                "UNAUTHORIZED" if is_unauthorized else "AUTHORIZER_FAILURE"
            ) from error
        latency_ms = int((self._clock() - started) * 1000)
        policy = _policy_of(json.loads(response), latency_ms)
        if self._definition.ttl_seconds:
            self._cache[token] = (self._clock() + self._definition.ttl_seconds, policy)
        return policy


def _policy_of(response: Json, latency_ms: int) -> CachedPolicy:
    match response:
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
    """Match as IAM does: `*` is any run of characters, slashes included, and `?` is one."""
    wild = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(wild, text, re.DOTALL) is not None
