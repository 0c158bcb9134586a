"""Client of a deployed API that checks what every response must have."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Self

import httpx

if TYPE_CHECKING:
    from collections.abc import Sequence

type Json = dict[str, Any]

CONVERSATIONS = "/conversations"
TIMEOUT_SECONDS = 30
"""API Gateway waits for 29 seconds itself."""
SHOWN_CHARACTERS = 300


class CheckError(Exception):
    """A response is not what it must be."""


class SkipError(Exception):
    """A check cannot be made with what was given; the message says what it needs."""


@dataclass(frozen=True, slots=True)
class Api:
    """One prefix of the API, spoken to with one key or none."""

    client: httpx.Client
    """Its base URL is the root that the stack names as `ApiUrl`."""
    prefix: str
    key: str | None
    read_key: str | None = None
    """A key with the scope `read` alone."""
    origin: str | None = None
    """One of `CorsOrigins`."""
    created: list[tuple[str, Json]] = field(default_factory=list)
    """Paths of the conversations that were made, with the headers that reach them."""

    def with_key(self, key: str | None) -> Self:
        """Return the same API, spoken to with another key or none."""
        return replace(self, key=key)

    def url(self, path: str) -> str:
        """Return the whole URL of a path behind the prefix."""
        return str(self.client.base_url).rstrip("/") + self.prefix + path

    def send(self, method: str, path: str, **request: Any) -> httpx.Response:  # noqa: ANN401 - httpx's
        """Return the response to a request, whatever it is."""
        headers = {**self._authorization(), **request.pop("headers", {})}
        return self.client.request(method, self.url(path), headers=headers, **request)

    def call(self, method: str, path: str, **request: Any) -> httpx.Response:  # noqa: ANN401 - httpx's
        """Return the response to a request that must succeed.

        Raises:
            CheckError: it does not, or has no `x-request-id`.
        """
        return require(self.send(method, path, **request))

    def refused(
        self,
        method: str,
        path: str,
        status: int,
        code: str,
        **request: Any,  # noqa: ANN401 - httpx's
    ) -> httpx.Response:
        """Return the response to a request that must be refused with this error.

        Raises:
            CheckError: it is answered in another way, or in another envelope.
        """
        response = require(self.send(method, path, **request), status)
        error = error_of(response)
        expect(
            error.get("code") == code and {"message", "type", "param"} <= error.keys(),
            f"{method} {self.prefix}{path} must answer with the error code {code}, "
            f"got {response.text[:SHOWN_CHARACTERS]}",
        )
        return response

    def create(self, items: Sequence[Json] = (), headers: Json | None = None) -> str:
        """Return the path of a new conversation, which is deleted at the end of the run."""
        body = {"items": [*items]}
        made = self.call("POST", CONVERSATIONS, json=body, headers=headers or {}).json()
        path = f"{CONVERSATIONS}/{made['id']}"
        self.created.append((path, headers or {}))
        return path

    def head(self, path: str) -> tuple[int, bytes]:
        """Return the status of a HEAD request, and what follows the headers up to the end.

        HTTP clients pass over a body that must not be there; so this reads the connection itself.
        """
        url = httpx.URL(self.url(path))
        headers = {**self.client.headers, **self._authorization(), "Connection": "close"}
        lines = [f"HEAD {url.raw_path.decode()} HTTP/1.1", f"Host: {url.netloc.decode()}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        port = url.port or {"http": 80, "https": 443}[url.scheme]
        with socket.create_connection((url.host, port), TIMEOUT_SECONDS) as plain:
            secure = ssl.create_default_context().wrap_socket if url.scheme == "https" else None
            with secure(plain, server_hostname=url.host) if secure else plain as connection:
                connection.sendall("\r\n".join([*lines, "", ""]).encode())
                received = b"".join(iter(lambda: connection.recv(65_536), b""))
        head, _, body = received.partition(b"\r\n\r\n")
        return int(head.split(maxsplit=2)[1]), body

    def delete_created(self) -> None:
        """Delete every conversation that was made and is still there.

        Raises:
            CheckError: one is left, and its path is named.
        """
        while self.created:
            path, headers = self.created.pop()
            response = self.send("DELETE", path, headers=headers)
            if response.status_code != HTTPStatus.NOT_FOUND:
                require(response)

    def _authorization(self) -> Json:
        return {"Authorization": f"Bearer {self.key}"} if self.key else {}


def require(response: httpx.Response, status: int = HTTPStatus.OK) -> httpx.Response:
    """Return the response, which must have this status and an `x-request-id`.

    Raises:
        CheckError: it has not.
    """
    request_id = response.headers.get("x-request-id")
    what = f"{response.request.method} {response.request.url.path}"
    if response.status_code != status:
        raise CheckError(
            f"{what} must answer {status:d}, got {response.status_code}. "
            f"x-request-id {request_id}: {response.text[:SHOWN_CHARACTERS]}"
        )
    expect(request_id, f"{what} has no header x-request-id. {response.text[:SHOWN_CHARACTERS]}")
    return response


def error_of(response: httpx.Response) -> Json:
    """Return the inside of the error's envelope, empty if the response has none."""
    try:
        error = response.json()["error"]
    except (ValueError, KeyError, TypeError):
        return {}
    return error if isinstance(error, dict) else {}


def expect(holds: object, message: str) -> None:
    """Check a fact.

    Raises:
        CheckError: it does not hold.
    """
    if not holds:
        raise CheckError(message)
