"""Cloud that `make e2e` deploys into: MiniStack with TLS and IAM, on this machine."""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
import shutil
import signal
import ssl
import subprocess
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING, Any

import boto3
import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from local.engines import changed_environment, running_ministack
from tests.support.paths import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

SAM = ROOT / ".tools/sam/bin/sam"
CLI = ROOT / ".venv/bin/conversations"
SOURCES = ("functions", "layers", "tools", "template.yaml", "samconfig.toml")
OPERATOR = {"AWS_ACCESS_KEY_ID": "operator", "AWS_SECRET_ACCESS_KEY": "operator"}
"""The root user of the account, whose credentials are in MiniStack's environment."""
STEP_SECONDS = 120
LOG_LINES = 40


class Cloud:
    """A running cloud, with a folder for temporary files."""

    def __init__(self, url: str, folder: Path, environment: Mapping[str, str]) -> None:
        self.url = url
        self.folder = folder
        self._environment = environment
        self._clients: dict[str, Any] = {}
        trust = ssl.create_default_context(cafile=environment["AWS_CA_BUNDLE"])
        self.http = httpx.Client(verify=trust, timeout=30)

    def aws(self, service: str) -> Any:
        """Return the operator's boto3 client of a service."""
        if service not in self._clients:
            self._clients[service] = boto3.client(service)  # type: ignore[call-overload]
        return self._clients[service]

    def close(self) -> None:
        with ExitStack() as ends:
            for client in (self.http, *self._clients.values()):
                ends.enter_context(closing(client))

    def run(self, *command: str | Path, cwd: Path = ROOT) -> str:
        """Return the output of an operator's command; if it fails, fail the test with it."""
        try:
            done = subprocess.run(  # noqa: S603 - the tests' own commands
                command,
                cwd=cwd,
                env=self._environment,
                capture_output=True,
                stdin=subprocess.DEVNULL,
                timeout=STEP_SECONDS,
                check=True,
            )
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            printed = (error.stdout or b"") + (error.stderr or b"")
            pytest.fail(f"{error}\n{printed.decode()}")
        return done.stdout.decode()

    def log(self) -> str:
        """Return the last log lines of the cloud and of each function."""
        lines = (self.folder / "ministack.log").read_text(errors="replace").splitlines()
        logs = self.aws("logs")
        for group in logs.describe_log_groups()["logGroups"]:
            events = logs.filter_log_events(logGroupName=group["logGroupName"])["events"]
            lines += [group["logGroupName"], *(event["message"] for event in events[-LOG_LINES:])]
        return "\n".join(lines[-4 * LOG_LINES :])


@contextmanager
def running_cloud(folder: Path) -> Iterator[Cloud]:
    """Run the cloud for the block, in an environment in which boto3 can reach only it."""
    certificate, key = make_certificate(folder)
    trust = {"AWS_CA_BUNDLE": str(certificate)}
    engine = {
        **OPERATOR,
        **trust,
        "AUTH": "true",  # IAM policies are enforced
        "HOME": str(folder),
        "MINISTACK_SSL_CERT": str(certificate),
        "MINISTACK_SSL_KEY": str(key),
        "PATH": os.defpath,
        "USE_SSL": "1",  # the bucket policy denies plain HTTP
    }
    with running_ministack(folder, engine) as ministack:
        url = f"https://127.0.0.1:{ministack.port}"
        shell = {
            **OPERATOR,
            **trust,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": url,
            "HOME": str(folder),
            "SAM_CLI_POLL_DELAY": "0.2",
            "SAM_CLI_TELEMETRY": "0",
        }
        with changed_environment(shell, without=("AWS_PROFILE", "AWS_SESSION_TOKEN")):
            path = f"{SAM.parent}:{os.environ['PATH']}"
            try:
                with closing(Cloud(url, folder, {**os.environ, "PATH": path})) as cloud:
                    yield cloud
            finally:  # a normal exit would wait for the functions' connections
                os.killpg(ministack.process.pid, signal.SIGKILL)


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """Write a certificate for the loopback address, and its key; return both paths."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "e2e")])
    now = dt.datetime.now(dt.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    files = folder / "certificate.pem", folder / "key.pem"
    files[0].write_bytes(certificate.public_bytes(pem))
    files[1].write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return files


def copy_sources(folder: Path) -> Path:
    """Copy the project's sources, as an operator's checkout that tests can build and change."""
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)
    (folder / ".tools").symlink_to(ROOT / ".tools")
    return folder
