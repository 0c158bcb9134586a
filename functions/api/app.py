"""The API function: each route is a few lines over the store, each error one envelope."""

from __future__ import annotations

import functools
import json
import os
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response, content_types
from botocore.exceptions import ClientError

from conversations import clients, init_phase
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
from conversations.requests import PREFIXES, Request
from conversations.storage.payloads import PayloadStore
from conversations.storage.store import Store
from conversations.storage.transactions import NO_RESPONSE, THROTTLED, Table
from conversations.tally import Tally, request_line
from conversations.views import conversation_json, items_json, list_json

if TYPE_CHECKING:
    from aws_lambda_powertools.event_handler.middlewares import NextMiddleware
    from aws_lambda_powertools.utilities.typing import LambdaContext
    from mypy_boto3_dynamodb.client import DynamoDBClient
    from mypy_boto3_s3.client import S3Client

CONVERSATIONS = "/conversations"
CONVERSATION = f"{CONVERSATIONS}/<conversation_id>"
ITEMS = f"{CONVERSATION}/items"
ITEM = f"{ITEMS}/<item_id>"
DOCUMENT = "/openapi.json"
MAX_PAGE_ITEMS = 100
MAX_PAGE_CONVERSATIONS = 50
app = APIGatewayRestResolver(strip_prefixes=[*PREFIXES])
logger = Logger()


@functools.cache
def dynamodb() -> DynamoDBClient:
    """Return the client of this execution environment."""
    client = clients.dynamodb()
    client.meta.events.register("needs-retry.dynamodb", count_resend)
    return client


@functools.cache
def payload_store() -> PayloadStore:
    """Return the bucket; its client is made for the first large batch."""
    spill_bytes = int(os.environ["SPILL_BYTES"])
    return PayloadStore(os.environ["PAYLOAD_BUCKET"], s3, executor(), spill_bytes)


@functools.cache
def s3() -> S3Client:
    """Return the client of this execution environment."""
    return clients.s3()


@functools.cache
def executor() -> ThreadPoolExecutor:
    """The threads that wait for AWS beside the request's own."""
    return ThreadPoolExecutor(max_workers=8)


def store() -> Store:
    """All conversations, as this request may see them; what it does is counted."""
    table = Table(dynamodb(), os.environ["CONVERSATIONS_TABLE"], tally())
    return Store(table, payload_store(), int(os.environ["RETENTION_DAYS"]))


def count_resend(attempts: int, **_: object) -> None:
    """Count what botocore sends again by itself."""
    tally().retries += attempts > 1


def tally() -> Tally:
    """What the request that is being answered did so far."""
    return cast("Tally", app.context["tally"])


def request() -> Request:
    """The request that is being answered."""
    return Request(app.current_event)


def owner() -> str:
    """Whose conversations it is about."""
    tally().owner = found = request().owner()
    return found


def check_ids(resolver: APIGatewayRestResolver, route: NextMiddleware) -> Response[str]:
    """Refuse ids of odd characters in the path, before any route."""
    request().check_ids()
    tally().conversation_id = app.current_event.path_parameters.get("conversation_id")
    return route(resolver)


app.use([check_ids])


@app.post(CONVERSATIONS)
def create_conversation() -> Response[str]:
    """Make a conversation, with up to 20 items to begin with."""
    body = request().body()
    created = parse_create(body)
    conversation = store().create_conversation(
        owner(),
        request().account,
        created.get("items") or [],
        created.get("metadata") or {},
        request().idempotency(body),
    )
    tally().conversation_id = conversation.conversation_id
    return _json(conversation_json(conversation))


@app.get(CONVERSATIONS)
def list_conversations() -> Response[str]:
    """A page of the caller's conversations, by their last change."""
    page = store().list_conversations(
        owner(),
        after=request().after(),
        limit=request().limit(MAX_PAGE_CONVERSATIONS),
        order=request().order(),
        metadata=request().metadata_filter(),
    )
    entries = [conversation_json(conversation) for conversation in page.entries]
    first_id = page.entries[0].conversation_id if page.entries else ""
    return _json(list_json(entries, first_id, page.cursor, has_more=page.has_more))


@app.get(CONVERSATION)
def get_conversation(conversation_id: str) -> Response[str]:
    """Read a conversation without its items."""
    conversation = store().get_conversation(owner(), conversation_id)
    return _json(conversation_json(conversation))


@app.post(CONVERSATION)
def update_conversation(conversation_id: str) -> Response[str]:
    """Merge pairs into a conversation's metadata; null removes one."""
    changes = parse_update(request().body())["metadata"] or {}
    conversation = store().update_metadata(owner(), conversation_id, changes)
    return _json(conversation_json(conversation))


@app.delete(CONVERSATION)
def delete_conversation(conversation_id: str) -> Response[str]:
    """End a conversation, at once and for everybody."""
    store().delete_conversation(owner(), conversation_id)
    answer = {"id": conversation_id, "object": "conversation.deleted", "deleted": True}
    return _json(json.dumps(answer))


@app.post(ITEMS)
def append_items(conversation_id: str) -> Response[str]:
    """Append a batch of 1..20 items, all or none, in their order."""
    body = request().body()
    batch = parse_batch(body)
    view = request().view(batch.get("include"))
    appended = store().append_items(
        owner(), conversation_id, batch["items"], request().idempotency(body)
    )
    return _json(items_json(appended, view, has_more=False))


@app.get(ITEMS)
def list_items(conversation_id: str) -> Response[str]:
    """A page of items, in the order they were appended or the reverse."""
    view = request().view()
    page = store().list_items(
        owner(),
        conversation_id,
        after=request().after(),
        limit=request().limit(MAX_PAGE_ITEMS),
        order=request().order(),
    )
    return _json(items_json(page.entries, view, has_more=page.has_more))


@app.delete(ITEMS)
def delete_items(conversation_id: str) -> Response[str]:
    """Delete 1..100 items, or none if one of them is not there."""
    conversation = store().delete_items(
        owner(), conversation_id, parse_deletion(request().body()), param="item_ids[{}]"
    )
    return _json(conversation_json(conversation))


@app.get(ITEM)
def get_item(conversation_id: str, item_id: str) -> Response[str]:
    """Read one item."""
    view = request().view()
    item = store().get_item(owner(), conversation_id, item_id)
    return _json(view.show(item.json))


@app.delete(ITEM)
def delete_item(conversation_id: str, item_id: str) -> Response[str]:
    """Delete one item."""
    conversation = store().delete_items(owner(), conversation_id, [item_id], param="item_id")
    return _json(conversation_json(conversation))


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
    tally().code = error.code
    return _json(json.dumps(error.envelope()), error.kind.statuses[0], dict(error.kind.headers))


def fail(error: Exception) -> Response[str]:
    """Tell the client that it was not its fault, and the log where: never what it was about."""
    code, status = None, 0
    if isinstance(error, ClientError):
        code = error.response["Error"]["Code"]
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
    logger.error(
        "request failed",
        error=type(error).__name__,
        code=code,
        frames=traceback.format_tb(error.__traceback__),
    )
    is_failure_of_aws = status >= HTTPStatus.INTERNAL_SERVER_ERROR or code == "RequestTimeout"
    if code in THROTTLED or is_failure_of_aws or isinstance(error, NO_RESPONSE):
        tally().add("Throttles", code in THROTTLED)
        return refuse(OverloadedError("AWS did not answer the service in time. Send it again."))
    return refuse(ServerError("The service failed. It was not your request."))


app.not_found(unknown_route)
app.exception_handler(ApiError)(refuse)
app.exception_handler(Exception)(fail)


def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one REST proxy event of API Gateway, which leaves the body of a HEAD's answer out."""
    started = time.perf_counter()
    done = Tally()
    app.context["tally"] = done
    answer = app.resolve(_routed(event), context)
    request_id = event["requestContext"]["requestId"]
    origin = app.current_event.headers.get("Origin")
    headers = {"x-request-id": request_id, **answer_headers(os.environ["CORS_ORIGINS"], origin)}
    answer["multiValueHeaders"] |= {name: [value] for name, value in headers.items()}
    duration_ms = round(1000 * (time.perf_counter() - started), 1)
    logger.info("request", **request_line(event, answer, done), duration_ms=duration_ms)
    return answer


def _routed(event: dict[str, Any]) -> dict[str, Any]:
    """The event as the routes know it: a HEAD is a GET, and no path begins with a base path.

    Behind a custom domain, API Gateway leaves the domain's base path in `path`; `resource` never
    has it.
    """
    path = event["resource"].format_map(event["pathParameters"] or {})
    method = "GET" if event["httpMethod"] == "HEAD" else event["httpMethod"]
    return {**event, "path": path, "httpMethod": method}


@functools.cache
def _document(name: str) -> str:
    return (Path(__file__).parent / "openapi" / name).read_text(encoding="utf-8")


def _json(body: str, status: int = 200, headers: dict[str, str] | None = None) -> Response[str]:
    return Response(status, content_types.APPLICATION_JSON, body, headers)


init_phase.prepare([dynamodb], for_snapshot=[s3])
