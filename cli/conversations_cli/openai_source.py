"""Conversations of OpenAI's API, as the lines of an archive."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, get_args

import click

from conversations import ids
from conversations.contract.items import MAX_BATCH_ITEMS
from conversations.json_text import compact_json, response_bytes
from conversations.model import Conversation
from conversations.storage.archive import ArchivedConversation
from conversations.storage.payloads import MAX_RESPONSE_PAYLOAD_BYTES
from conversations_cli.archive_file import conversation_line, end_line, line_of
from conversations_cli.records import MALFORMED, Line, fault_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from openai import OpenAI

    from conversations_cli.data_options import Scope

PAGE_ITEMS = 100


def openai_lines(
    scope: Scope, conversation_ids: Sequence[str], reject: Callable[[str], None]
) -> Iterator[Line]:
    """Yield the lines of the records of OpenAI's conversations, read with the caller's key.

    *reject* is called with a sentence for each conversation that could not be read.

    Raises:
        click.ClickException: the package or the key is missing.
    """
    try:
        import openai  # noqa: PLC0415 - only this command needs it
    except ImportError as error:
        raise click.ClickException(
            "--from-openai requires the Python package openai. Install it."
        ) from error
    try:
        client = openai.OpenAI()
    except openai.OpenAIError as error:
        raise click.ClickException(f"OpenAI cannot be called: {error}") from error
    for conversation_id in conversation_ids:
        try:
            # Read the whole conversation first, so that a failure yields no partial record.
            record = [*_record(client, scope, conversation_id)]
        except openai.OpenAIError as error:
            reject(f"{conversation_id}: OpenAI did not return the conversation: {error}")
        except MALFORMED as error:
            reject(f"{conversation_id}: OpenAI returned malformed JSON: {fault_text(error)}")
        else:
            yield from record


def _record(client: OpenAI, scope: Scope, conversation_id: str) -> Iterator[Line]:
    raw = client.conversations.with_raw_response
    found = raw.retrieve(conversation_id).http_response.json()
    return record_of(
        scope,
        conversation_id,
        int(found["created_at"]) * 1000,
        found.get("metadata") or {},
        _items(client, conversation_id),
    )


def _items(client: OpenAI, conversation_id: str) -> Iterator[Mapping[str, Any]]:
    """Yield all items as OpenAI sends them, with all large fields, the oldest first."""
    from openai.types.responses import ResponseIncludable  # noqa: PLC0415 - as above

    included = [*get_args(ResponseIncludable)]
    after: Any = None
    has_more = True
    while has_more:
        query = {"order": "asc", "limit": PAGE_ITEMS} | ({"after": after} if after else {})
        raw = client.conversations.items.with_raw_response.list(
            conversation_id, include=included, extra_query=query
        )
        page = raw.http_response.json()
        yield from page["data"]
        seen, after, has_more = after, page.get("last_id"), page["has_more"]
        if has_more and (not after or after == seen):
            raise ValueError("a page has no cursor to the next one")


def record_of(
    scope: Scope,
    conversation_id: str,
    created_at: int,
    metadata: Mapping[str, str],
    items: Iterator[Mapping[str, Any]],
) -> Iterator[Line]:
    """Yield the record of a conversation from another service.

    The sequence keys are derived from its id and creation time, so that each import yields the same
    record.
    """
    batches = [*_batches(items)]
    keys = [
        _keys(conversation_id, created_at, index, len(batch)) for index, batch in enumerate(batches)
    ]
    owner = ids.owner_of(scope.account, scope.end_user or "")
    changed_at = created_at + max(len(batches) - 1, 0)
    conversation = Conversation(
        conversation_id,
        owner,
        scope.account,
        created_at=created_at,
        updated_at=changed_at,
        appended_at=changed_at,
        metadata={**metadata},
    )
    recent_keys = [batch[-1] for batch in reversed(keys[-12:])]
    archived = ArchivedConversation(conversation, None, recent_keys)
    yield Line(conversation_id, conversation_line(archived))
    first = 1
    for batch, batch_keys in zip(batches, keys, strict=True):
        line = {"type": "batch", "key": batch_keys[0], "written": len(batch), "items": batch}
        yield Line(f"{conversation_id}, from item {first} on", line_of(line))
        first += len(batch)
    count = sum(map(len, batches))
    yield Line(conversation_id, end_line(archived, len(batches), count))


def _batches(items: Iterator[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    """Yield *items* in batches, each small enough for one response."""
    batch: list[Mapping[str, Any]] = []
    size = 0
    for item in items:
        added = response_bytes(f"{compact_json(item)}\n".encode())
        if batch and (len(batch) == MAX_BATCH_ITEMS or size + added > MAX_RESPONSE_PAYLOAD_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(item)
        size += added
    if batch:
        yield batch


def _keys(conversation_id: str, created_at: int, index: int, size: int) -> list[str]:
    """Return the sequence keys of a batch, whose time is a millisecond after the previous one's."""
    digest = hashlib.sha256(json.dumps([conversation_id, index]).encode()).digest()
    nonce = int.from_bytes(digest[:8]) >> 2
    return ids.sequence_keys((created_at + index) << 64 | nonce, size)
