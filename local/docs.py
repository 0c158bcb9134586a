"""`/docs`: a page to read the API's documents and to try them. It is not deployed.

The root leads to it.
"""

from pathlib import Path
from typing import Final

from local.gateway import Gateway, Message, Receive, Send
from local.template import Api

PATH: Final = "/docs"
_PAGE: Final = Path(__file__).with_name("docs.html")
# Whatever the page does, it does by itself and with this server alone.
_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'"
)


class Site:
    """The API, and beside it the page."""

    def __init__(self, gateway: Gateway, api: Api) -> None:
        self._gateway = gateway
        self._root = api.base_path
        self._path = api.base_path + PATH
        paths = (
            api.base_path + route.path
            for route in api.routes
            if route.path.endswith("/openapi.json")
        )
        documents = [*dict.fromkeys(paths)]
        self._documents = " ".join(documents)
        self._prefixes = " or ".join(path.removesuffix("/openapi.json") for path in documents)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        path = scope["path"].removesuffix("/") if scope["method"] == "GET" else None
        if path == self._path:
            await self._send_page(send)
        elif path == self._root:
            await self._send_to_page(send)
        else:
            await self._gateway(scope, receive, send)

    def close(self) -> None:
        """Let the requests under way finish."""
        self._gateway.close()

    async def _send_page(self, send: Send) -> None:
        page = _PAGE.read_text(encoding="utf-8").replace("{documents}", self._documents)
        headers = [
            (b"content-type", b"text/html; charset=utf-8"),
            (b"content-security-policy", _POLICY.encode()),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": page.encode()})

    async def _send_to_page(self, send: Send) -> None:
        headers = [
            (b"location", self._path.encode()),
            (b"content-type", b"text/plain; charset=utf-8"),
        ]
        text = f"The page {self._path} shows the API, whose routes begin with {self._prefixes}.\n"
        await send({"type": "http.response.start", "status": 307, "headers": headers})
        await send({"type": "http.response.body", "body": text.encode()})
