import errno
import socket

import pytest

from local.errors import UnusableAddressError
from local.server import bind_loopback


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.0.0.2"])
def test_loopback_addresses_are_served(host: str) -> None:
    with bind_loopback(host, 0) as bound:
        assert bound.getsockname()[0].startswith("127.")


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "example.com", ""])  # noqa: S104 - rejected
def test_any_other_address_is_rejected(host: str) -> None:
    with pytest.raises(UnusableAddressError, match="loopback addresses only"):
        bind_loopback(host, 0)


def test_port_in_use_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("local.server._PORT_PATIENCE_SECONDS", 0)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]

        with pytest.raises(UnusableAddressError, match=f"Port {port} of 127.0.0.1 is in use"):
            bind_loopback("127.0.0.1", port)


def test_address_that_may_not_be_used_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def bind(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("socket.socket.bind", bind)  # root may use every port

    with pytest.raises(UnusableAddressError, match=r"Port 80 of 127\.0\.0\.1 cannot be used"):
        bind_loopback("127.0.0.1", 80)
