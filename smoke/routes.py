"""Checks of the routes, under both prefixes."""

from __future__ import annotations

import itertools
import secrets
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from smoke.api import CONVERSATIONS, SkipError, error_of, expect, require

if TYPE_CHECKING:
    from smoke.api import Api, Json

MAX_BATCH_ITEMS = 20
PAGE_ITEMS = 10
MAX_LIST_PAGES = 25
WRITERS = 8
LARGE_BYTES = 5_000_000


def message(text: str) -> Json:
    """Return a user's message as an item."""
    return {"type": "message", "role": "user", "content": text}


def text_of(item: Json) -> str:
    """Return a message's text, which is in a part under OpenAI's prefix."""
    content = item["content"]
    return str(content if isinstance(content, str) else content[0]["text"])


def texts(api: Api, path: str, **query: Any) -> list[str]:  # noqa: ANN401 - httpx's
    """Return the texts of one page of a conversation's items, the oldest first."""
    page = api.call("GET", f"{path}/items", params={"order": "asc", "limit": 100, **query}).json()
    return [text_of(item) for item in page["data"]]


def check_document(api: Api) -> None:
    """Check that the OpenAPI document needs no key, and names this URL as its server."""
    document = api.with_key(None).call("GET", "/openapi.json").json()
    server = document["servers"][0]["url"]
    expect(server == api.url(""), f"servers[0].url must be {api.url('')}, got {server}.")


def check_pages(api: Api) -> None:
    """Check that the console and the API reference need no key."""
    docs = api.with_key(None)
    pages = [(docs, "/docs"), (replace(docs, prefix=""), "/console")]
    responses = [page.send("GET", path) for page, path in pages]
    if all(error_of(response).get("code") == "route_not_found" for response in responses):
        raise SkipError("The stack has no pages: Pages is false.")
    for response in responses:
        policy = require(response).headers.get("Content-Security-Policy")
        expect(policy, f"{response.request.url} has no header Content-Security-Policy.")
    for page, path in pages:
        _require_head(page, path)


def check_conversations(api: Api) -> None:
    """Check that a conversation can be created, read, updated and listed."""
    path = api.create()
    changed = api.call("POST", path, json={"metadata": {"topic": "smoke"}}).json()
    expect(changed["metadata"] == {"topic": "smoke"}, f"The metadata is {changed['metadata']}.")
    read = api.call("GET", path).json()
    expect(read == changed, "A conversation that is read must be as it was changed.")
    listed = api.call("GET", CONVERSATIONS, params={"order": "desc", "limit": 20}).json()
    ids = [each["id"] for each in listed["data"]]
    expect(read["id"] in ids, f"The list of conversations lacks {read['id']}.")


def check_items(api: Api) -> None:
    """Check that items can be appended, listed, read and deleted, one or several at once."""
    path = api.create([message("a")])
    sent = [message("b"), message("c"), message("d")]
    appended = api.call("POST", f"{path}/items", json={"items": sent}).json()["data"]
    expect(texts(api, path) == ["a", "b", "c", "d"], f"The items are {texts(api, path)}.")
    one, two, three = (item["id"] for item in appended)
    read = api.call("GET", f"{path}/items/{one}").json()
    expect(text_of(read) == "b", f"The item {one} is {read}.")
    api.call("DELETE", f"{path}/items/{one}")
    api.call("DELETE", f"{path}/items", json={"item_ids": [two, three]})
    api.rejected("GET", f"{path}/items/{one}", HTTPStatus.NOT_FOUND, "item_not_found")
    expect(texts(api, path) == ["a"], f"After deletions the items are {texts(api, path)}.")


def check_head(api: Api) -> None:
    """Check that every GET route also answers HEAD, without a body."""
    path = api.create([message("a")])
    item = api.call("GET", f"{path}/items").json()["data"][0]["id"]
    for each in (
        CONVERSATIONS,
        path,
        f"{path}/items",
        f"{path}/items/{item}",
        "/openapi.json",
    ):
        _require_head(api, each)


def check_batch(api: Api) -> None:
    """Check that a batch of 20 is stored whole and in order, and one of 21 is rejected."""
    wanted = [f"{number}" for number in range(MAX_BATCH_ITEMS)]
    path = api.create()
    api.call("POST", f"{path}/items", json={"items": [*map(message, wanted)]})
    expect(texts(api, path) == wanted, f"The items are {texts(api, path)}.")
    too_many = {"items": [message("x")] * (MAX_BATCH_ITEMS + 1)}
    error = HTTPStatus.BAD_REQUEST, "array_above_max_length"
    api.rejected("POST", f"{path}/items", *error, json=too_many)
    expect(texts(api, path) == wanted, "A rejected batch left items.")


def check_large_batch(api: Api) -> None:
    """Check that a batch of 5 MB, which spills to S3, is returned unchanged."""
    text = secrets.token_hex(LARGE_BYTES // 2)
    path = api.create()
    api.call("POST", f"{path}/items", json={"items": [message(text)]})
    expect(texts(api, path) == [text], "The batch of 5 MB did not come back as it was sent.")


def check_replay(api: Api) -> None:
    """Check that a repeated append or create with an `Idempotency-Key` takes effect once."""
    path, headers = api.create(), {"Idempotency-Key": secrets.token_hex(8)}
    body = {"items": [message("once")]}
    first, second = (
        api.call("POST", f"{path}/items", json=body, headers=headers).json() for _ in range(2)
    )
    expect(first == second, "A replayed append must have the same response.")
    expect(texts(api, path) == ["once"], f"After a replay the items are {texts(api, path)}.")
    error = HTTPStatus.UNPROCESSABLE_ENTITY, "idempotency_key_reused"
    other = {"items": [message("twice")]}
    api.rejected("POST", f"{path}/items", *error, json=other, headers=headers)
    made = {api.create([message("once")], headers) for _ in range(2)}
    expect(len(made) == 1, f"A replayed create made {made}.")


def check_paging(api: Api) -> None:
    """Check that pages contain all items and conversations, in both orders."""
    wanted = [f"{number}" for number in range(MAX_BATCH_ITEMS + PAGE_ITEMS // 2)]
    path = api.create(map(message, wanted[:MAX_BATCH_ITEMS]))  # type: ignore[arg-type]
    api.call("POST", f"{path}/items", json={"items": [*map(message, wanted[MAX_BATCH_ITEMS:])]})
    for order, expected in (("asc", wanted), ("desc", wanted[::-1])):
        pages = itertools.islice(_pages(api, f"{path}/items", order, PAGE_ITEMS), MAX_LIST_PAGES)
        found = [text_of(item) for page in pages for item in page]
        expect(found == expected, f"In the order {order} the pages hold {found}.")
    made = {api.create().rpartition("/")[2] for _ in range(3)}
    listed = itertools.islice(_pages(api, CONVERSATIONS, "desc", 1), MAX_LIST_PAGES)
    seen = {each["id"] for page in listed for each in page}
    expect(made <= seen, f"The pages of conversations lack {made - seen}.")


def check_end_users(api: Api) -> None:
    """Check that end users of one key see neither each other's conversations nor the account's."""
    mine, yours = {"X-On-Behalf-Of": "smoke-one"}, {"X-On-Behalf-Of": "smoke-two"}
    response = api.send("GET", CONVERSATIONS, headers=mine)
    if error_of(response).get("code") == "delegation_not_allowed":
        raise SkipError("KEY may not delegate: create one with --delegate.")
    require(response)
    path = api.create([message("a")], headers=mine)
    api.call("GET", path, headers=mine)
    for headers in (yours, {}):
        error = HTTPStatus.NOT_FOUND, "conversation_not_found"
        api.rejected("GET", path, *error, headers=headers)


def check_writers(api: Api) -> None:
    """Check that eight concurrent appends are all stored, each whole and in order."""
    path = api.create()
    batches = [[f"{writer}.{number}" for number in range(3)] for writer in range(WRITERS)]

    def append(batch: list[str]) -> None:
        headers = {"Idempotency-Key": secrets.token_hex(8)}
        body = {"items": [*map(message, batch)]}
        api.call("POST", f"{path}/items", json=body, headers=headers)

    with ThreadPoolExecutor(WRITERS) as threads:
        for appended in [threads.submit(append, batch) for batch in batches]:
            appended.result()
    found = texts(api, path)
    together = [found[at : at + 3] for at in range(0, len(found), 3)]
    expect(sorted(together) == batches, f"The items are {found}.")


def check_deletion(api: Api) -> None:
    """Check that a deleted conversation disappears at once."""
    path = api.create([message("a")])
    deleted = api.call("DELETE", path).json()
    expect(deleted.get("deleted") is True, f"DELETE returned {deleted}.")
    for each in (path, f"{path}/items"):
        api.rejected("GET", each, HTTPStatus.NOT_FOUND, "conversation_not_found")


def _require_head(api: Api, path: str) -> None:
    body = require(api.head(path)).content
    expect(not body, f"HEAD {api.prefix}{path} has a body of {len(body)} bytes.")


def _pages(api: Api, path: str, order: str, limit: int) -> Any:  # noqa: ANN401 - of Json
    """Yield the entries of page after page."""
    after: Json = {}
    while True:
        query = {"order": order, "limit": limit, **after}
        page = api.call("GET", path, params=query).json()
        yield page["data"]
        if not page["has_more"]:
            return
        after = {"after": page["last_id"]}
