"""Dumps of Assistants threads, which are lists of messages, as the lines of an archive."""

from __future__ import annotations

import codecs
import itertools
import json
from typing import TYPE_CHECKING, Any

import click

from conversations.errors import InvalidRequestError
from conversations_cli.archive_file import lines_in, read_line
from conversations_cli.openai_source import record_of
from conversations_cli.records import MALFORMED, fault_text
from conversations_cli.thread_messages import ThreadMessage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from conversations_cli.data_options import Scope
    from conversations_cli.records import Line

    type Message = Mapping[str, Any]

MESSAGE = "thread.message"
_KEPT = (
    "created_at",
    "assistant_id",
    "run_id",
    "incomplete_details",
    "completed_at",
    "incomplete_at",
)
"""Fields without an equivalent that an item keeps as additional fields."""
_MAPPED = {
    "id",
    "object",
    "type",
    "thread_id",
    "role",
    "content",
    "status",
    "metadata",
    "attachments",
}


def is_thread_dump(first: bytes) -> bool:
    """Return whether a file that begins with this line may be a dump of threads."""
    text = first.removeprefix(codecs.BOM_UTF8).lstrip()
    return (
        text.startswith(b"[")
        or b'"data"' in text
        or MESSAGE.encode() in text
        or text.strip() == b"{"
    )


def thread_lines(
    file: Path, scope: Scope, warn: Callable[[str], None], reject: Callable[[str], None]
) -> Iterator[Line]:
    """Yield the lines of the records of a dump, with a conversation for each thread.

    *warn* is called with a sentence for each part that has no equivalent, and *reject* with a line
    for each malformed message of a thread, which is then omitted.

    Raises:
        click.ClickException: the file is not a dump of threads, or --all-end-users is given.
    """
    if scope.is_whole_account:
        raise click.UsageError("--all-end-users requires an export: threads have no owner.")
    threads: dict[str, list[Message]] = {}
    try:
        for message in _messages(file):
            threads.setdefault(str(message.get("thread_id")), []).append(message)
    except MALFORMED as error:
        raise click.ClickException(
            f"{file} is not a dump of threads: {fault_text(error)}"
        ) from error
    for thread_id, messages in sorted(threads.items()):
        if faults := [*_faults(messages)]:
            reject("\n".join(faults))
            continue
        found = _oldest_first(messages)
        items = (item_of(message, warn) for message in found)
        yield from record_of(scope, thread_id, found[0]["created_at"] * 1000, {}, items)


def _messages(file: Path) -> Iterator[Message]:
    """Yield the messages of a file, which is one JSON value or has one a line."""
    lines = [*lines_in(file)]
    try:
        values = [json.loads(b"".join(lines))]
    except ValueError:
        values = [json.loads(line) for line in lines if line.strip()]
    yield from itertools.chain.from_iterable(map(_messages_in, values))


def _messages_in(value: Any) -> Iterator[Message]:  # noqa: ANN401 - any JSON
    if isinstance(value, list):
        yield from itertools.chain.from_iterable(map(_messages_in, value))
    elif value["object"] == "list":
        yield from _messages_in(value["data"])
    elif value["object"] == MESSAGE:
        yield value
    else:
        raise ValueError(f"'{value['object']}' is not a message")


def _faults(messages: Sequence[Message]) -> Iterator[str]:
    """Yield a sentence for each malformed message."""
    for message in messages:
        try:
            read_line(ThreadMessage, json.dumps(message).encode())
        except (InvalidRequestError, RecursionError) as error:
            name = message.get("id") or f"a message of thread {message.get('thread_id')}"
            fault = getattr(error, "message", "The message is nested too deeply.")
            yield f"{name}: {fault} The thread is not imported."


def _oldest_first(messages: Sequence[Message]) -> list[Message]:
    """Return the messages of a thread in order.

    The Threads API lists the newest message first by default. Messages of the same second are
    therefore taken to be in that order, unless the times in the file ascend.
    """
    ascends = messages[0]["created_at"] < messages[-1]["created_at"]
    given = messages if ascends else messages[::-1]
    return sorted(given, key=lambda message: int(message["created_at"]))


def item_of(message: Message, warn: Callable[[str], None]) -> dict[str, Any]:
    """Return a message of a thread as a message item."""
    name, is_model = message["id"], message["role"] == "assistant"
    item: dict[str, Any] = {"type": "message", "id": name, "role": message["role"]}
    content = [
        mapped
        for part in message["content"]
        if (mapped := _part(part, name, warn, is_model=is_model)) is not None
    ]
    for attachment in message.get("attachments") or ():
        content += _attached(attachment, name, warn)
    item["content"] = content
    if message.get("status"):
        item["status"] = message["status"]
    if message.get("metadata"):
        item["metadata"] = message["metadata"]
    item |= {field: message[field] for field in _KEPT if message.get(field) is not None}
    for field in message.keys() - _MAPPED - {*_KEPT}:
        warn(f"{name}: {field} has no equivalent and is omitted")
    return item


def _attached(
    attachment: Mapping[str, Any], name: str, warn: Callable[[str], None]
) -> Iterator[dict[str, Any]]:
    file_id = attachment.get("file_id")
    if file_id is None:
        warn(f"{name}: an attachment without a file has no equivalent and is omitted")
        return
    if tools := ", ".join(tool["type"] for tool in attachment.get("tools") or ()):
        warn(f"{name}: attachment {file_id} is kept as a file, without tools: {tools}")
    yield {"type": "input_file", "file_id": file_id}


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
