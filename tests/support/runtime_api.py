"""Lambda's Runtime API, in which a built function runs under the real runtime client."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue
from threading import Thread
from time import time

INVOCATION_SECONDS = 15


class FunctionError(Exception):
    """Failure of a function's start or invocation, as reported by the runtime."""


class RuntimeApi:
    """Source of events for one execution environment, and receiver of its responses."""

    def __init__(
        self, address: str, events: Queue[bytes | None], responses: Queue[tuple[str, bytes]]
    ) -> None:
        self.address = address
        self._events = events
        self._answers = responses

    def invoke(self, event: Mapping[str, object]) -> dict[str, object]:
        """Return the function's response to *event*.

        Raises:
            FunctionError: the function raised or cannot be imported; the message is the runtime's.
        """
        self._events.put(json.dumps(event).encode())
        outcome, body = self._answers.get(timeout=INVOCATION_SECONDS)
        if outcome != "response":
            raise FunctionError(body.decode())
        response = json.loads(body)
        assert isinstance(response, dict)
        return response


@contextmanager
def serve_runtime_api() -> Iterator[RuntimeApi]:
    """Serve a Runtime API on a free loopback port."""
    events: Queue[bytes | None] = Queue()  # None: no more events
    responses: Queue[tuple[str, bytes]] = Queue()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            """Return the next invocation, once there is one."""
            event = events.get()
            if event is None:
                self.close_connection = True
                return
            self.send_response(200)
            self.send_header(
                "Lambda-Runtime-Aws-Request-Id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd"
            )
            self.send_header(
                "Lambda-Runtime-Deadline-Ms", str(int((time() + INVOCATION_SECONDS) * 1000))
            )
            self.send_header(
                "Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:us-east-1:1:function:f"
            )
            self.send_header("Content-Type", "application/json")
            self._finish(event)

        def do_POST(self) -> None:
            """Accept the response or error of an invocation, or the error of a failed start."""
            body = self.rfile.read(int(self.headers["Content-Length"]))
            responses.put((self.path.rsplit("/", 1)[-1], body))
            self.send_response(202)
            self._finish(b"")

        def _finish(self, body: bytes) -> None:
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Write no log."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield RuntimeApi(f"127.0.0.1:{server.server_port}", events, responses)
    finally:
        events.put(None)
        server.shutdown()
        server.server_close()
