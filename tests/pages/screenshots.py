"""Program of `make screenshots`, which takes the pictures of the pages for docs."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import httpx
from playwright.sync_api import Page, sync_playwright

from conversations.auth.api_keys import ApiKeyRepository
from local.stack import DevStack
from tests.pages.conftest import CHROMIUM, arguments
from tests.support.paths import DOCS

if TYPE_CHECKING:
    from collections.abc import Sequence

ANSWER = """\
Your refund for **order 1042** is on its way:

| item | paid | refunded |
|---|--:|--:|
| Tea kettle | €49.90 | €49.90 |
| Express delivery | €9.00 | €4.50 |

It reaches your account **within 3 days**. Half of the delivery stays: one parcel arrived."""
CONVERSATION: Sequence[dict[str, Any]] = [
    {"type": "message", "role": "system", "content": "Answer in the customer's language."},
    {
        "type": "message",
        "role": "user",
        "content": "Only one of my two parcels came. Can I get the money for the kettle back?",
    },
    {
        "type": "reasoning",
        "summary": [
            {
                "type": "summary_text",
                "text": "**Check the order first**\n\nRefunds up to €100 need no approval.",
            }
        ],
    },
    {
        "type": "function_call",
        "call_id": "call_1",
        "name": "get_order",
        "arguments": json.dumps({"order": 1042}),
    },
    {
        "type": "function_call_output",
        "call_id": "call_1",
        "output": json.dumps({"status": "partly delivered", "missing": ["Tea kettle"]}),
    },
    {"type": "message", "role": "assistant", "content": ANSWER},
    {"type": "message", "role": "user", "content": "Great, thank you!"},
]
OTHERS = [
    {"title": "Invoice for March", "plan": "free"},
    {"title": "Change of address", "plan": "pro"},
    {"title": "Ferry to Texel, two bikes", "channel": "web"},
    {"title": "Nightly agent run 311", "agent": "reporter"},
    {"title": "Password reset", "plan": "free"},
    {"title": "Warranty of the blue lamp", "plan": "pro"},
    {"title": "Delivery on Saturday?", "channel": "mail"},
    {"title": "Nightly agent run 310", "agent": "reporter"},
]


def fill(client: httpx.Client) -> str:
    """Create the sample conversations, and return the id of the one to show."""
    for metadata in reversed(OTHERS):
        client.post("/conversations", json={"metadata": metadata}).raise_for_status()
    metadata = {"title": "Refund of order 1042", "plan": "pro", "channel": "chat"}
    made = client.post("/conversations", json={"metadata": metadata, "items": CONVERSATION})
    return str(made.raise_for_status().json()["id"])


def take(page: Page, name: str) -> None:
    """Write a picture of the window as WebP."""
    session = page.context.new_cdp_session(page)
    shot = session.send("Page.captureScreenshot", {"format": "webp", "quality": 80})
    (DOCS / f"{name}.webp").write_bytes(base64.b64decode(shot["data"]))


def main() -> None:
    """Take all pictures."""
    with DevStack.start(engine="moto") as stack, sync_playwright() as playwright:
        keys = ApiKeyRepository(stack.resources.dynamodb, stack.template.name("ApiKeysTable"))
        with stack.engine.lock:
            key, _ = keys.create(account="acme", name="screenshots")
        headers = {"Authorization": f"Bearer {key}"}
        with httpx.Client(base_url=f"{stack.url}/api/v1/llm", headers=headers) as client:
            conversation_id = fill(client)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments())
        page = browser.new_page(viewport={"width": 1280, "height": 860}, color_scheme="light")
        page.goto(f"{stack.url}/console#/{conversation_id}")
        page.get_by_label("API key").fill(key)
        page.get_by_role("button", name="Sign in").click()
        page.locator(".toolbar").wait_for()
        page.locator("article").last.wait_for()
        take(page, "console")
        page.goto(f"{stack.url}/api/v1/llm/docs")
        page.locator(".opblock").first.wait_for()
        take(page, "reference")
        browser.close()


if __name__ == "__main__":
    main()
