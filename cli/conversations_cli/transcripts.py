"""`conversations list` and `show`: conversations as text for people."""

from __future__ import annotations

import contextlib
import json
import signal
import time
from typing import TYPE_CHECKING, Any

import click

from conversations import ids
from conversations.contract.text import item_texts
from conversations.errors import ConversationNotFoundError
from conversations.storage import rows
from conversations.storage.items import decode_item
from conversations.storage.reads import read_conversation_with
from conversations.storage.scan import read_batch, scan_accounts, scan_batches, scan_index
from conversations.storage.store import Store
from conversations_cli.command_line import Text, moment_text, report_count, table_text, visible
from conversations_cli.data_options import Data, Scope, data_command, scope_options

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conversations.model import Conversation, ReturnedItem
    from conversations.storage.rows import Row

PAGE_CONVERSATIONS = 50
FOLLOW_SECONDS = 1.0
_NOTES = {
    "input_image": "[image]",
    "input_audio": "[audio]",
    "input_file": "[file]",
    "computer_screenshot": "[screenshot]",
    "image_generation_call": "[image]",
    "output_audio": "[audio]",
}
"""Notes that replace parts and items without text."""


@click.command("list")
@data_command
@scope_options
@click.option("--search", type=Text(), help="Only conversations that contain all these words.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one conversation per line.")
def list_conversations(data: Data, scope: Scope, search: str | None, as_json: bool) -> None:  # noqa: FBT001 - click's flag
    """List conversations, the latest change first."""
    if scope.owner is None and search is not None:
        raise click.UsageError(
            "--search cannot be used with --all-end-users: a search covers one owner."
        )
    if search is not None and not search.strip():
        raise click.UsageError("--search must contain at least one word.")
    count = 0
    lines: list[list[str]] = []
    for found in _conversations(data, scope, search):
        count += 1
        if as_json:
            click.echo(json.dumps(_fields(found)))
        else:
            when = _time(found.created_at)
            lines.append([found.conversation_id, when, found.owner[:12], _pairs(found)])
    if not as_json:
        click.echo(table_text([("conversation", "created", "owner", "metadata"), *lines]))
    report_count(count)


@click.command()
@data_command
@click.argument("conversation")
@click.option(
    "--account", help="The account of the conversation, if several accounts have one with this id."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one item per line.")
@click.option("--follow", "follows", is_flag=True, help="Print new items as they are appended.")
def show(
    data: Data,
    conversation: str,
    account: str | None,
    as_json: bool,  # noqa: FBT001 - click's flag
    follows: bool,  # noqa: FBT001
) -> None:
    """Show a conversation as a transcript: messages, tool calls and outputs, with times."""
    pk = _partition(data, conversation, account)
    after: str | None = None
    is_first = True
    try:
        while is_first or follows:
            row = read_conversation_with(data.table, pk)[rows.CONVERSATION_SK]
            if is_first and not as_json:
                click.echo(_title(rows.read_conversation(row)))
            for batch in scan_batches(data.table, row, after):
                after = rows.batch_key(batch)
                for item in _items(data, batch):
                    click.echo(item.json if as_json else transcript(item, after))
            is_first = False
            if follows:
                time.sleep(FOLLOW_SECONDS)
    except KeyboardInterrupt:
        if not follows:
            raise
        raise click.exceptions.Exit(128 + signal.SIGINT) from None


def transcript(item: ReturnedItem, key: str) -> str:
    """Return an item of the batch at *key* as text for people: role, time, then its text.

    Notes replace images, sound and files.
    """
    fields: dict[str, Any] = json.loads(item.json)
    role = fields.get("role")
    title = role if isinstance(role, str) and role else str(fields["type"])
    texts = [text for text in item_texts(fields) if text != fields.get("name")]
    if "role" not in fields and "name" in fields:
        title += f" {fields['name']}"
    when = _time(ids.milliseconds_of(key))
    title = click.style(visible(title), bold=True)
    return "\n".join([f"\n{title}  {when}", *map(visible, [*_notes(fields), *texts])])


def _title(found: Conversation) -> str:
    return f"{found.conversation_id}  {_time(found.created_at)}  {_pairs(found)}".rstrip()


def _pairs(found: Conversation) -> str:
    """Return the metadata on one line."""
    pairs = ", ".join(f"{name}={value}" for name, value in found.metadata.items())
    return " ".join(visible(pairs).splitlines())


def _notes(fields: dict[str, Any]) -> Iterator[str]:
    """Yield notes for images, sound and files."""
    if fields["type"] in _NOTES:
        yield _NOTES[fields["type"]]
    content = fields.get("content") or fields.get("output")
    for part in content if isinstance(content, list) else [content]:
        if not isinstance(part, dict):
            continue
        kind = part.get("type")
        if isinstance(kind, str) and kind in _NOTES:
            sources = (part.get(name) for name in ("file_id", "file_url", "image_url"))
            source = next((text for text in sources if isinstance(text, str) and text), "")
            link = "" if source.startswith("data:") else f" {source}"
            yield f"{_NOTES[kind]}{link}".rstrip()


def _conversations(data: Data, scope: Scope, search: str | None) -> Iterator[Conversation]:
    store = Store(data.table, data.payloads)
    if scope.owner is None:
        for pk in scan_index(data.table, scope.account, None):
            owner, _, conversation_id = pk.partition("/")
            with contextlib.suppress(ConversationNotFoundError):  # it was deleted meanwhile
                yield store.get_conversation(owner, conversation_id)
        return
    after: str | None = None
    has_more = True
    while has_more:
        page = store.list_conversations(
            scope.owner,
            after=after,
            limit=PAGE_CONVERSATIONS,
            order="desc",
            metadata={},
            search=search,
        )
        yield from page.entries
        after, has_more = page.cursor, page.has_more


def _items(data: Data, row: Row) -> list[ReturnedItem]:
    batch = read_batch(data.table, data.payloads, row)
    keys = ids.keys_at(rows.batch_key(batch.row), rows.live_slots(batch.row))
    return [decode_item(line, key) for line, key in zip(batch.lines, keys, strict=False)]


def _partition(data: Data, name: str, account: str | None) -> str:
    """Return the partition key of the only live conversation with an id.

    Raises:
        click.ClickException: no owner, or several owners, have such a conversation.
    """
    pks = scan_accounts(data.table) if account is None else scan_index(data.table, account, None)
    found = [pk for pk in pks if pk.partition("/")[2] == name]
    if not found:
        raise click.ClickException(f"Conversation '{name}' was not found.")
    if len(found) > 1:
        raise click.ClickException(
            f"{len(found)} accounts or end users have a conversation '{name}'. Use --account, or"
            " export the conversations of the end user."
        )
    return found[0]


def _fields(found: Conversation) -> dict[str, object]:
    return {
        "id": found.conversation_id,
        "account": found.account,
        "owner": found.owner,
        "created_at": found.created_at // 1000,
        "metadata": found.metadata,
    }


def _time(milliseconds: int) -> str:
    return moment_text(milliseconds // 1000)
