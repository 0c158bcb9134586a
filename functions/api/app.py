"""The API function: each route is a few lines over the store, each error one envelope."""

from __future__ import annotations

import functools
import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response, content_types

from conversations import aws_clients, init_phase
from conversations.contract.bodies import parse_create, parse_deletion, parse_update
from conversations.contract.items import parse_batch
from conversations.errors import ApiError, InvalidRequestError, RouteNotFoundError
from conversations.http import cors, failures, rendering
from conversations.http.request import PREFIXES, Request, normalize_event
from conversations.storage.payloads import PayloadStore
from conversations.storage.store import Store
from conversations.storage.transactions import Table
from conversations.telemetry import Tally, request_line

if TYPE_CHECKING:
    from aws_lambda_powertools.event_handler.middlewares import NextMiddleware
    from aws_lambda_powertools.utilities.typing import LambdaContext
    from mypy_boto3_dynamodb.client import DynamoDBClient

CONVERSATIONS = "/conversations"
CONVERSATION = f"{CONVERSATIONS}/<conversation_id>"
ITEMS = f"{CONVERSATION}/items"
ITEM = f"{ITEMS}/<item_id>"
DOCUMENT = "/openapi.json"
DOCUMENT_ROOT = "https://conversations.invalid"
"""The root of the server's URL in the committed documents, for which a response has its own."""
MAX_PAGE_ITEMS = 100
MAX_PAGE_CONVERSATIONS = 50
app = APIGatewayRestResolver(strip_prefixes=[*PREFIXES])
logger = Logger(use_rfc3339=True)


@functools.cache
def dynamodb() -> DynamoDBClient:
    """Return the client of this execution environment."""
    client = aws_clients.dynamodb()
    client.meta.events.register("needs-retry.dynamodb", count_resend)
    return client


@functools.cache
def payload_store() -> PayloadStore:
    """Return the bucket; its client is made for the first large batch."""
    bucket, spill_bytes = os.environ["PAYLOAD_BUCKET"], int(os.environ["SPILL_BYTES"])
    return PayloadStore(bucket, s3, ThreadPoolExecutor(8), spill_bytes)


s3 = functools.cache(aws_clients.s3)  # made for the first large batch


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
    """Create a conversation.

    Up to 20 first items are stored with it, or nothing is. `Idempotency-Key` makes retries safe.
    """
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
    return _json(rendering.conversation_json(conversation))


@app.get(CONVERSATIONS)
def list_conversations() -> Response[str]:
    """List conversations.

    Sorted by last change. While `has_more` is true, `after=<last_id>` reads the next page. With
    `order=asc`, a conversation that changes while pages are read can make others be skipped.
    """
    page = store().list_conversations(
        owner(),
        after=request().after(),
        limit=request().limit(MAX_PAGE_CONVERSATIONS),
        order=request().order(),
        metadata=request().metadata_filter(),
    )
    return _json(rendering.conversations_json(page.entries, page.cursor, has_more=page.has_more))


@app.get(CONVERSATION)
def get_conversation(conversation_id: str) -> Response[str]:
    """Retrieve a conversation.

    A conversation of another account or end user is reported as not found.
    """
    conversation = store().get_conversation(owner(), conversation_id)
    return _json(rendering.conversation_json(conversation))


@app.post(CONVERSATION)
def update_conversation(conversation_id: str) -> Response[str]:
    """Update the metadata of a conversation.

    Merges the body's pairs into the stored ones; null removes a pair. The response has all pairs.
    """
    changes = parse_update(request().body())["metadata"] or {}
    conversation = store().update_metadata(owner(), conversation_id, changes)
    return _json(rendering.conversation_json(conversation))


@app.delete(CONVERSATION)
def delete_conversation(conversation_id: str) -> Response[str]:
    """Delete a conversation.

    From then on neither it nor its items can be read. The items are erased in the background.
    """
    store().delete_conversation(owner(), conversation_id)
    return _json(rendering.deleted_json(conversation_id))


@app.post(ITEMS)
def append_items(conversation_id: str) -> Response[str]:
    """Append items to a conversation.

    1 to 20 items are stored in their order, or none. `Idempotency-Key` makes retries safe.
    """
    body = request().body()
    batch = parse_batch(body)
    view = request().view(batch.get("include"))
    appended = store().append_items(
        owner(), conversation_id, batch["items"], request().idempotency(body)
    )
    return _json(rendering.items_json(appended, view, has_more=False))


@app.get(ITEMS)
def list_items(conversation_id: str) -> Response[str]:
    """List the items of a conversation.

    In the order of their appends. While `has_more` is true, `after=<last_id>` reads the next page.
    """
    view = request().view()
    page = store().list_items(
        owner(),
        conversation_id,
        after=request().after(),
        limit=request().limit(MAX_PAGE_ITEMS),
        order=request().order(),
    )
    return _json(rendering.items_json(page.entries, view, has_more=page.has_more))


@app.delete(ITEMS)
def delete_items(conversation_id: str) -> Response[str]:
    """Delete several items of a conversation.

    Deletes 1 to 100 items, or none if one does not exist; a repeated request returns 404.
    """
    conversation = store().delete_items(
        owner(), conversation_id, parse_deletion(request().body()), param="item_ids[{}]"
    )
    return _json(rendering.conversation_json(conversation))


@app.get(ITEM)
def get_item(conversation_id: str, item_id: str) -> Response[str]:
    """Retrieve an item of a conversation.

    The response is the item as a list of items shows it.
    """
    view = request().view()
    item = store().get_item(owner(), conversation_id, item_id)
    return _json(view.show(item.json))


@app.delete(ITEM)
def delete_item(conversation_id: str, item_id: str) -> Response[str]:
    """Delete an item of a conversation.

    The response is the conversation. Repeating the request returns 404.
    """
    conversation = store().delete_items(owner(), conversation_id, [item_id], param="item_id")
    return _json(rendering.conversation_json(conversation))


@app.get(DOCUMENT)
def send_document() -> Response[str]:
    """Retrieve this description of the API.

    No key is needed. Its server is an absolute URL, made from the request.
    """
    text = _document("openai.json" if request().is_openai else "mka1.json")
    return _json(text.replace(DOCUMENT_ROOT, json.dumps(request().root_url).strip('"'), 1))


def unknown_route(_: Exception) -> Response[str]:
    """Answer for a path that no route matches.

    API Gateway refuses unknown routes itself, so what arrives is an id of odd characters.
    """
    try:
        request().check_ids()
    except InvalidRequestError as error:
        return refuse(error)
    return refuse(RouteNotFoundError(f"There is no route {request().line}."))


def refuse(error: ApiError) -> Response[str]:
    """Tell the client what it did, in the one envelope."""
    tally().code = error.code
    if error.code == "invalid_json":
        error.message += request().content_type_hint()
    return _json(
        rendering.compact_json(error.envelope()), error.kind.statuses[0], dict(error.kind.headers)
    )


def fail(error: Exception) -> Response[str]:
    """Tell the client that it was not its fault, and the log where: never what it was about."""
    logger.error("request failed", **failures.log_fields(error))
    tally().add("Throttles", failures.is_throttle(error))
    return refuse(failures.public_error(error))


app.not_found(unknown_route)
app.exception_handler(ApiError)(refuse)
app.exception_handler(Exception)(fail)


def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one REST proxy event of API Gateway, which leaves the body of a HEAD's answer out."""
    started = time.perf_counter()
    done = Tally()
    app.context["tally"] = done
    answer = app.resolve(normalize_event(event), context)
    request_id = event["requestContext"]["requestId"]
    origins, origin = os.environ["CORS_ORIGINS"], app.current_event.headers.get("Origin")
    headers = {"x-request-id": request_id, **cors.answer_headers(origins, origin)}
    answer["multiValueHeaders"] |= {name: [value] for name, value in headers.items()}
    duration_ms = round(1000 * (time.perf_counter() - started), 1)
    logger.info("request", **request_line(event, answer, done), duration_ms=duration_ms)
    return answer


@functools.cache
def _document(name: str) -> str:
    return (Path(__file__).parent / "openapi" / name).read_text(encoding="utf-8")


def _json(body: str, status: int = 200, headers: dict[str, str] | None = None) -> Response[str]:
    return Response(status, content_types.APPLICATION_JSON, body, headers)


init_phase.prepare([dynamodb], for_snapshot=[s3])
