"""The LwM2M server without Home Assistant, for people who build devices: JSON out, commands in, one a line."""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from typing import TextIO

from ..dtls.endpoint import EngineUnavailableError
from ..protocol.errors import PathError
from ..protocol.path import Path
from .cli_security import OptionError, Security, add_options, export_identity, read_options
from .commands import Commands
from .context import Settings
from .errors import IdentityInUseError
from .events import Deregistered, Event, Expired, Registered
from .report import Report
from .server import Server

_LOGGER = logging.getLogger(__name__)

_MAX_LINE = 1 << 20


def parse_arguments(argv: Sequence[str]) -> argparse.Namespace:
    """The options; ends the process with 2 and a message where they make no sense."""
    parser = argparse.ArgumentParser(
        prog="scripts/server",
        description="An LwM2M server. Events are JSON objects on standard output, one a line.",
        epilog="Standard input: read EP PATH [FORMAT] | write EP PATH VALUE | execute EP PATH [ARGS] | discover EP PATH"
        " | observe EP PATH | cancel EP PATH | attributes EP PATH k=v… | create EP PATH JSON | delete EP PATH",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
    parser.add_argument("--coaps-port", type=_port, default=5684, help="CoAP over DTLS (5684); 0 takes any free port")
    parser.add_argument("--coap-port", type=_port, help="NoSec, where any endpoint may register (off)")
    add_options(parser)
    parser.add_argument(
        "--observe",
        type=_path,
        action="append",
        default=[],
        metavar="PATH",
        help="observe this after each registration; may be given several times",
    )
    parser.add_argument("--debug", action="store_true", help="log more to standard error")
    arguments = parser.parse_args(argv)
    try:
        arguments.security = read_options(arguments, dt.datetime.now(dt.UTC))
    except OptionError as error:
        parser.error(str(error))
    return arguments


def _port(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port")
    return int(text)


def _path(text: str) -> Path:
    try:
        return Path.parse(text)
    except PathError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


class Observer:
    """Keeps the paths of --observe watched on every registered device."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths
        self._watched: dict[str, list[Callable[[], None]]] = {}

    def __call__(self, event: Event) -> None:
        """Take part in the events."""
        match event:
            case Registered(device) if device.endpoint not in self._watched:
                self._watched[device.endpoint] = [device.watch(path, _ignore) for path in self._paths]
            case Deregistered(device) | Expired(device):
                for stop in self._watched.pop(device.endpoint, ()):
                    stop()
            case _:
                pass


def _ignore(_: Path) -> None:
    """The notification is reported as an event already."""


async def run(arguments: argparse.Namespace, lines: int, out: TextIO) -> int:
    """Serve until SIGTERM or SIGINT, with commands from the descriptor `lines`; returns the exit code."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    signals = (signal.SIGTERM, signal.SIGINT)
    for number in signals:
        loop.add_signal_handler(number, stop.set)
    try:
        return await _serve(arguments, lines, Report(out, stop.set), stop)
    finally:
        for number in signals:
            loop.remove_signal_handler(number)


async def _serve(arguments: argparse.Namespace, lines: int, report: Report, stop: asyncio.Event) -> int:
    security: Security = arguments.security
    server = Server(
        settings=Settings(wait=None),
        policy=security.policy,
        server_identity=security.identity,
        trust_anchors=security.trust_anchors,
        engine=security.engine,
    )
    server.authorizer.open_to_authorities = bool(security.trust_anchors)
    for endpoint, credential in security.credentials.items():
        server.device(endpoint)
        try:
            server.authorizer.set_credential(endpoint, credential)
        except IdentityInUseError as error:
            return _fail(f"{endpoint}: {error}")
    for warning in security.warnings:
        _LOGGER.warning("%s", warning)
    if arguments.export_identity is not None and security.identity is not None:
        try:
            export_identity(security.identity, arguments.export_identity)
        except OSError as error:
            return _fail(f"--export-identity: {error.filename}: {error.strerror}")
    server.subscribe(report)
    if arguments.observe:
        server.subscribe(Observer(arguments.observe), Registered, Deregistered, Expired)
    try:
        await server.start(arguments.host, coaps_port=arguments.coaps_port, coap_port=arguments.coap_port)
    except (OSError, EngineUnavailableError) as error:
        return _fail(f"The server cannot start: {error}")
    if security.engine is None and (engine := server.engine_name or "").startswith("tinydtls"):
        _LOGGER.warning("The engine is %s: only TLS_PSK_WITH_AES_128_CCM_8 is served", engine)
    report.listening(server)
    commands = Commands(server, report.write)
    loop = asyncio.get_running_loop()
    threading.Thread(target=_read_lines, args=(loop, lines, commands.take_line), daemon=True).start()
    await stop.wait()
    await commands.stop()
    await server.stop()
    return 0


def _read_lines(loop: asyncio.AbstractEventLoop, descriptor: int, take: Callable[[str], None]) -> None:
    """Hand over the lines of a descriptor, which may be a terminal, a pipe, a file or nothing.

    Reads the descriptor itself: a thread that waits in a buffered reader would keep the process from ending.
    """
    rest = b""
    try:
        while data := os.read(descriptor, 65536):
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                loop.call_soon_threadsafe(take, line.decode("utf-8", "replace"))
            rest = rest[:_MAX_LINE]
        if rest:
            loop.call_soon_threadsafe(take, rest.decode("utf-8", "replace"))
    except OSError, RuntimeError:  # no standard input, or the loop is closed
        return


def _fail(message: str) -> int:
    sys.stderr.write(f"{message}\n")
    return 1


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    arguments = parse_arguments(sys.argv[1:] if argv is None else argv)
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.DEBUG if arguments.debug else logging.WARNING,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    return asyncio.run(run(arguments, 0, sys.stdout))


if __name__ == "__main__":
    sys.exit(main())
