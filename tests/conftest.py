"""What holds for every test: sockets open, but only on this machine."""

import os
import sys

import pytest
import pytest_socket

LOOPBACK = ["127.0.0.1", "127.0.0.2", "127.0.0.3", "::1", "localhost"]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the tests marked `long` to `scripts/test --long`."""
    if os.environ.get("LWM2M_LONG") == "1":
        return
    long = [item for item in items if item.get_closest_marker("long")]
    if long:
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if not item.get_closest_marker("long")]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what became of the handshakes with other programs, where those tests ran."""
    if "tests.interop.test_matrix" in sys.modules or "tests.interop.test_refusals" in sys.modules:
        from .interop.matrix_report import write

        write(terminalreporter)


@pytest.fixture(autouse=True)
def loopback_only() -> None:
    """Open what Home Assistant's test plugin closes: sockets, and those to loopback addresses alone."""
    pytest_socket.enable_socket()
    pytest_socket.socket_allow_hosts(LOOPBACK, allow_unix_socket=True)
