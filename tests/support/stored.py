"""Store on moto with sample data, for tests of commands."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, cast

from conversations import ids
from conversations.model import IdempotencyInfo
from conversations.storage.payloads import PayloadStore
from conversations.storage.store import Store
from conversations.storage.transactions import Table
from tests.support.commands import names_of

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from local.resources import Resources
    from tests.support.http_helpers import Json

BODIES = itertools.count()


class World:
    """Store, and the options that name its table and bucket."""

    def __init__(self, resources: Resources, executor: Executor) -> None:
        name = resources.template.name
        self.resources = resources
        self.table = Table(resources.dynamodb, name("ConversationsTable"))
        self.bucket = name("PayloadBucket")
        self.payloads = PayloadStore(self.bucket, lambda: resources.s3, executor)
        self.store = Store(self.table, self.payloads)
        self.at = names_of(resources)

    def create(self, *batches: list[Json], owner: str = "", **metadata: str) -> str:
        made = self.store.create_conversation(
            ids.owner_of("acme", owner), "acme", [], metadata, request()
        )
        for items in batches:
            self.append(made.conversation_id, *items, owner=owner)
        return made.conversation_id

    def append(self, name: str, *items: Json, owner: str = "") -> list[str]:
        given = cast("Any", [{"type": "message", **item} for item in items])
        appended = self.store.append_items(ids.owner_of("acme", owner), name, given, request())
        return [item.cursor for item in appended]

    def delete(self, name: str, *item_ids: str, owner: str = "") -> None:
        self.store.delete_items(ids.owner_of("acme", owner), name, item_ids, param="item_ids[{}]")

    def listed(self, name: str, after: str | None = None, owner: str = "") -> list[tuple[str, str]]:
        page = self.store.list_items(
            ids.owner_of("acme", owner), name, after=after, limit=100, order="asc"
        )
        return [(item.cursor, item.json) for item in page.entries]

    def rows(self) -> list[Any]:
        pages = self.table.dynamodb.get_paginator("scan").paginate(TableName=self.table.name)
        return [row for page in pages for row in page["Items"]]

    def objects(self) -> list[str]:
        listed = self.resources.s3.list_objects_v2(Bucket=self.bucket)
        return [entry["Key"] for entry in listed.get("Contents", [])]


def request() -> IdempotencyInfo:
    return IdempotencyInfo(str(next(BODIES)))


def said(text: str, **fields: object) -> Json:
    return {"role": "user", "content": text, **fields}
