"""HTTP server on a loopback address: uvicorn in a thread."""

import errno
import ipaddress
import logging
import socket
import threading
import time
from typing import Any, Final

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from local.errors import UnusableAddressError
from local.gateway import RAW_HEADERS, Gateway

# A killed stack releases the port within this time.
_PORT_PATIENCE_SECONDS: Final = 2.0
_PORTS: Final = range(65536)


class _Connection(h11.Connection):
    """HTTP connection that records the client's spelling of headers, which h11 lowercases."""

    def __init__(self, notes: dict[str, object], *args: Any) -> None:  # noqa: ANN401 - passed on
        super().__init__(*args)
        self._notes = notes

    def next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        event = super().next_event()
        if isinstance(event, h11.Request):
            self._notes[RAW_HEADERS] = event.headers.raw_items()
        return event


class _Protocol(H11Protocol):
    """uvicorn's protocol with the raw headers in each request's state."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - passed on
        super().__init__(*args, **kwargs)
        # uvicorn copies the state into the scope right after the request event.
        self.app_state = dict(self.app_state)
        self.conn = _Connection(self.app_state, h11.SERVER)


class _Uvicorn(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()


class Server:
    """Server of the application on a bound socket."""

    def __init__(self, gateway: Gateway, bound: socket.socket) -> None:
        self._gateway = gateway
        self._bound = bound
        self._uvicorn = _Uvicorn(
            uvicorn.Config(
                gateway,
                access_log=False,
                http=_Protocol,
                lifespan="off",
                log_config=None,
                server_header=False,
                timeout_graceful_shutdown=5,
                timeout_keep_alive=75,
                ws="none",
            )
        )
        self._thread = threading.Thread(
            target=self._uvicorn.run, kwargs={"sockets": [bound]}, name="http", daemon=True
        )

    @property
    def url(self) -> str:
        """Root URL without a trailing slash."""
        host, port = self._bound.getsockname()[:2]
        return f"http://{f'[{host}]' if ':' in host else host}:{port}"

    def start(self) -> None:
        """Start to serve in the background."""
        logging.getLogger("uvicorn").setLevel(logging.WARNING)
        self._thread.start()
        self._uvicorn.listening.wait()

    def stop(self) -> None:
        """Reject new requests, finish those in flight, and release the port."""
        self._uvicorn.should_exit = True
        self._thread.join()
        self._gateway.close()


def bind_loopback(host: str, port: int) -> socket.socket:
    """Bind a socket to *port*, or to a free port if it is 0.

    Raises:
        UnusableAddressError: the address is not a loopback one, or the port is invalid or in use.
    """
    family, address = _loopback_address(host)
    if port not in _PORTS:
        raise UnusableAddressError(f"PORT must be from 0 to 65535, got {port}; 0 is any free port.")
    # asyncio sets TCP_NODELAY only on sockets that name the protocol; without it, 40 ms a request.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    deadline = time.monotonic() + _PORT_PATIENCE_SECONDS
    while True:
        try:
            bound.bind((address, port))
            bound.listen()
        except OSError as error:
            if error.errno != errno.EADDRINUSE or time.monotonic() > deadline:
                bound.close()
                raise UnusableAddressError(_cannot_listen(address, port, error)) from error
            time.sleep(0.05)
        else:
            return bound


def _cannot_listen(address: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} of {address} is in use: stop its process, or set another PORT."
    return f"Port {port} of {address} cannot be used: {error}."


def _loopback_address(host: str) -> tuple[socket.AddressFamily, str]:
    try:
        address = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        address = ipaddress.ip_address("0.0.0.0")  # noqa: S104 - rejected below
    if not address.is_loopback:
        raise UnusableAddressError(
            f"HOST is {host}, but the local stack serves loopback addresses only, such as "
            "127.0.0.1: its keys and its traffic are in plain text."
        )
    return (socket.AF_INET if address.version == 4 else socket.AF_INET6), str(address)  # noqa: PLR2004 - IPv4
