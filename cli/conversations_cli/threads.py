"""Dumps of Assistants threads, which are lists of messages, as the lines of an archive."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any

import click

from conversations_cli.openai_source import record_of
from conversations_cli.records import MALFORMED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from conversations_cli.data_options import Scope
    from conversations_cli.records import Line

MESSAGE = "thread.message"
_KEPT = ("assistant_id", "run_id", "incomplete_details", "completed_at", "incomplete_at")
"""Fields without an equivalent that an item keeps as additional fields."""
_MAPPED = {
    "id",
    "object",
    "type",
    "created_at",
    "thread_id",
    "role",
    "content",
    "status",
    "metadata",
}


def is_thread_dump(first: bytes) -> bool:
    """Return whether a file that begins with this line may be a dump of threads."""
    text = first.lstrip()
    return (
        text.startswith(b"[")
        or b'"data"' in text
        or MESSAGE.encode() in text
        or text.strip() == b"{"
    )


def thread_lines(file: Path, scope: Scope, warn: Callable[[str], None]) -> Iterator[Line]:
    """Yield the lines of the records of a dump, with a conversation for each thread.

    *warn* is called with a sentence for each part that has no equivalent.

    Raises:
        click.ClickException: the file is not a dump of threads, or --all-end-users is given.
    """
    if scope.is_whole_account:
        raise click.UsageError("--all-end-users requires an export: threads have no owner.")
    try:
        yield from _records(file, scope, warn)
    except MALFORMED as error:
        raise click.ClickException(f"{file} is not a dump of threads: {error!r}") from error


def _records(file: Path, scope: Scope, warn: Callable[[str], None]) -> Iterator[Line]:
    messages = [*_messages(file)]
    messages.sort(key=lambda message: (message["thread_id"], message["created_at"]))
    for thread_id, of_thread in itertools.groupby(messages, lambda message: message["thread_id"]):
        found = [*of_thread]
        items = (item_of(message, warn) for message in found)
        yield from record_of(scope, thread_id, int(found[0]["created_at"]) * 1000, {}, items)


def _messages(file: Path) -> Iterator[dict[str, Any]]:
    """Yield the messages of a file, which is one JSON value or has one a line, the oldest first."""
    text = file.read_text(encoding="utf-8")
    try:
        values = [json.loads(text)]
    except ValueError:
        values = [json.loads(line) for line in text.splitlines() if line.strip()]
    found = [*itertools.chain.from_iterable(map(_messages_in, values))]
    is_newest_first = found and found[0]["created_at"] > found[-1]["created_at"]
    yield from reversed(found) if is_newest_first else found


def _messages_in(value: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401 - any JSON
    if isinstance(value, list):
        yield from itertools.chain.from_iterable(map(_messages_in, value))
    elif value["object"] == "list":
        yield from _messages_in(value["data"])
    elif value["object"] == MESSAGE:
        yield value
    else:
        raise ValueError(f"'{value['object']}' is not a message")


def item_of(message: Mapping[str, Any], warn: Callable[[str], None]) -> dict[str, Any]:
    """Return a message of a thread as a message item."""
    name, is_model = message["id"], message["role"] == "assistant"
    item: dict[str, Any] = {"type": "message", "id": name, "role": message["role"]}
    content = [
        mapped
        for part in message["content"]
        if (mapped := _part(part, name, warn, is_model=is_model)) is not None
    ]
    for attachment in message.get("attachments") or ():
        content.append({"type": "input_file", "file_id": attachment["file_id"]})
        tools = ", ".join(tool["type"] for tool in attachment.get("tools") or ())
        warn(
            f"{name}: attachment {attachment['file_id']} is kept as a file, without tools: {tools}"
        )
    item["content"] = content
    if message.get("status"):
        item["status"] = message["status"]
    if message.get("metadata"):
        item["metadata"] = message["metadata"]
    item |= {field: message[field] for field in _KEPT if message.get(field) is not None}
    for field in message.keys() - _MAPPED - {*_KEPT} - {"attachments"}:
        warn(f"{name}: {field} has no equivalent and is omitted")
    return item


def _part(
    part: Mapping[str, Any], name: str, warn: Callable[[str], None], *, is_model: bool
) -> dict[str, Any] | None:
    match part["type"]:
        case "text":
            for annotation in part["text"].get("annotations") or ():
                kind = annotation["type"]
                warn(f"{name}: an annotation ({kind}) has no equivalent and is omitted")
            kind = "output_text" if is_model else "input_text"
            return {"type": kind, "text": part["text"]["value"]}
        case "refusal":
            return {"type": "refusal", "refusal": part["refusal"]}
        case "image_file":
            return {"type": "input_image", **_image(part["image_file"], file_id="file_id")}
        case "image_url":
            return {"type": "input_image", **_image(part["image_url"], image_url="url")}
        case kind:
            warn(f"{name}: a part of type {kind} has no equivalent and is omitted")
            return None


def _image(source: Mapping[str, Any], **names: str) -> dict[str, Any]:
    detail = {"detail": source["detail"]} if source.get("detail") else {}
    return {new: source[old] for new, old in names.items()} | detail
