"""Cold starts: CPU of a new execution environment up to its first response, and its memory.

The built artifacts and the peer run alternately, each in a new process. A server on this machine
replaces DynamoDB with fixed responses, so that the AWS client does all of its work.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from benchmarks import events
from benchmarks.comparisons import Row, figure, ratio
from local.template import Template

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from benchmarks.events import Event

BUILD = Path(__file__).parents[1] / ".aws-sam" / "build"
LAYER = BUILD / "ConversationsLayer" / "python"
SOURCE = Path(__file__).parents[1] / "layers" / "conversations"
SITE_PACKAGES = Path(sysconfig.get_path("purelib"))
"""Packages of the peer, with boto3 as installed."""
PEER = Path(__file__).parent / "peers" / "fastapi"
WORKER = Path(__file__).with_name("worker.py")
WARM_RESPONSES = 50
CONVERSATION = "conv_abc123"
FASTAPI = "FastAPI + Mangum + boto3"
MEGABYTE = 1_000_000
KEY_RECORD = json.dumps(
    {
        "Item": {
            "key_id": {"S": "key_0123456789abcdef"},
            "account": {"S": "acme"},
            "name": {"S": "bench"},
            "scopes": {"SS": ["read", "write", "delete"]},
            "may_delegate": {"BOOL": False},
            "created_at": {"N": "1800000000"},
            "last_four": {"S": "bXiT"},
        }
    }
).encode()
"""DynamoDB's response to the authorizer."""


class Start(NamedTuple):
    """Measurements of one process."""

    parts_ms: list[float]
    """CPU of each import that was ordered to come first."""
    import_ms: float
    """CPU of the whole import of the function."""
    responses_ms: list[list[float]]
    peak_mb: float

    @property
    def first_response_ms(self) -> float:
        """CPU of the import and the first response."""
        return self.import_ms + self.responses_ms[0][0]


def compare_cold_starts(responses: Mapping[str, bytes], rounds: int) -> list[Row]:
    """Compare the API function with the peer, and the authorizer with the API function.

    *responses* are DynamoDB's, by operation, as `ClientRecorder` recorded them.
    """
    appends: list[tuple[Event, int]] = [
        (events.append(CONVERSATION, 1), WARM_RESPONSES),
        (events.append(CONVERSATION, 20), WARM_RESPONSES),
    ]
    pages = [(events.list_items(CONVERSATION, 100), WARM_RESPONSES)]
    verifications: list[tuple[Event, int]] = [(events.authorization(), 1)]
    functions = Template().functions
    with serving({**responses, "GetItem": KEY_RECORD}) as url:
        environment = {**functions["ApiFunction"].environment, "AWS_ENDPOINT_URL": url}
        keys = {**functions["AuthorizerFunction"].environment, "AWS_ENDPOINT_URL": url}
        api = Environment(BUILD / "ApiFunction", environment, [LAYER])
        authorizer = Environment(BUILD / "AuthorizerFunction", keys, [LAYER])
        peer = Environment(PEER, environment, [SITE_PACKAGES, SOURCE])
        for each in (api, authorizer, peer):
            each.start([])  # writes bytecode where the artifact has none
        starts = [
            (api.start(appends + pages), peer.start(appends), authorizer.start(verifications))
            for _ in range(rounds)
        ]
    apis, peers, authorizers = zip(*starts, strict=True)
    both = (apis, peers)
    return [
        _ratio("API function: init CPU", FASTAPI, both, "import_ms", 0.60),
        _ratio(
            "API function: CPU up to the first response", FASTAPI, both, "first_response_ms", 0.60
        ),
        _ratio(
            "authorizer: CPU up to the first response",
            "API function",
            (authorizers, apis),
            "first_response_ms",
            0.60,
        ),
        *_compare_warm(apis, peers),
        figure("layer, unzipped", round(_size(LAYER.parent) / MEGABYTE, 2), "MB", 30),
        figure(
            "API function, in this run: peak memory",
            round(max(start.peak_mb for start in apis), 1),
            "MB",
            130,
        ),
    ]


class Environment:
    """Execution environment of a function: its folder, variables and packages."""

    def __init__(
        self, folder: Path, variables: Mapping[str, str], packages: Sequence[Path]
    ) -> None:
        self._folder = folder
        path = [folder, *packages]
        self._variables = {
            **variables,
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_ACCESS_KEY_ID": "none",
            "AWS_SECRET_ACCESS_KEY": "none",
            "AWS_DEFAULT_REGION": "us-east-1",
            "PATH": os.environ["PATH"],
            "PYTHONPATH": ":".join(map(str, path)),
        }

    def start(self, orders: Sequence[tuple[Event, int]], imports: Sequence[str] = ()) -> Start:
        """Start a process that handles each event the given number of times.

        It first imports the modules *imports*, one by one, and then the function.
        """
        done = subprocess.run(  # noqa: S603 - our own worker
            [sys.executable, "-S", WORKER, *imports],
            cwd=self._folder,
            env=self._variables,
            input=json.dumps(orders),
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        return Start(**json.loads(done.stdout))


@contextmanager
def serving(responses: Mapping[str, bytes]) -> Iterator[str]:
    """Serve a fixed response for each DynamoDB operation, and yield the server's URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            body = responses[self.headers["X-Amz-Target"].rpartition(".")[2]]
            self.send_response(200)
            self.send_header("Content-Type", "application/x-amz-json-1.0")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Write no log."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def _compare_warm(apis: Sequence[Start], peers: Sequence[Start]) -> list[Row]:
    """Compare the median warm responses of the same processes."""
    return [
        ratio(
            f"append of {count}: CPU in the built function",
            FASTAPI,
            ours=[sorted(api.responses_ms[index])[WARM_RESPONSES // 2] for api in apis],
            theirs=[sorted(peer.responses_ms[index])[WARM_RESPONSES // 2] for peer in peers],
            unit="ms",
        )
        for index, count in enumerate((1, 20))
    ]


def _ratio(
    what: str,
    against: str,
    starts: tuple[Sequence[Start], Sequence[Start]],
    measured: str,
    at_most: float | None = None,
) -> Row:
    ours, theirs = ([getattr(start, measured) for start in each] for each in starts)
    return ratio(what, against, ours=ours, theirs=theirs, unit="ms", at_most=at_most)


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
