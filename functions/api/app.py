"""The API function: each route is a few lines over the store, each error one envelope."""

from __future__ import annotations

import base64
import functools
import json
import os
import re
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, cast, get_args

import boto3
from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response, content_types
from botocore.config import Config
from botocore.exceptions import ClientError

from conversations import ids
from conversations.contract.items import parse_batch
from conversations.contract.models import parse_create
from conversations.errors import (
    ApiError,
    DelegationNotAllowedError,
    InvalidRequestError,
    OverloadedError,
    RequestTooLargeError,
    RouteNotFoundError,
    ServerError,
)
from conversations.payloads import PayloadBucket
from conversations.store import Order, Store
from conversations.transactions import THROTTLED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aws_lambda_powertools.utilities.typing import LambdaContext
    from mypy_boto3_dynamodb.client import DynamoDBClient
    from mypy_boto3_s3.client import S3Client

    from conversations.rows import Conversation, StoredItem

PREFIX = "/api/v1/llm"
MAX_BODY_BYTES = 6 * 1024 * 1024
"""What Lambda takes in one synchronous invocation; API Gateway lets 10 MB through to it."""
MAX_PAGE_ITEMS = 100
DEFAULT_PAGE_ITEMS = 20
END_USER_PATTERN = r"[ -~]{1,256}"
AWS_CLIENT = Config(
    connect_timeout=1,
    read_timeout=2,
    retries={"mode": "standard", "total_max_attempts": 2},
    parameter_validation=False,
)
"""Two full time-outs and the store's own retries fit into the function's time-out."""

app = APIGatewayRestResolver()
logger = Logger()


@functools.cache
def store() -> Store:
    """The store of this execution environment, made by its first request."""
    executor = ThreadPoolExecutor(max_workers=8)
    bucket = PayloadBucket(os.environ["PAYLOAD_BUCKET"], _s3, executor)
    return Store(_dynamodb(), os.environ["CONVERSATIONS_TABLE"], bucket, executor)


@app.post(f"{PREFIX}/conversations")
def create_conversation() -> Response[str]:
    """Make a conversation, with up to 20 items to begin with."""
    body = parse_create(_body())
    conversation = store().create_conversation(
        _owner(), body.get("items") or [], body.get("metadata") or {}
    )
    return _json(_conversation_json(conversation))


@app.get(f"{PREFIX}/conversations/<conversation_id>")
def get_conversation(conversation_id: str) -> Response[str]:
    """Read a conversation without its items."""
    conversation = store().get_conversation(_owner(), _path_id("conversation_id", conversation_id))
    return _json(_conversation_json(conversation))


@app.post(f"{PREFIX}/conversations/<conversation_id>/items")
def append_items(conversation_id: str) -> Response[str]:
    """Append a batch of 1..20 items, all or none, in their order."""
    conversation_id = _path_id("conversation_id", conversation_id)
    batch = parse_batch(_body())
    return _json(_page_json(store().append_items(_owner(), conversation_id, batch["items"])))


@app.get(f"{PREFIX}/conversations/<conversation_id>/items")
def list_items(conversation_id: str) -> Response[str]:
    """A page of items, in the order they were appended or the reverse."""
    page = store().list_items(
        _owner(),
        _path_id("conversation_id", conversation_id),
        after=_after(),
        limit=_limit(),
        order=_order(),
    )
    return _json(_page_json(page.items, has_more=page.has_more))


@app.get(f"{PREFIX}/conversations/<conversation_id>/items/<item_id>")
def get_item(conversation_id: str, item_id: str) -> Response[str]:
    """Read one item."""
    item = store().get_item(
        _owner(), _path_id("conversation_id", conversation_id), _path_id("item_id", item_id)
    )
    return _json(item.json)


def unknown_route(_: Exception) -> Response[str]:
    """Answer for a path that no route matches.

    API Gateway refuses unknown routes itself, so what arrives is an id of odd characters.
    """
    event = app.current_event
    try:
        for name, value in event.path_parameters.items():
            _path_id(name, value)
    except InvalidRequestError as error:
        return refuse(error)
    return refuse(RouteNotFoundError(f"There is no route {event.http_method} {event.path}."))


def refuse(error: ApiError) -> Response[str]:
    """Tell the client what it did, in the one envelope."""
    return _json(json.dumps(error.envelope()), error.status, dict(error.headers))


def fail(error: Exception) -> Response[str]:
    """Tell the client that it was not its fault, and the log where: never what it was about."""
    code = error.response["Error"]["Code"] if isinstance(error, ClientError) else None
    if code in THROTTLED:
        return refuse(OverloadedError("The service is asked too much. Send the request again."))
    logger.error(
        "request failed",
        error=type(error).__name__,
        code=code,
        frames=traceback.format_tb(error.__traceback__),
    )
    return refuse(ServerError("The service failed. It was not your request."))


app.not_found(unknown_route)
app.exception_handler(ApiError)(refuse)
app.exception_handler(Exception)(fail)


def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one REST proxy event of API Gateway."""
    started = time.perf_counter()
    answer = app.resolve(event, context)
    request_id = event["requestContext"]["requestId"]
    answer["multiValueHeaders"]["x-request-id"] = [request_id]
    logger.info(
        "request",
        request_id=request_id,
        key_id=event["requestContext"]["authorizer"]["key_id"],
        route=f"{event['httpMethod']} {event['resource']}",
        status=answer["statusCode"],
        duration_ms=round(1000 * (time.perf_counter() - started), 1),
    )
    return answer


def _owner() -> str:
    """Who the request is for: the key's account, or the end user that it speaks for."""
    event = app.current_event
    authorizer = event["requestContext"]["authorizer"]
    end_user = event.headers.get("X-On-Behalf-Of")
    if end_user is None:
        return ids.owner_of(authorizer["account"], "")
    if not re.fullmatch(END_USER_PATTERN, end_user):
        raise InvalidRequestError(
            "X-On-Behalf-Of is 1 to 256 printable characters.",
            code="invalid_value",
            param="X-On-Behalf-Of",
        )
    if authorizer["may_delegate"] != "true":
        raise DelegationNotAllowedError(
            "This key may not act on behalf of end users.", param="X-On-Behalf-Of"
        )
    return ids.owner_of(authorizer["account"], end_user)


def _body() -> bytes:
    event = app.current_event
    text = event.body or ""
    body = base64.b64decode(text) if event.is_base64_encoded else text.encode()
    if len(body) > MAX_BODY_BYTES:
        raise RequestTooLargeError(
            f"The body of {len(body)} bytes is over the limit of {MAX_BODY_BYTES} bytes."
        )
    return body


def _path_id(name: str, value: str) -> str:
    if not ids.is_id(value):
        raise InvalidRequestError(
            f"{name} '{value[:100]}' is not 1 to 64 characters of A-Z, a-z, 0-9, '_' and '-'.",
            code="invalid_value",
            param=name,
        )
    return value


def _after() -> str | None:
    after = app.current_event.query_string_parameters.get("after")
    return None if after is None else _path_id("after", after)


def _limit() -> int:
    text = app.current_event.query_string_parameters.get("limit", str(DEFAULT_PAGE_ITEMS))
    if not re.fullmatch(r"[0-9]{1,9}", text) or not 1 <= int(text) <= MAX_PAGE_ITEMS:
        raise InvalidRequestError(
            f"limit '{text[:100]}' is not a whole number from 1 to {MAX_PAGE_ITEMS}.",
            code="invalid_value",
            param="limit",
        )
    return int(text)


def _order() -> Order:
    order = app.current_event.query_string_parameters.get("order", "asc")
    if order not in get_args(Order.__value__):
        raise InvalidRequestError(
            f"order '{order[:100]}' is neither 'asc' nor 'desc'.",
            code="invalid_value",
            param="order",
        )
    return cast("Order", order)


def _conversation_json(conversation: Conversation) -> str:
    return json.dumps(
        {
            "id": conversation.conversation_id,
            "object": "conversation",
            "created_at": conversation.created_at // 1000,
            "deleted_at": None,
            "metadata": conversation.metadata,
            "identity": conversation.owner,
        }
    )


def _page_json(page: Sequence[StoredItem], *, has_more: bool = False) -> str:
    """A list as the clients read it: items are joined as they are kept, not encoded again."""
    first, last = (page[0].cursor, page[-1].cursor) if page else ("", "")
    return (
        f'{{"object":"list","data":[{",".join(item.json for item in page)}],'
        f'"first_id":"{first}","last_id":"{last}","has_more":{json.dumps(has_more)}}}'
    )


def _json(body: str, status: int = 200, headers: dict[str, str] | None = None) -> Response[str]:
    return Response(status, content_types.APPLICATION_JSON, body, headers)


def _dynamodb() -> DynamoDBClient:
    return boto3.client("dynamodb", config=AWS_CLIENT)


@functools.cache
def _s3() -> S3Client:
    return boto3.client("s3", config=AWS_CLIENT)
