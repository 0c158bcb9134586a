"""Stack of the template on this machine."""

import json
import os
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Final, Self

from local.claim import claimed
from local.engines import Engine, EngineName, changed_environment, running_engine
from local.errors import TemplateError
from local.functions import LambdaFunction
from local.gateway import Gateway
from local.intrinsics import REGION, Json
from local.resources import Resources
from local.server import Server, bind_loopback
from local.streams import EventSourceMapping, Stream, StreamPoller
from local.template import TEMPLATE, Function, Template

DATA: Final = Path(__file__).parents[1] / ".local"


class DevStack:
    """API, functions, tables, buckets and streams; `start` creates it."""

    def __init__(
        self,
        template: Template,
        engine: Engine,
        resources: Resources,
        bound: socket.socket,
        clock: Callable[[], float],
    ) -> None:
        self.template = template
        self.engine = engine
        self.resources = resources
        """Tables and buckets, with clients that need `engine.lock` held."""
        with engine.lock:
            resources.create()
        self._functions = {
            name: LambdaFunction(function, engine.lock)
            for name, function in template.functions.items()
        }
        invoke = {name: function.invoke for name, function in self._functions.items()}
        self._gateway = Gateway(template.api, invoke, clock)
        self._server = Server(self._gateway, bound)
        with engine.lock:
            self._poller = StreamPoller(self._open_streams, engine.lock)

    @classmethod
    @contextmanager
    def start(  # noqa: PLR0913 - each is named by its caller and has a default
        cls,
        *,
        engine: EngineName = "moto",
        host: str = "127.0.0.1",
        port: int = 0,
        template: Path = TEMPLATE,
        data: Path = DATA,
        parameters: Mapping[str, Json] | None = None,
        overrides: Mapping[str, str] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> Iterator[Self]:
        """Run the stack for the block; port 0 is any free port.

        *parameters* are values of template parameters; *overrides* are environment variables that
        replace those of the template. The gateway's throttle and its authorizers' caches use
        *clock*, in seconds.

        Raises:
            LocalStackError: the stack cannot run; the message says why.
        """
        with ExitStack() as exits:
            # moto keeps no data, and the data of an endpoint is outside of the folder.
            claim = exits.enter_context(claimed(data)) if engine == "ministack" else None
            bound = exits.enter_context(bind_loopback(host, port))
            read = Template.loaded(template, parameters or {})
            running = exits.enter_context(running_engine(engine, data))
            variables = _environment(read.functions.values())
            exits.enter_context(changed_environment({**variables, **(overrides or {})}))
            resources = exits.enter_context(closing(Resources(read)))
            stack = cls(read, running, resources, bound, clock)
            exits.callback(stack._stop)
            stack._run()
            if claim:
                claim.announce(stack.url)
                exits.callback(claim.withdraw)
                exits.enter_context(stack._described(data / "stack.json"))
            yield stack

    @property
    def url(self) -> str:
        """Root URL of the API without a trailing slash."""
        return self._server.url + self.template.api.base_path

    def reset(self) -> None:
        """Empty the tables and buckets, and clear the authorizers' caches."""
        with self._poller.paused(), self.engine.lock:
            self.resources.recreate()
        self._gateway.clear_authorizer_caches()

    def drain_streams(self) -> None:
        """Wait until the functions on streams have handled every change made so far."""
        self._poller.drain()

    @contextmanager
    def _described(self, file: Path) -> Iterator[None]:
        """Keep a *file* for the block that tells other processes how to reach the tables."""
        name = self.template.name
        outputs = {
            "ConversationsTableName": name("ConversationsTable"),
            "ApiKeysTableName": name("ApiKeysTable"),
            "PayloadBucketName": name("PayloadBucket"),
        }
        endpoint = {"endpoint": os.environ["AWS_ENDPOINT_URL"], "region": REGION}
        file.write_text(json.dumps(endpoint | {"outputs": outputs}), encoding="utf-8")
        try:
            yield
        finally:
            file.unlink(missing_ok=True)

    def _run(self) -> None:
        self._poller.start()
        self._server.start()

    def _stop(self) -> None:
        self._server.stop()
        self._poller.stop()

    def _open_streams(self) -> list[tuple[Stream, EventSourceMapping]]:
        return [
            (
                Stream(self.resources.streams, self.resources.stream_arn(subscription.table)),
                EventSourceMapping(subscription, self._functions[name].invoke),
            )
            for name, function in self.template.functions.items()
            for subscription in function.subscriptions
        ]


def _environment(functions: Iterable[Function]) -> dict[str, str]:
    """Merge the variables of all functions, which share this process.

    Raises:
        TemplateError: functions have different values for one variable.
    """
    variables: dict[str, str] = {}
    for function in functions:
        for name, value in function.environment.items():
            if variables.setdefault(name, value) != value:
                raise TemplateError(
                    f"{name} differs between functions, which share the local stack's one process."
                )
    return variables
