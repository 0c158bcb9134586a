"""Cold starts: CPU of a new execution environment up to its first response, and its memory.

The built artifacts run in processes of their own, in turn with the peer. DynamoDB is a server on
this machine with fixed responses, so that all of the AWS client's work is done.
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
"""What the peer has beside its folder: boto3 as it comes."""
PEER = Path(__file__).parent / "peers" / "fastapi"
WORKER = Path(__file__).with_name("worker.py")
WARM_ANSWERS = 50
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
    """What one process measured."""

    import_ms: float
    answers_ms: list[list[float]]
    peak_mb: float

    @property
    def first_answer_ms(self) -> float:
        """The import, and the first response."""
        return self.import_ms + self.answers_ms[0][0]


def compare_cold_starts(answers: Mapping[str, bytes], rounds: int) -> list[Row]:
    """The API function against the peer, and the authorizer against the API function.

    *answers* are DynamoDB's, by operation, as `ClientRecorder` kept them.
    """
    appends: list[tuple[Event, int]] = [
        (events.append(CONVERSATION, 1), WARM_ANSWERS),
        (events.append(CONVERSATION, 20), WARM_ANSWERS),
    ]
    pages = [(events.list_items(CONVERSATION, 100), WARM_ANSWERS)]
    verifications: list[tuple[Event, int]] = [(events.authorization(), 1)]
    functions = Template().functions
    with serving({**answers, "GetItem": KEY_RECORD}) as url:
        environment = {**functions["ApiFunction"].environment, "AWS_ENDPOINT_URL": url}
        keys = {**functions["AuthorizerFunction"].environment, "AWS_ENDPOINT_URL": url}
        api = Environment(BUILD / "ApiFunction", environment, [LAYER])
        authorizer = Environment(BUILD / "AuthorizerFunction", keys, [LAYER])
        peer = Environment(PEER, environment, [SITE_PACKAGES, SOURCE])
        for each in (api, authorizer, peer):
            each.start([])  # so that bytecode is written where the artifact has none
        starts = [
            (api.start(appends + pages), peer.start(appends), authorizer.start(verifications))
            for _ in range(rounds)
        ]
    apis, peers, authorizers = zip(*starts, strict=True)
    both = (apis, peers)
    return [
        _ratio("API function: init CPU", FASTAPI, both, "import_ms", 0.60),
        _ratio("API function: CPU up to the first answer", FASTAPI, both, "first_answer_ms", 0.60),
        _ratio(
            "authorizer: CPU up to the first answer",
            "API function's",
            (authorizers, apis),
            "first_answer_ms",
            0.60,
        ),
        *_compare_warm(apis, peers),
        figure("layer, unzipped", round(_size(LAYER.parent) / MEGABYTE, 2), "MB", 30),
        figure(
            "API function, all of the above: peak memory",
            round(max(start.peak_mb for start in apis), 1),
            "MB",
            130,
        ),
    ]


class Environment:
    """How a function is run: its folder, its variables, and the packages beside it."""

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

    def start(self, orders: Sequence[tuple[Event, int]]) -> Start:
        """A new process that answers each event as often as told."""
        done = subprocess.run(  # noqa: S603 - our own worker
            [sys.executable, "-S", WORKER],
            cwd=self._folder,
            env=self._variables,
            input=json.dumps(orders),
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        return Start(**json.loads(done.stdout))


@contextmanager
def serving(answers: Mapping[str, bytes]) -> Iterator[str]:
    """The URL of a DynamoDB that says the same each time it is asked for an operation."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            body = answers[self.headers["X-Amz-Target"].rpartition(".")[2]]
            self.send_response(200)
            self.send_header("Content-Type", "application/x-amz-json-1.0")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def _compare_warm(apis: Sequence[Start], peers: Sequence[Start]) -> list[Row]:
    """Later answers of the same processes, without the first few."""
    return [
        ratio(
            f"append of {count}: CPU in the built function",
            FASTAPI,
            ours=[sorted(api.answers_ms[place])[WARM_ANSWERS // 2] for api in apis],
            theirs=[sorted(peer.answers_ms[place])[WARM_ANSWERS // 2] for peer in peers],
            unit="ms",
        )
        for place, count in enumerate((1, 20))
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
