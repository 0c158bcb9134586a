"""Headless Chromium, driven over its own pipe: no driver, no package."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

type Json = dict[str, Any]

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next((path for name in NAMES if (path := shutil.which(name))), None)
LAUNCH = """
import fcntl, os, sys
commands, answers = (fcntl.fcntl(int(given), fcntl.F_DUPFD, 100) for given in sys.argv[1:3])
os.dup2(commands, 3)
os.dup2(answers, 4)
os.execv(sys.argv[3], sys.argv[3:])
"""
"""Puts the pipes where Chromium looks for them, whatever their numbers are."""
PATIENCE_MS = 20_000
OPTIONS = ("--headless", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu")


class Browser:
    """A browser, and the one page that is open in it."""

    def __init__(self, commands: int, responses: int) -> None:
        self._commands = os.fdopen(commands, "wb", buffering=0)
        self._answers = os.fdopen(responses, "rb", buffering=0)
        self._rest = b""
        self._count = 0
        self._session: str | None = None
        self._context: str | None = None
        self.problems: list[Json] = []
        """What the page's console and the browser complained of."""

    def open(self, url: str) -> None:
        """Show a page as to somebody who was never there, in place of the one before."""
        self._session = None
        if self._context:
            self.do("Target.disposeBrowserContext", browserContextId=self._context)
        self._context = self.do("Target.createBrowserContext")["browserContextId"]
        target = self.do("Target.createTarget", url="about:blank", browserContextId=self._context)
        attached = self.do("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.do(f"{domain}.enable")
        self.problems.clear()
        self.do("Page.navigate", url=url)

    def do(self, method: str, **params: object) -> Json:
        """The result of a command of the DevTools protocol."""
        self._count += 1
        command: Json = {"id": self._count, "method": method, "params": params}
        if self._session:
            command["sessionId"] = self._session
        self._commands.write(json.dumps(command).encode() + b"\0")
        while (message := self._read()).get("id") != self._count:
            if _is_problem(message):
                self.problems.append(message["params"])
        assert "error" not in message, message
        result: Json = message["result"]
        return result

    def run(self, script: str) -> Any:
        """The value of an expression, awaited if it is a promise."""
        done = self.do("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in done, done
        return done["result"].get("value")

    def wait_for(self, condition: str) -> Any:
        """The first value of an expression that counts as true; looked at with every change."""
        return self.run(
            f"""new Promise((done, failed) => {{
                const changes = {{
                    subtree: true, childList: true, attributes: true, characterData: true
                }};
                const look = () => {{ const found = {condition}; if (found) done(found); }};
                new MutationObserver(look).observe(document, changes);
                setTimeout(() => failed(new Error(document.body.innerText)), {PATIENCE_MS});
                look();
            }})"""
        )

    def close(self) -> None:
        """Let the browser end."""
        self._commands.close()
        self._answers.close()

    def _read(self) -> Json:
        while b"\0" not in self._rest:
            read = os.read(self._answers.fileno(), 1 << 16)
            assert read, "the browser has ended"
            self._rest += read
        message, _, self._rest = self._rest.partition(b"\0")
        found: Json = json.loads(message)
        return found


def _is_problem(message: Json) -> bool:
    """Whether an event tells of an exception, or of what the browser refused to do."""
    entry = message.get("params", {}).get("entry", {})
    return message.get("method") == "Runtime.exceptionThrown" or entry.get("level") == "error"


@contextmanager
def running_browser() -> Iterator[Browser]:
    """A browser that ends, with all its processes, with the block."""
    to_browser, from_browser = os.pipe(), os.pipe()
    with tempfile.TemporaryDirectory() as profile:
        process = subprocess.Popen(  # noqa: S603 - the browser of this machine
            [
                *(sys.executable, "-c", LAUNCH, str(to_browser[0]), str(from_browser[1])),
                *(str(CHROMIUM), *OPTIONS, f"--user-data-dir={profile}"),
            ],
            pass_fds=(to_browser[0], from_browser[1]),
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(to_browser[0])
        os.close(from_browser[1])
        browser = Browser(to_browser[1], from_browser[0])
        try:
            yield browser
        finally:
            browser.close()
            os.killpg(process.pid, signal.SIGKILL)  # or some would still write to the profile
            process.wait()
