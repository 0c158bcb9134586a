"""Parser of API Gateway's requests: owner, parameters, headers and body."""

from __future__ import annotations

import base64
import functools
import json
import re
from typing import TYPE_CHECKING, Any, cast, get_args

from conversations import ids
from conversations.contract.bodies import parse_filter
from conversations.errors import (
    DelegationNotAllowedError,
    InvalidRequestError,
    RequestTooLargeError,
)
from conversations.http.dialects import MKA1, OPENAI
from conversations.http.misspellings import reject_misspelt
from conversations.http.rendering import INCLUDABLE_FIELDS, ItemRenderer
from conversations.model import IdempotencyInfo, Order
from conversations.telemetry import RequestStats

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEvent

MAX_BODY_BYTES = 6 * 1024 * 1024
"""Limit of Lambda for one synchronous invocation; API Gateway's own limit is 10 MB."""
MAX_END_USER_LENGTH = 256
MAX_IDEMPOTENCY_KEY_LENGTH = 255
END_USER_PATTERN = rf"[ -~]{{1,{MAX_END_USER_LENGTH}}}"
IDEMPOTENCY_KEY_PATTERN = rf"[ -~]{{1,{MAX_IDEMPOTENCY_KEY_LENGTH}}}"
LISTING_PARAMETERS = frozenset({"after", "limit", "order", "metadata", "search"})
"""Parameters of a list of conversations; every other name in its query is a pair of metadata."""
INCLUDE_PARAMETERS = ("include", "include[]")
"""Names of `include` in the query: the mka1 SDK's and openai's. Each may be repeated, and one value
may be a list separated by commas."""
DEFAULT_LIMIT = 20
MAX_SEARCH_LENGTH = 200


class Request:
    """A request of API Gateway; each part is validated when it is read.

    An invalid value raises an `ApiError`, whose `param` is the name that the client wrote. A
    missing permission of the key raises another one.
    """

    def __init__(self, event: APIGatewayProxyEvent) -> None:
        """Take a REST proxy *event* as `normalize_event` returns it."""
        self._event = event
        is_openai = event.path.startswith(f"{OPENAI.prefix}/")
        self.dialect = OPENAI if is_openai else MKA1
        self.stats = RequestStats()
        """The statistics of the request, to which its handler and the storage add."""

    @property
    def origin(self) -> str | None:
        """The origin of the page that sent the request, if a browser sent it."""
        return self._event.headers.get("Origin")

    @property
    def root_url(self) -> str:
        """The URL that the client called, up to the prefix.

        API Gateway's own host names have the stage before the prefix, custom domains their base
        path. If a proxy replaces `Host`, this is the URL behind the proxy.
        """
        event = self._event
        scheme = event.headers.get("X-Forwarded-Proto", "https")
        host = event.headers.get("Host", event.request_context.domain_name)
        stage = f"/{event.request_context.stage}" if ".execute-api." in str(host) else ""
        return f"{scheme}://{host}{stage}{event['basePath']}"

    def check_ids(self) -> None:
        """Validate the ids in the path.

        Raises:
            InvalidRequestError: an id has a wrong form.
        """
        for name, value in self._event.path_parameters.items():
            _valid_id(name, value)

    @property
    def account(self) -> str:
        """The account of the request's key."""
        return str(self._event["requestContext"]["authorizer"]["account"])

    @functools.cached_property
    def owner(self) -> str:
        """The owner of the conversations: the account itself, or one of its end users.

        The first access validates `X-On-Behalf-Of`, and adds the owner to the log line.
        """
        self.stats.owner = owner = ids.owner_of(self.account, self._end_user() or "")
        return owner

    def _end_user(self) -> str | None:
        end_user = self._header("X-On-Behalf-Of")
        if end_user is None:
            return None
        if not re.fullmatch(END_USER_PATTERN, end_user):
            raise _invalid("X-On-Behalf-Of", end_user, "1 to 256 printable ASCII characters")
        # API Gateway passes the authorizer's values as text.
        if self._event["requestContext"]["authorizer"]["may_delegate"] != "true":
            raise DelegationNotAllowedError(
                "This API key may not act on behalf of end users. Omit the header, or use another"
                " API key.",
                param="X-On-Behalf-Of",
            )
        return end_user

    @functools.cached_property
    def body(self) -> bytes:
        """The bytes of the body; empty if there is none."""
        event = self._event
        text = event.body or ""
        body = (
            base64.b64decode(text)
            if event.is_base64_encoded
            else text.encode(errors="surrogatepass")
        )
        if len(body) > MAX_BODY_BYTES:
            raise RequestTooLargeError(
                f"The body has {len(body)} bytes. The limit is {MAX_BODY_BYTES} bytes."
            )
        return body

    @property
    def idempotency(self) -> IdempotencyInfo:
        """The properties by which a replay of this request is recognized."""
        key = self._header("Idempotency-Key")
        if key is not None and not re.fullmatch(IDEMPOTENCY_KEY_PATTERN, key):
            raise _invalid("Idempotency-Key", key, "1 to 255 printable ASCII characters")
        count = self._event.headers.get("x-stainless-retry-count", "0")
        return IdempotencyInfo.of(
            self.body, key, is_retry=re.fullmatch(r"0*[1-9][0-9]*", count) is not None
        )

    def content_type_hint(self) -> str:
        """Return a sentence for the error of a body that is not JSON, or an empty text.

        The sentence names a `Content-Type` that is not JSON.
        """
        content_type = self._event.headers.get("Content-Type", "")
        if not content_type or "json" in content_type.lower():
            return ""
        return f" The Content-Type is {content_type[:100]!r}. Send application/json."

    @property
    def after(self) -> str | None:
        """The id after which a page starts."""
        after = self._parameter("after")
        return None if after is None else _valid_id("after", after)

    @property
    def after_conversation(self) -> str | None:
        """The id, or the cursor of a search, after which a page of conversations starts."""
        after = self._parameter("after")
        if after is None or ids.is_search_cursor(after):
            return after
        return _valid_id("after", after)

    def limit(self, maximum: int) -> int:
        """Return the number of entries of a page, at most *maximum*; 20 by default."""
        text = self._parameter("limit")
        if text is None:
            return DEFAULT_LIMIT
        if not re.fullmatch(r"[0-9]{1,9}", text) or not 1 <= int(text) <= maximum:
            raise _invalid("limit", text, f"a whole number from 1 to {maximum}")
        return int(text)

    @property
    def order(self) -> Order:
        """The order of a list; the default is the dialect's."""
        order = self._parameter("order")
        if order is None:
            return self.dialect.order
        if order not in get_args(Order.__value__):
            raise _invalid("order", order, "'asc' or 'desc'")
        return cast("Order", order)

    def renderer(self, included: Sequence[str] | None = None) -> ItemRenderer:
        """Return the renderer of the dialect, with the fields that `include` selects.

        *included* is the body's `include`. Without a value in body or query, every field is
        returned. An unknown value is invalid in OpenAI's dialect and ignored in mka1's.
        """
        requested = [(f"include[{index}]", value) for index, value in enumerate(included or ())]
        query = self._event.multi_value_query_string_parameters
        requested += [
            (name, value)
            for name in INCLUDE_PARAMETERS
            for text in query.get(name, ())
            for value in text.split(",")
            if value
        ]
        for name, value in requested:
            if not self.dialect.include_is_open and value not in INCLUDABLE_FIELDS:
                raise _invalid(name, value, f"one of {', '.join(INCLUDABLE_FIELDS)}")
        known = frozenset(value for _, value in requested if value in INCLUDABLE_FIELDS)
        return ItemRenderer(self.dialect is OPENAI, known)

    @property
    def metadata_filter(self) -> dict[str, str]:
        """The pairs of metadata that a conversation must have.

        The query has them as a JSON object or, as the mka1 SDK sends a dict, one parameter each.
        """
        text = self._parameter("metadata")
        query = self._event.multi_value_query_string_parameters
        pairs = {
            name: self._parameter(name) or "" for name in query if name not in LISTING_PARAMETERS
        }
        for name in pairs:
            reject_misspelt(name, sorted(LISTING_PARAMETERS))
        parsed = {} if text is None else parse_filter(text)
        for name in (name for name in pairs if name in parsed):
            _single(name, (pairs[name], parsed[name]))
        return pairs | parsed

    @property
    def search(self) -> str | None:
        """The text to search for, with one word at least, or None."""
        text = self._parameter("search")
        if text is not None and not (text.strip() and len(text) <= MAX_SEARCH_LENGTH):
            expected = f"1 to {MAX_SEARCH_LENGTH} characters, at least one of them not a space"
            raise _invalid("search", text, expected)
        return text

    def _parameter(self, name: str) -> str | None:
        """Return the value of a parameter that may be given once, or None."""
        return _single(name, self._event.multi_value_query_string_parameters.get(name, ()))

    def _header(self, name: str) -> str | None:
        """Return the value of a header that may be given once, in any case, or None.

        Powertools' own mapping keeps only the last of several spellings.
        """
        headers: dict[str, list[str]] = self._event["multiValueHeaders"] or {}
        spellings = [spelling for spelling in headers if spelling.lower() == name.lower()]
        return _single(name, [value for spelling in spellings for value in headers[spelling]])


def normalize_event(event: dict[str, Any]) -> dict[str, Any]:
    """Return the *event* as the routes match it: HEAD is GET, and `path` has no base path.

    With a custom domain, API Gateway leaves the domain's base path in `path`; `resource` never has
    it. The result has the base path as `basePath`.
    """
    path = event["resource"].format_map(event["pathParameters"] or {})
    method = "GET" if event["httpMethod"] == "HEAD" else event["httpMethod"]
    base_path = event["path"].removesuffix(path)
    return {**event, "path": path, "basePath": base_path, "httpMethod": method}


def _single(name: str, values: Sequence[str]) -> str | None:
    if len(values) > 1:
        raise _invalid(name, ", ".join(values), "given once")
    return values[0] if values else None


def _valid_id(name: str, value: str) -> str:
    if not ids.is_id(value):
        raise _invalid(name, value, ids.ID_RULE)
    return value


def _invalid(name: str, value: str, expected: str) -> InvalidRequestError:
    shown = json.dumps(value[:100], ensure_ascii=False)
    return InvalidRequestError(
        f"{name} must be {expected}, got {shown}.", code="invalid_value", param=name
    )
