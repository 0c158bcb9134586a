"""Client of a deployed API that checks what every response must have."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from http.client import parse_headers
from io import BytesIO
from typing import TYPE_CHECKING, Any, Self

import httpx

if TYPE_CHECKING:
    from collections.abc import Sequence

type Json = dict[str, Any]

CONVERSATIONS = "/conversations"
TIMEOUT_SECONDS = 30
"""Longer than API Gateway's own timeout of 29 seconds."""
SHOWN_CHARACTERS = 300


class CheckError(Exception):
    """Response that differs from the expected one."""


class SkipError(Exception):
    """Check that the given options do not allow; the message says what it needs."""


@dataclass(frozen=True, slots=True)
class Api:
    """Client of one prefix of the API, with one key or none."""

    client: httpx.Client
    """Client whose base URL is the stack's output `ApiUrl`."""
    prefix: str
    key: str | None
    read_key: str | None = None
    """Key that has only the scope `read`."""
    origin: str | None = None
    """One origin of `CorsOrigins`."""
    created: list[tuple[str, Json]] = field(default_factory=list)
    """Paths of the conversations that the run created, with the headers of their owner."""

    def with_key(self, key: str | None) -> Self:
        """Return a client with another key or none."""
        return replace(self, key=key)

    def url(self, path: str) -> str:
        """Return the full URL of a path below the prefix."""
        return str(self.client.base_url).rstrip("/") + self.prefix + path

    def send(self, method: str, path: str, **request: Any) -> httpx.Response:  # noqa: ANN401 - httpx's
        """Send a request, and return the response, whatever its status."""
        headers = {**self._authorization(), **request.pop("headers", {})}
        return self.client.request(method, self.url(path), headers=headers, **request)

    def call(self, method: str, path: str, **request: Any) -> httpx.Response:  # noqa: ANN401 - httpx's
        """Send a request that must succeed, and return the response.

        Raises:
            CheckError: the status is not 200, or `x-request-id` is missing.
        """
        return require(self.send(method, path, **request))

    def rejected(
        self,
        method: str,
        path: str,
        status: int,
        code: str,
        **request: Any,  # noqa: ANN401 - httpx's
    ) -> httpx.Response:
        """Send a request that must fail with this error, and return the response.

        Raises:
            CheckError: the status, the code or the envelope differs.
        """
        response = require(self.send(method, path, **request), status)
        error = error_of(response)
        expect(
            error.get("code") == code and {"message", "type", "param"} <= error.keys(),
            f"{method} {self.prefix}{path} must return the error code {code}, "
            f"got {response.text[:SHOWN_CHARACTERS]}",
        )
        return response

    def create(self, items: Sequence[Json] = (), headers: Json | None = None) -> str:
        """Create a conversation, which the end of the run deletes, and return its path."""
        body = {"items": [*items]}
        made = self.call("POST", CONVERSATIONS, json=body, headers=headers or {}).json()
        path = f"{CONVERSATIONS}/{made['id']}"
        self.created.append((path, headers or {}))
        return path

    def head(self, path: str) -> httpx.Response:
        """Send a HEAD request, and return the response with any bytes after the headers.

        HTTP clients ignore a body after HEAD, so this reads the connection itself.
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
        status_line, _, fields = head.partition(b"\r\n")
        return httpx.Response(
            int(status_line.split()[1]),
            headers=[*parse_headers(BytesIO(fields + b"\r\n\r\n")).items()],
            content=body,
            request=httpx.Request("HEAD", url),
        )

    def delete_created(self) -> None:
        """Delete every conversation that the run created and that still exists.

        Raises:
            CheckError: a deletion failed; the message has the path of each that did.
        """
        failures = []
        for entry in [*self.created]:
            path, headers = entry
            try:
                response = self.send("DELETE", path, headers=headers)
                if response.status_code != HTTPStatus.NOT_FOUND:
                    require(response)
            except CheckError as error:
                failures.append(str(error))
            except httpx.HTTPError as error:
                left = ", ".join(dict.fromkeys(path for path, _ in self.created))
                raise CheckError(
                    f"No response: {type(error).__name__}. Not deleted: {left}."
                ) from error
            else:
                self.created.remove(entry)
        expect(not failures, " ".join(failures))

    def _authorization(self) -> Json:
        return {"Authorization": f"Bearer {self.key}"} if self.key else {}


def require(response: httpx.Response, status: int = HTTPStatus.OK) -> httpx.Response:
    """Return the response, which must have this status and an `x-request-id`.

    Raises:
        CheckError: the status differs, or the header is missing.
    """
    request_id = response.headers.get("x-request-id")
    what = f"{response.request.method} {response.request.url.path}"
    if response.status_code != status:
        raise CheckError(
            f"{what} must return {status:d}, got {response.status_code}. "
            f"x-request-id {request_id}: {response.text[:SHOWN_CHARACTERS]}"
        )
    expect(request_id, f"{what} has no header x-request-id. {response.text[:SHOWN_CHARACTERS]}")
    return response


def error_of(response: httpx.Response) -> Json:
    """Return the `error` object of the envelope, empty if the response has none."""
    try:
        error = response.json()["error"]
    except (ValueError, KeyError, TypeError):
        return {}
    return error if isinstance(error, dict) else {}


def expect(holds: object, message: str) -> None:
    """Check that a condition holds.

    Raises:
        CheckError: the condition does not hold.
    """
    if not holds:
        raise CheckError(message)
