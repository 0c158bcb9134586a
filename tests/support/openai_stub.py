"""HTTP server that replaces OpenAI's Conversations API as the source of an import.

Like OpenAI's, it omits the large fields that `include` does not select.
"""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, override
from urllib.parse import parse_qs, urlsplit

from conversations.http.rendering import apply_include

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

KEY = "sk-test"


@contextmanager
def openai_stub(conversations: Mapping[str, Any]) -> Iterator[str]:
    """Serve conversations by id for the block, and yield the base URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = self._answer()
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def _answer(self) -> tuple[int, Any]:
            url = urlsplit(self.path)
            _, _, _, name, *rest = url.path.split("/")
            if self.headers["Authorization"] != f"Bearer {KEY}":
                return 401, {"error": {"message": "Incorrect API key provided", "code": None}}
            if name not in conversations:
                return 404, {"error": {"message": f"No conversation {name}", "code": None}}
            known = conversations[name]
            if not rest:
                fields = {"id": name, "object": "conversation"}
                return 200, fields | {key: known[key] for key in ("created_at", "metadata")}
            return 200, known.get("page") or page_of(known["items"], parse_qs(url.query))

        @override
        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def page_of(items: list[Any], query: Mapping[str, list[str]]) -> Any:
    """Return a page in OpenAI's format, by default the newest first."""
    ordered = items if query.get("order") == ["asc"] else items[::-1]
    names = [item["id"] for item in ordered]
    start = names.index(query["after"][0]) + 1 if "after" in query else 0
    limit = int(query.get("limit", ["20"])[0])
    included = frozenset(query.get("include[]", []))
    page = [apply_include(included, item) for item in ordered[start : start + limit]]
    ends = {"first_id": page[0]["id"], "last_id": page[-1]["id"]} if page else {}
    return {"object": "list", "data": page, "has_more": start + limit < len(ordered), **ends}
