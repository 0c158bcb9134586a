"""Conversations in the console: items of every type, long, hostile and new ones."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from tests.support.contract_cases import EXAMPLES, with_type
from tests.support.http_helpers import HELLO

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx
    from playwright.sync_api import Page, Route

    from tests.pages.conftest import Console

pytestmark = pytest.mark.xdist_group("browser")

PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"
    "+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
CALL = {
    "type": "function_call",
    "call_id": "c1",
    "name": "get_weather",
    "arguments": '{"city":"A"}',
}
OUTPUT = {"type": "function_call_output", "call_id": "c1", "output": '{"degrees":21}'}


FOLLOW_MS = 2_000
BLOCK_ITEMS = 25
"""Number of items that the console adds and removes together: `BLOCK_ITEMS` of transcript.js."""


def message(text: str, role: str = "user") -> dict[str, Any]:
    return {"type": "message", "role": role, "content": text}


def make(client: httpx.Client, *items: dict[str, Any]) -> str:
    """Return the id of a conversation that holds the items."""
    made = client.post("/conversations", json={"metadata": {"title": "Ferry"}}).json()
    append(client, made["id"], *items)
    return str(made["id"])


def append(client: httpx.Client, conversation_id: str, *items: dict[str, Any]) -> None:
    path = f"/conversations/{conversation_id}/items"
    for start in range(0, len(items), 20):
        client.post(path, json={"items": items[start : start + 20]}).raise_for_status()


def read(client: httpx.Client, conversation_id: str) -> list[dict[str, Any]]:
    path = f"/conversations/{conversation_id}/items"
    return list(client.get(path, params={"limit": 100}).json()["data"])


def texts(window: Page) -> list[str]:
    return [text.strip() for text in window.locator("article .body").all_text_contents()]


def test_every_example_of_the_contract_is_shown_by_its_type(
    console: Console, client: httpx.Client, problems: list[str]
) -> None:
    items = [{**item, "id": f"item_{number}"} for number, (_, item) in enumerate(EXAMPLES)]
    window = console.sign_in(f"#/{make(client, *items)}")
    shown: set[str] = set()

    for number in range(math.ceil(len(items) / BLOCK_ITEMS)):
        block = window.locator(".block").nth(number)
        block.scroll_into_view_if_needed()
        expect(block.locator("article").first).to_be_attached()
        shown |= set(block.locator("[data-id]").evaluate_all("all => all.map(e => e.dataset.id)"))

    assert shown == {item["id"] for item in items}
    known = set(window.evaluate("Object.keys(ITEM_VIEWS)"))
    assert known <= {with_type(item)["type"] for _, item in EXAMPLES}
    assert problems == []


@pytest.mark.prove
def test_a_tool_call_is_shown_with_its_output(console: Console, client: httpx.Client) -> None:
    again = {**CALL, "arguments": '{"city":"B"}'}
    window = console.sign_in(f"#/{make(client, CALL, again, HELLO, OUTPUT, {**CALL}, OUTPUT)}")

    articles = window.locator("article")
    expect(articles).to_have_count(4)
    assert ["21" in text for text in articles.all_text_contents()] == [False, True, False, True]
    assert articles.nth(1).locator("header h2").text_content() == "Function call"
    assert articles.nth(1).locator(".name").text_content() == "get_weather"


@pytest.mark.prove
def test_an_output_joins_its_call_when_an_earlier_page_comes(
    console: Console, client: httpx.Client
) -> None:
    fill = [message(f"m{number}") for number in range(110)]
    conversation_id = make(client, CALL, *fill, OUTPUT)
    last = read_last(client, conversation_id)
    window = console.sign_in(f"#/{conversation_id}/{last}")
    expect(window.locator(f"article[data-id={last}]")).to_be_focused()

    while window.get_by_role("button", name="Show more items").count():
        window.get_by_role("button", name="Show more items").click()
        expect(window.get_by_text("Loading …")).to_have_count(0)

    expect(window.locator(f"article[data-id={last}]")).to_have_count(0)
    window.locator(".scroller").evaluate("scroller => { scroller.scrollTop = 0; }")
    expect(window.locator(f"article .output[data-id={last}]")).to_contain_text("21")


def read_last(client: httpx.Client, conversation_id: str) -> str:
    path = f"/conversations/{conversation_id}/items"
    return str(client.get(path, params={"order": "desc", "limit": 1}).json()["data"][0]["id"])


@pytest.mark.prove
def test_an_unknown_type_or_shape_is_shown_as_json(console: Console, client: httpx.Client) -> None:
    items = [
        {"id": "a", "type": "telepathy", "thought": "<b>hm</b>"},
        {"id": "b", "type": "message", "role": "user", "content": 7},
        {"id": "c", "type": "constructor"},
        {"id": "d", "type": "message", "role": "constructor", "status": "constructor"},
    ]
    conversation_id = make(client)
    page = {"data": items, "first_id": "a", "last_id": "d", "has_more": False}
    console.window.route(re.compile("/items"), lambda route: route.fulfill(json=page))

    window = console.sign_in(f"#/{conversation_id}")

    expect(window.locator("article > header h2")).to_have_text(
        ["telepathy", "message", "constructor", "message"]
    )
    expect(window.locator("article").first).to_contain_text('"thought": "<b>hm</b>"')
    expect(window.locator("article").nth(1)).to_contain_text('"content": 7')


HOSTILE = [
    "<script>window.hacked = 1</script>",
    "<img src=x onerror='window.hacked = 1'>",
    "<svg onload='window.hacked = 1'><animate onbegin='window.hacked = 1'/></svg>",
    "[a](javascript:window.hacked=1) <javascript:window.hacked=1> [b](JaVaScRiPt:alert(1))",
    "[c](data:text/html,<script>window.hacked=1</script>) [d](vbscript:x)",
    "![e](https://evil.example/pixel.png) ![f](javascript:window.hacked=1)",
    '<a href="https://evil.example" style="position:fixed" onclick="window.hacked=1">g</a>',
    "<iframe srcdoc='<script>parent.hacked=1</script>'></iframe><base href=//evil.example>",
    "<form action=https://evil.example><input name=key></form><style>*{display:none}</style>",
    "| a |\n|:-:|\n| <img src=x onerror=window.hacked=1> |",
    "```html\n</code></pre><script>window.hacked=1</script>\n```",
    "\u202egnp.exe \u2066hidden\u2069",
    "<math><mtext><table><mglyph><style><!--</style><img title='--><img src=x onerror=hacked=1>'>",
    "<!--<script>window.hacked=1</script>-->]]><![CDATA[<script>window.hacked=1</script>",
]


def test_hostile_content_stays_text(
    console: Console, client: httpx.Client, problems: list[str]
) -> None:
    svg = "data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' onload='parent.hacked=1'/>"
    parts = [
        {"type": "input_image", "image_url": svg},
        {"type": "input_image", "image_url": "javascript:window.hacked=1"},
        {"type": "input_image", "image_url": "https://evil.example/pixel.png"},
        {"type": "input_file", "file_url": "javascript:window.hacked=1", "filename": HOSTILE[0]},
    ]
    tools = [
        {"type": "function_call", "call_id": text[:20], "name": text, "arguments": text}
        for text in HOSTILE
    ]
    outputs = [{"type": "function_call_output", "call_id": t[:20], "output": t} for t in HOSTILE]
    conversation_id = make(
        client,
        *[message(text) for text in HOSTILE],
        *tools,
        *outputs,
        {"type": "message", "role": "user", "content": parts},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": HOSTILE[1]}]},
    )
    path = f"/conversations/{conversation_id}"
    client.post(path, json={"metadata": {"title": HOSTILE[0], HOSTILE[1]: HOSTILE[2]}})

    window = console.sign_in(f"#/{conversation_id}")
    expect(window.locator(".conversation-head h1")).to_have_text(HOSTILE[0])
    expect(window.locator("article").first).to_have_text(re.compile("window.hacked = 1"))
    for number in range(2):
        block = window.locator(".block").nth(number)
        block.scroll_into_view_if_needed()
        expect(block.locator("article").first).to_be_attached()
        block.locator("details:not([open]) > summary").evaluate_all(
            "all => all.map(e => e.click())"
        )
    expect(window.locator(".raw .code").last).to_be_attached()
    expect(window.get_by_text("Open the image at evil.example")).to_be_attached()

    inside = window.locator("#conversation")
    assert window.evaluate("window.hacked") is None
    assert inside.locator("script, iframe, form, style, svg, math, base, object").count() == 0
    handlers = "all => all.flatMap(e => e.getAttributeNames()).filter(n => /^on|style/.test(n))"
    assert inside.locator("article *").evaluate_all(handlers) == []
    links = inside.locator("a").evaluate_all("all => all.map(e => e.href)")
    assert {link.partition(":")[0] for link in links} <= {"http", "https"}
    sources = inside.locator("img").evaluate_all("all => all.map(e => e.src)")
    assert all(source.startswith("data:image/") for source in sources)
    assert not [request for request in console.requests if "evil" in request]
    assert problems == []


@pytest.mark.prove
def test_characters_that_reorder_text_are_named(console: Console, client: httpx.Client) -> None:
    call = {**CALL, "name": "a\u202eb", "arguments": '{"file":"\u202egnp.exe"}'}
    window = console.sign_in(f"#/{make(client, message('\u202egnp.exe'), call)}")

    articles = window.locator("article")
    expect(articles.nth(0)).to_contain_text("[U+202E]gnp.exe")
    expect(articles.nth(1).locator(".name")).to_have_text("a[U+202E]b")
    expect(articles.nth(1).locator(".code").first).to_contain_text(r"\u202egnp.exe")


@pytest.mark.prove
def test_a_line_of_a_megabyte_is_cut_until_asked_for(
    console: Console, client: httpx.Client
) -> None:
    length = 1_000_000
    window = console.sign_in(f"#/{make(client, message('x' * length))}")
    text = window.locator("article .text")
    expect(text).to_contain_text("Show all 1,000,000 characters")
    assert len(text.text_content() or "") < 30_000

    window.get_by_role("button", name="Show all").click()

    assert len(text.text_content() or "") == length
    assert window.evaluate("document.documentElement.scrollWidth") == console.view.width


def test_markdown_is_rendered(console: Console, client: httpx.Client) -> None:
    text = (
        "# Plan\n\n**bold** `code` <https://ferry.example>\n\n- one\n\n```python\nprint(1)\n```\n\n"
        f"| a | b |\n|---|--:|\n| 1 | 2 |\n\n![dot]({PIXEL})"
    )
    window = console.sign_in(f"#/{make(client, message(text, 'assistant'))}")

    body = window.locator("article .markdown")
    expect(body.locator("h1")).to_have_text("Plan")
    expect(body.locator("strong")).to_have_text("bold")
    expect(body.locator("pre code")).to_have_text("print(1)\n")
    expect(body.locator("td.align-right")).to_have_text("2")
    expect(body.get_by_role("img", name="dot")).to_be_visible()
    link = body.get_by_role("link", name="https://ferry.example")
    assert link.get_attribute("rel") == "noopener noreferrer"


def serve_pages(number: int) -> Callable[[Route], None]:
    """Return a handler of list requests for a conversation of that many messages."""

    def page(route: Route) -> None:
        after = re.search(r"after=i(\d+)", route.request.url)
        start = int(after[1]) + 1 if after else 0
        data = [{"id": f"i{n}", **message(f"Message {n}")} for n in range(start, start + 100)]
        body = {"data": data, "first_id": f"i{start}", "last_id": f"i{start + 99}"}
        route.fulfill(json={**body, "has_more": start + 100 < number})

    return page


@pytest.mark.parametrize("number", [1_000, pytest.param(10_000, marks=pytest.mark.prove)])
def test_many_items_are_scrolled_with_few_of_them_in_the_page(
    number: int, console: Console, client: httpx.Client, problems: list[str]
) -> None:
    console.window.route(re.compile("/items"), serve_pages(number))
    window = console.sign_in(f"#/{make(client)}")
    most = 0

    for page_end in range(100, number + 1, 100):
        window.locator(".block").nth(page_end // BLOCK_ITEMS - 1).scroll_into_view_if_needed()
        most = max(most, window.locator("article").count())
    expect(window.get_by_text(f"Message {number - 1}", exact=True)).to_be_attached()
    window.locator(".scroller").evaluate("one => { one.scrollTop = 0; }")

    expect(window.get_by_text("Message 0", exact=True)).to_be_visible()
    assert 0 < most <= 200
    assert window.evaluate("document.querySelectorAll('*').length") < 5_000
    assert problems == []


@pytest.mark.prove
def test_what_is_read_does_not_move_when_items_are_added_above(
    console: Console, client: httpx.Client
) -> None:
    conversation_id = make(client, *[message(f"Message {number}") for number in range(100)])
    item_id = read(client, conversation_id)[60]["id"]
    window = console.sign_in(f"#/{conversation_id}/{item_id}")
    article = window.locator(f"article[data-id={item_id}]")
    expect(article).to_be_focused()
    expect(window.get_by_role("button", name="Show more items")).to_be_attached()
    before = article.bounding_box()

    window.get_by_role("button", name="Show more items").evaluate("button => button.click()")
    expect(window.get_by_role("button", name="Show more items")).to_have_count(0)

    after = article.bounding_box()
    assert before
    assert after
    assert abs(after["y"] - before["y"]) < 2


@pytest.mark.prove
def test_a_link_to_an_item_works_after_a_reload(console: Console, client: httpx.Client) -> None:
    conversation_id = make(client, *[message(f"Message {number}") for number in range(220)])
    item_id = read(client, conversation_id)[99]["id"]
    window = console.sign_in(f"#/{conversation_id}/{item_id}", keep=True)
    expect(window.locator(f"article[data-id={item_id}]")).to_be_in_viewport()

    window.reload()

    expect(window.locator(f"article[data-id={item_id}]")).to_be_in_viewport()
    expect(window.locator(f"article[data-id={item_id}]")).to_contain_text("Message 99")
    assert "Message 98" in "".join(texts(window))


@pytest.mark.prove
def test_deleted_items_are_reported(console: Console, client: httpx.Client) -> None:
    conversation_id = make(client, HELLO)
    window = console.sign_in("#/conv_gone")
    alert = window.locator("#conversation [role=alert]")
    expect(alert).to_contain_text("There is no conversation conv_gone")

    window.evaluate(f"location.hash = '#/{conversation_id}/msg_gone'")

    expect(alert).to_contain_text("There is no such item")


@pytest.mark.prove
def test_a_conversation_that_cannot_be_read_is_tried_again(
    console: Console, client: httpx.Client
) -> None:
    window = console.sign_in()
    window.route(re.compile("/items"), lambda route: route.abort(), times=1)
    window.evaluate(f"location.hash = '#/{make(client, HELLO)}'")
    expect(window.locator("#conversation [role=alert]")).to_contain_text("could not be reached")

    window.get_by_role("button", name="Try again").click()

    expect(window.locator("article")).to_have_count(1)


@pytest.mark.prove
def test_a_page_that_fails_while_scrolling_is_tried_again(
    console: Console, client: httpx.Client
) -> None:
    conversation_id = make(client, *[message(f"Message {number}") for number in range(101)])
    console.window.route(re.compile("after="), lambda route: route.abort(), times=1)
    window = console.sign_in(f"#/{conversation_id}")
    expect(window.locator("article")).not_to_have_count(0)
    window.locator(".scroller").evaluate("one => { one.scrollTop = one.scrollHeight; }")
    expect(window.locator(".edge [role=alert]")).to_contain_text("could not be reached")

    window.get_by_role("button", name="Try again").click()

    expect(window.get_by_text("Message 100", exact=True)).to_be_attached()


@pytest.mark.prove
def test_the_newest_comes_first_when_asked_to(console: Console, client: httpx.Client) -> None:
    window = console.sign_in(f"#/{make(client, *[message(f'm{n}') for n in range(120)])}")
    expect(window.locator("article").first).to_contain_text("m0")

    window.get_by_label("Order").select_option("desc")

    expect(window.locator("article").first).to_contain_text("m119")
    assert texts(window)[:3] == ["m119", "m118", "m117"]
    window.locator(".scroller").evaluate("one => { one.scrollTop = one.scrollHeight; }")
    window.locator(".scroller").evaluate("one => { one.scrollTop = one.scrollHeight; }")
    expect(window.get_by_text("m0", exact=True)).to_be_attached()


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_what_is_appended_is_shown_while_following(
    order: str, console: Console, client: httpx.Client
) -> None:
    conversation_id = make(client, CALL)
    console.window.clock.install()
    window = console.sign_in(f"#/{conversation_id}")
    expect(window.locator("article")).to_have_count(1)
    window.get_by_label("Order").select_option(order)
    window.get_by_role("button", name="Follow").click()

    append(client, conversation_id, OUTPUT, message("new"))
    window.clock.fast_forward(FOLLOW_MS)

    expect(window.locator("article")).to_have_count(2)
    call, new = (0, 1) if order == "asc" else (1, 0)
    expect(window.locator("article").nth(call)).to_contain_text("21")
    expect(window.locator("article").nth(new)).to_contain_text("new")
    expect(window.get_by_role("button", name="Follow")).to_have_attribute("aria-pressed", "true")


@pytest.mark.prove
def test_a_deletion_ends_the_following(console: Console, client: httpx.Client) -> None:
    conversation_id = make(client)
    console.window.clock.install()
    window = console.sign_in(f"#/{conversation_id}")
    expect(window.get_by_text("This conversation has no items.")).to_be_visible()
    follow = window.get_by_role("button", name="Follow")
    follow.click()
    append(client, conversation_id, HELLO)
    window.clock.fast_forward(FOLLOW_MS)
    expect(window.locator("article")).to_have_count(1)
    expect(window.get_by_text("This conversation has no items.")).to_have_count(0)

    client.delete(f"/conversations/{conversation_id}")
    window.clock.fast_forward(FOLLOW_MS)

    expect(window.locator("#conversation [role=alert]")).to_contain_text("There is no conversation")
    expect(follow).to_have_attribute("aria-pressed", "false")


@pytest.mark.prove
def test_a_conversation_is_taken_away_whole(console: Console, client: httpx.Client) -> None:
    conversation_id = make(client, *[message(f"m{number}") for number in range(119)], CALL)
    items = [*read(client, conversation_id)]
    items += client.get(
        f"/conversations/{conversation_id}/items", params={"after": items[-1]["id"]}
    ).json()["data"]
    window = console.sign_in(f"#/{conversation_id}")

    def copied(label: str) -> str:
        window.get_by_role("button", name=label).click()
        expect(window.locator("#announcement")).to_have_text("Copied")
        return str(window.evaluate("navigator.clipboard.readText()"))

    markdown = copied("Copy Markdown")
    window.evaluate("announce('')")
    whole = json.loads(copied("Copy JSON"))
    with window.expect_download() as download:
        window.get_by_role("button", name="Download JSONL").click()

    assert whole["id"] == conversation_id
    assert whole["items"] == items
    lines = Path(download.value.path()).read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == items
    assert markdown.startswith("# Ferry\n\n## User\n\nm0\n\n## User\n\nm1\n")
    assert "## Function call\n\n```json" in markdown


@pytest.mark.prove
def test_an_item_is_copied_as_json(console: Console, client: httpx.Client) -> None:
    conversation_id = make(client, HELLO)
    [item] = read(client, conversation_id)
    window = console.sign_in(f"#/{conversation_id}")

    window.get_by_text(item["id"]).click()
    expect(window.locator("article .raw .code")).to_contain_text('"role": "user"')
    window.get_by_role("button", name="Copy JSON").last.click()

    expect(window.locator("#announcement")).to_have_text("Copied")
    assert json.loads(window.evaluate("navigator.clipboard.readText()")) == item
