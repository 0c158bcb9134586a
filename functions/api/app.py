"""The API function: one handler for each route."""

from __future__ import annotations

import functools
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from conversations import aws_clients, init_phase
from conversations.contract import bodies
from conversations.http import rendering, routes
from conversations.http.api import Api
from conversations.storage.payloads import PayloadStore
from conversations.storage.search import SearchLimits
from conversations.storage.store import Store
from conversations.storage.transactions import Table

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext
    from mypy_boto3_dynamodb.client import DynamoDBClient

    from conversations.http.request import Request

DOCUMENT_ROOT = "https://conversations.invalid"  # of committed documents; responses replace it
logger = Logger(use_rfc3339=True)
api = Api(logger)


@functools.cache
def dynamodb_client() -> DynamoDBClient:
    """Return the client of this execution environment."""
    client = aws_clients.dynamodb()
    client.meta.events.register("needs-retry.dynamodb", count_retry)
    return client


@functools.cache
def payload_store() -> PayloadStore:
    """Return the store of payloads; its client is made on first use, or before a snapshot."""
    bucket, spill_bytes = os.environ["PAYLOAD_BUCKET"], int(os.environ["SPILL_BYTES"])
    return PayloadStore(bucket, s3_client, ThreadPoolExecutor(8), spill_bytes)


s3_client = functools.cache(aws_clients.s3)  # made on first use, or before a snapshot


def count_retry(attempts: int, **_: object) -> None:
    """Count a retry of botocore, which calls this after each of its *attempts*."""
    api.request.stats.retries += attempts > 1


def store_for(request: Request) -> Store:
    """Return the store of all conversations, which adds to the request's statistics."""
    table = Table(dynamodb_client(), os.environ["CONVERSATIONS_TABLE"], request.stats)
    days = int(os.environ["RETENTION_DAYS"])
    return Store(table, payload_store(), days, SearchLimits.configured(os.environ))


@api.route(
    "POST",
    routes.CONVERSATIONS,
    operation_ids=("conversations.create", "createConversation"),
    body="CreateConversation",
    parameters=["Idempotency-Key"],
    returns="Conversation",
    errors=[*routes.NEW_ITEM_ERRORS, "conversation_busy", "idempotency_key_reused"],
)
def create_conversation(request: Request) -> str:
    """Create a conversation.

    If an item of the body is invalid, nothing is created. An `Idempotency-Key` makes retries safe.
    """
    created = bodies.parse_create(request.body)
    conversation = store_for(request).create_conversation(
        request.owner,
        request.account,
        created.get("items") or [],
        created.get("metadata") or {},
        request.idempotency,
    )
    request.stats.conversation_id = conversation.conversation_id
    return rendering.conversation_json(conversation)


@api.route(
    "GET",
    routes.CONVERSATIONS,
    operation_ids=("conversations.list", "listConversations"),
    parameters=[*routes.PAGING, "metadata", "search"],
    max_limit=routes.MAX_PAGE_CONVERSATIONS,
    returns="ConversationPage",
    errors=["conversation_not_found", "unknown_parameter"],
)
def list_conversations(request: Request) -> str:
    """List conversations.

    The list is sorted by last change. While `has_more` is true, pass `last_id` as `after` to read
    the next page. Entries may repeat, or be skipped, if a conversation changes between two pages.
    """
    page = store_for(request).list_conversations(
        request.owner,
        after=request.after_conversation,
        limit=request.limit(routes.MAX_PAGE_CONVERSATIONS),
        order=request.order,
        metadata=request.metadata_filter,
        search=request.search,
    )
    return rendering.conversations_json(page)


@api.route(
    "GET",
    routes.CONVERSATION,
    operation_ids=("conversations.retrieve", "getConversation"),
    returns="Conversation",
)
def get_conversation(request: Request, conversation_id: str) -> str:
    """Retrieve a conversation.

    The response has no items. The conversation of another account or end user returns 404.
    """
    conversation = store_for(request).get_conversation(request.owner, conversation_id)
    return rendering.conversation_json(conversation)


@api.route(
    "POST",
    routes.CONVERSATION,
    operation_ids=("conversations.update", "updateConversation"),
    body="UpdateConversation",
    returns="Conversation",
    errors=["string_below_min_length", "conversation_busy"],
)
def update_conversation(request: Request, conversation_id: str) -> str:
    """Update the metadata of a conversation.

    Sets the pairs in the body. A null value removes a pair. Other pairs stay as they are.
    """
    changes = bodies.parse_update(request.body)["metadata"] or {}
    conversation = store_for(request).update_metadata(request.owner, conversation_id, changes)
    return rendering.conversation_json(conversation)


@api.route(
    "DELETE",
    routes.CONVERSATION,
    operation_ids=("conversations.delete", "deleteConversation"),
    returns="DeletedConversation",
)
def delete_conversation(request: Request, conversation_id: str) -> str:
    """Delete a conversation.

    It and its items become unreadable immediately. Their content is erased in the background.
    """
    store_for(request).delete_conversation(request.owner, conversation_id)
    return rendering.deleted_json(conversation_id)


@api.route(
    "POST",
    routes.ITEMS,
    operation_ids=("conversations.items.create", "createConversationItems"),
    body="AppendItems",
    parameters=["include", "Idempotency-Key", "x-stainless-retry-count"],
    returns="ItemPage",
    errors=[
        *(*routes.NEW_ITEM_ERRORS, "array_below_min_length", "item_already_in_conversation"),
        *("conversation_busy", "idempotency_key_reused"),
    ],
    links=("get_item", "delete_item"),
)
def append_items(request: Request, conversation_id: str) -> str:
    """Append items to a conversation.

    Stores 1 to 20 items in order: all, or none. An `Idempotency-Key` makes retries safe.
    """
    body = bodies.parse_append(request.body)
    renderer = request.renderer(body.get("include"))  # validated before the write
    appended = store_for(request).append_items(
        request.owner, conversation_id, body["items"], request.idempotency
    )
    return rendering.items_json(appended, renderer, has_more=False)


@api.route(
    "GET",
    routes.ITEMS,
    operation_ids=("conversations.items.list", "listConversationItems"),
    parameters=[*routes.PAGING, "include"],
    max_limit=routes.MAX_PAGE_ITEMS,
    returns="ItemPage",
    errors=["item_not_found"],
)
def list_items(request: Request, conversation_id: str) -> str:
    """List the items of a conversation.

    In order of appends. While `has_more` is true, pass `last_id` as `after` to continue.
    """
    renderer = request.renderer()
    page = store_for(request).list_items(
        request.owner,
        conversation_id,
        after=request.after,
        limit=request.limit(routes.MAX_PAGE_ITEMS),
        order=request.order,
    )
    return rendering.items_json(page.entries, renderer, has_more=page.has_more)


@api.route(
    "DELETE",
    routes.ITEMS,
    operation_ids=("conversations.items.deleteMany", "deleteConversationItems"),
    body="DeleteItems",
    returns="Conversation",
    errors=[
        *("string_below_min_length", "array_below_min_length", "array_above_max_length"),
        *("item_not_found", "conversation_busy"),
    ],
)
def delete_items(request: Request, conversation_id: str) -> str:
    """Delete several items of a conversation.

    Deletes 1 to 100 items, or none if one is missing. After 409 or 5xx, a retry deletes the rest.
    """
    conversation = store_for(request).delete_items(
        request.owner, conversation_id, bodies.parse_deletion(request.body), param="item_ids[{}]"
    )
    return rendering.conversation_json(conversation)


@api.route(
    "GET",
    routes.ITEM,
    operation_ids=("conversations.items.retrieve", "getConversationItem"),
    parameters=["include"],
    returns="ReturnedItem",
    errors=["item_not_found"],
)
def get_item(request: Request, conversation_id: str, item_id: str) -> str:
    """Retrieve an item of a conversation.

    The item has the same form as in a list of items.
    """
    renderer = request.renderer()
    item = store_for(request).get_item(request.owner, conversation_id, item_id)
    return renderer.render(item.json)


@api.route(
    "DELETE",
    routes.ITEM,
    operation_ids=("conversations.items.delete", "deleteConversationItem"),
    returns="Conversation",
    errors=["item_not_found", "conversation_busy"],
)
def delete_item(request: Request, conversation_id: str, item_id: str) -> str:
    """Delete an item of a conversation.

    The response is the conversation. If the item was already deleted, the response is 404.
    """
    conversation = store_for(request).delete_items(
        request.owner, conversation_id, [item_id], param="item_id"
    )
    return rendering.conversation_json(conversation)


@api.route(
    "GET",
    "/openapi.json",
    operation_ids=("openapi.retrieve", "getOpenapi"),
    returns="Document",
    is_open=True,
)
def get_openapi_document(request: Request) -> str:
    """Return this OpenAPI document, without an API key.

    The server URL in the document is built from the URL of this request.
    """
    text = openapi_document(request.dialect.name)
    return text.replace(DOCUMENT_ROOT, json.dumps(request.root_url).strip('"'), 1)


@functools.cache
def openapi_document(dialect: str) -> str:
    """Return the committed document of a dialect."""
    return (Path(__file__).parent / "openapi" / f"{dialect}.json").read_text(encoding="utf-8")


def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Respond to one REST proxy event of API Gateway."""
    return api.respond(event, context)


init_phase.prepare([dynamodb_client], for_snapshot=[s3_client, bodies.build_types])
