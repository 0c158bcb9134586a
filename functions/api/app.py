"""The API function: each route is a few lines over the store, each error one envelope."""

from __future__ import annotations

import functools
import json
import os
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response, content_types
from botocore.config import Config
from botocore.exceptions import ClientError

from conversations.contract.items import parse_batch
from conversations.contract.models import parse_create, parse_deletion, parse_update
from conversations.cors import answer_headers
from conversations.errors import (
    ApiError,
    InvalidRequestError,
    OverloadedError,
    RouteNotFoundError,
    ServerError,
)
from conversations.payloads import PayloadBucket
from conversations.requests import PREFIXES, Request
from conversations.store import Store
from conversations.transactions import THROTTLED, Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aws_lambda_powertools.event_handler.middlewares import NextMiddleware
    from aws_lambda_powertools.utilities.typing import LambdaContext
    from mypy_boto3_dynamodb.client import DynamoDBClient
    from mypy_boto3_s3.client import S3Client

    from conversations.rows import Conversation, StoredItem
    from conversations.views import View

CONVERSATIONS = "/conversations"
CONVERSATION = f"{CONVERSATIONS}/<conversation_id>"
ITEMS = f"{CONVERSATION}/items"
ITEM = f"{ITEMS}/<item_id>"
DOCUMENT = "/openapi.json"
MAX_PAGE_ITEMS = 100
MAX_PAGE_CONVERSATIONS = 50
AWS_CLIENT = Config(
    connect_timeout=1,
    read_timeout=2,
    retries={"mode": "standard", "total_max_attempts": 2},
    parameter_validation=False,
    user_agent="lambda-conversations",
)
"""Two full time-outs and the store's own retries fit into the function's time-out."""

app = APIGatewayRestResolver(strip_prefixes=[*PREFIXES])
logger = Logger()


@functools.cache
def store() -> Store:
    """The store of this execution environment, made by its first request."""
    executor = ThreadPoolExecutor(max_workers=8)
    bucket = PayloadBucket(
        os.environ["PAYLOAD_BUCKET"], _s3, executor, int(os.environ["SPILL_BYTES"])
    )
    table = Table(_dynamodb(), os.environ["CONVERSATIONS_TABLE"])
    return Store(table, bucket, executor, int(os.environ["RETENTION_DAYS"]))


def request() -> Request:
    """The request that is being answered."""
    return Request(app.current_event)


def check_ids(resolver: APIGatewayRestResolver, route: NextMiddleware) -> Response[str]:
    """Refuse ids of odd characters in the path, before any route."""
    request().check_ids()
    return route(resolver)


app.use([check_ids])


@app.post(CONVERSATIONS)
def create_conversation() -> Response[str]:
    """Make a conversation, with up to 20 items to begin with."""
    body = request().body()
    created = parse_create(body)
    conversation = store().create_conversation(
        request().owner(),
        created.get("items") or [],
        created.get("metadata") or {},
        request().delivery(body),
    )
    return _json(_conversation_json(conversation))


@app.get(CONVERSATIONS)
def list_conversations() -> Response[str]:
    """A page of the caller's conversations, by their last change."""
    page = store().list_conversations(
        request().owner(),
        after=request().after(),
        limit=request().limit(MAX_PAGE_CONVERSATIONS),
        order=request().order(),
        metadata=request().metadata_filter(),
    )
    entries = [_conversation_json(conversation) for conversation in page.entries]
    first_id = page.entries[0].conversation_id if page.entries else ""
    return _json(_list_json(entries, first_id, page.cursor, has_more=page.has_more))


@app.get(CONVERSATION)
def get_conversation(conversation_id: str) -> Response[str]:
    """Read a conversation without its items."""
    conversation = store().get_conversation(request().owner(), conversation_id)
    return _json(_conversation_json(conversation))


@app.post(CONVERSATION)
def update_conversation(conversation_id: str) -> Response[str]:
    """Merge pairs into a conversation's metadata; null removes one."""
    changes = parse_update(request().body())["metadata"] or {}
    conversation = store().update_metadata(request().owner(), conversation_id, changes)
    return _json(_conversation_json(conversation))


@app.delete(CONVERSATION)
def delete_conversation(conversation_id: str) -> Response[str]:
    """End a conversation, at once and for everybody."""
    store().delete_conversation(request().owner(), conversation_id)
    answer = {"id": conversation_id, "object": "conversation.deleted", "deleted": True}
    return _json(json.dumps(answer))


@app.post(ITEMS)
def append_items(conversation_id: str) -> Response[str]:
    """Append a batch of 1..20 items, all or none, in their order."""
    body = request().body()
    batch = parse_batch(body)
    view = request().view(batch.get("include"))
    appended = store().append_items(
        request().owner(), conversation_id, batch["items"], request().delivery(body)
    )
    return _json(_items_json(appended, view, has_more=False))


@app.get(ITEMS)
def list_items(conversation_id: str) -> Response[str]:
    """A page of items, in the order they were appended or the reverse."""
    view = request().view()
    page = store().list_items(
        request().owner(),
        conversation_id,
        after=request().after(),
        limit=request().limit(MAX_PAGE_ITEMS),
        order=request().order(),
    )
    return _json(_items_json(page.entries, view, has_more=page.has_more))


@app.delete(ITEMS)
def delete_items(conversation_id: str) -> Response[str]:
    """Delete 1..100 items, or none if one of them is not there."""
    conversation = store().delete_items(
        request().owner(), conversation_id, parse_deletion(request().body()), param="item_ids[{}]"
    )
    return _json(_conversation_json(conversation))


@app.get(ITEM)
def get_item(conversation_id: str, item_id: str) -> Response[str]:
    """Read one item."""
    view = request().view()
    item = store().get_item(request().owner(), conversation_id, item_id)
    return _json(view.show(item.json))


@app.delete(ITEM)
def delete_item(conversation_id: str, item_id: str) -> Response[str]:
    """Delete one item."""
    conversation = store().delete_items(
        request().owner(), conversation_id, [item_id], param="item_id"
    )
    return _json(_conversation_json(conversation))


@app.get(DOCUMENT)
def send_document() -> Response[str]:
    """This description of the API, for whoever asks."""
    return _json(_document("openai.json" if request().is_openai else "mka1.json"))


def unknown_route(_: Exception) -> Response[str]:
    """Answer for a path that no route matches.

    API Gateway refuses unknown routes itself, so what arrives is an id of odd characters.
    """
    event = app.current_event
    try:
        request().check_ids()
    except InvalidRequestError as error:
        return refuse(error)
    return refuse(RouteNotFoundError(f"There is no route {event.http_method} {event.path}."))


def refuse(error: ApiError) -> Response[str]:
    """Tell the client what it did, in the one envelope."""
    return _json(json.dumps(error.envelope()), error.kind.statuses[0], dict(error.kind.headers))


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
    """Answer one REST proxy event of API Gateway, which leaves the body of a HEAD's answer out."""
    started = time.perf_counter()
    is_head = event["httpMethod"] == "HEAD"
    answer = app.resolve({**event, "httpMethod": "GET"} if is_head else event, context)
    request_id = event["requestContext"]["requestId"]
    origin = app.current_event.headers.get("Origin")
    headers = {"x-request-id": request_id, **answer_headers(os.environ["CORS_ORIGINS"], origin)}
    answer["multiValueHeaders"] |= {name: [value] for name, value in headers.items()}
    logger.info(
        "request",
        request_id=request_id,
        key_id=event["requestContext"].get("authorizer", {}).get("key_id"),
        route=f"{event['httpMethod']} {event['resource']}",
        status=answer["statusCode"],
        duration_ms=round(1000 * (time.perf_counter() - started), 1),
    )
    return answer


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


def _items_json(page: Sequence[StoredItem], view: View, *, has_more: bool) -> str:
    """A page of items: where the view is what is kept, joined and not encoded again."""
    ends = (page[0].cursor, page[-1].cursor) if page else ("", "")
    return _list_json([view.show(item.json) for item in page], *ends, has_more=has_more)


def _list_json(entries: Sequence[str], first_id: str, last_id: str, *, has_more: bool) -> str:
    return (
        f'{{"object":"list","data":[{",".join(entries)}],'
        f'"first_id":"{first_id}","last_id":"{last_id}","has_more":{json.dumps(has_more)}}}'
    )


@functools.cache
def _document(name: str) -> str:
    return (Path(__file__).parent / "openapi" / name).read_text(encoding="utf-8")


def _json(body: str, status: int = 200, headers: dict[str, str] | None = None) -> Response[str]:
    return Response(status, content_types.APPLICATION_JSON, body, headers)


def _dynamodb() -> DynamoDBClient:
    return boto3.client("dynamodb", config=AWS_CLIENT)


@functools.cache
def _s3() -> S3Client:
    return boto3.client("s3", config=AWS_CLIENT)
