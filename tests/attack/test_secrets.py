"""A whole server at debug level, with right, wrong and unknown keys: nothing that it says of itself holds a secret."""

from __future__ import annotations

import asyncio
import base64
import gc
import logging
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from types import FunctionType, ModuleType

import pytest

from custom_components.lwm2m.dtls import record
from custom_components.lwm2m.dtls.association import Association
from custom_components.lwm2m.dtls.endpoint import EngineName
from custom_components.lwm2m.dtls.openssl.handshake import Handshake
from custom_components.lwm2m.protocol.path import Path
from custom_components.lwm2m.security.credential import CredentialError, Psk, key_warnings, parse_key
from custom_components.lwm2m.security.policy import Reason
from custom_components.lwm2m.server.device import Device
from custom_components.lwm2m.server.errors import EndpointInUseError, IdentityInUseError
from custom_components.lwm2m.server.events import Event, RefusedEvent, Registered, UnknownPeer
from custom_components.lwm2m.server.pending import Candidate, CandidateState
from tests.server.helpers import Bench, eventually

TEMPERATURE = Path((3303, 0, 5700))
RIGHT = bytes.fromhex("a1b2c3d4e5f60718293a4b5c6d7e8f90")
PRINTABLE = b"correct'horse\\42"
WRONG = bytes.fromhex("0badc0ffee0ddf00dcafe0123456789a")
GUESSED = bytes.fromhex("fedcba98765432100123456789abcdef")

NOT_FOLLOWED = (type, ModuleType, FunctionType)
"""What leads from an object to everything there is."""


class Said:
    """All that a server tells, as text, and the secrets that must not be in it."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.kinds: set[type] = set()
        self.secrets: dict[str, bytes] = {"right": RIGHT, "printable": PRINTABLE, "wrong": WRONG, "guessed": GUESSED}

    def look_at(self, *roots: object) -> None:
        """Note the repr of every object of this project that can be reached from `roots`."""
        seen, waiting = {id(root) for root in roots}, list(roots)
        while waiting:
            thing = waiting.pop()
            if type(thing).__module__.startswith("custom_components.lwm2m"):
                self.kinds.add(type(thing))
                self.texts += (repr(thing), str(thing))
            for other in gc.get_referents(thing):
                if id(other) not in seen and not isinstance(other, NOT_FOLLOWED):
                    seen.add(id(other))
                    waiting.append(other)

    def raised(self, error: BaseException) -> None:
        """Note an exception, with those that it came from."""
        self.texts += (repr(error), "".join(traceback.format_exception(error)))

    def leaks(self) -> Iterator[str]:
        """Which secret was seen in which form, and where."""
        for text in self.texts:
            lower = text.lower()
            for name, secret in self.secrets.items():
                for form, written in forms(secret):
                    if written in (lower if form == "hex" else text):
                        yield f"{name} as {form} in {text[:300]}"


def forms(secret: bytes) -> Iterator[tuple[str, str]]:
    """How bytes get into text."""
    digits = secret.hex()
    yield from (("hex", digits), ("hex", secret.hex(":")), ("hex", secret.hex(" ")), ("hex", secret.hex("-")))
    yield "hex", ", ".join(f"{byte:#x}" for byte in secret)
    yield "number", str(int.from_bytes(secret))
    yield "raw", secret.decode("latin-1")
    yield "replaced", secret.decode(errors="backslashreplace")
    yield "repr", repr(secret)[2:-1]
    yield "repr of text", repr(secret.decode("latin-1"))[1:-1]
    yield "list", repr(list(secret))[1:-1]
    for encode in (base64.b64encode, base64.urlsafe_b64encode, base64.b32encode, base64.b85encode):
        yield encode.__name__, encode(secret).decode().rstrip("=")


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Said:
    """Everything is logged, and the master secrets and traffic keys of our own record layer are known."""
    caplog.set_level(logging.DEBUG)
    for name in ("aiocoap", "coap", "coap-server", "asyncio", "custom_components.lwm2m"):
        caplog.set_level(logging.DEBUG, name)
    noted, prf = Said(), record.prf

    def tapped(hash_name: str, secret: bytes, label: bytes, seed: bytes, length: int) -> bytes:
        block = prf(hash_name, secret, label, seed, length)
        number = len(noted.secrets)
        noted.secrets[f"master {number}"] = secret
        for start in range(0, 32, 16):
            noted.secrets[f"traffic key {number}/{start}"] = block[start : start + 16]
        return block

    monkeypatch.setattr(record, "prf", tapped)
    return noted


@pytest.fixture(params=["openssl", "tinydtls"])
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    engine: EngineName = request.param
    asyncio.get_running_loop().set_debug(True)
    made = Bench()
    made.server._engine = engine
    await made.server.start("127.0.0.1", coaps_port=0)
    yield made
    await made.server.stop()


async def test_nothing_that_is_said_holds_a_secret(
    bench: Bench, said: Said, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    server = bench.server

    def fails(event: Event) -> None:
        raise RuntimeError(f"a listener that fails on {event!r}")

    server.subscribe(fails)
    bench.let_in("paired", "paired-id", RIGHT)
    bench.let_in("printable", "printable-id", PRINTABLE)
    bench.let_in("mistaken", "mistaken-id", RIGHT)
    async with (
        bench.secure("paired", "paired-id", key=RIGHT),
        bench.secure("printable", "printable-id", key=PRINTABLE),
        bench.secure("mistaken", "mistaken-id", key=WRONG, handshake_timeout=1.5),
        bench.secure("newcomer", "newcomer-id", key=PRINTABLE, handshake_timeout=1.5),
    ):
        device = (await bench.until(Registered, lambda event: event.device.endpoint == "paired")).device
        await use(device)
        await bench.until(RefusedEvent, lambda event: event.refusal.reason is Reason.WRONG_KEY)
        await bench.until(UnknownPeer)
        said.look_at(server, bench.events)
        await pair(bench, said)
        refuse(bench, said)
        said.look_at(server, bench.events)
        server.authorizer.remove_credential("paired")
        said.look_at(server, bench.events)
    await server.stop()
    said.look_at(server, bench.events)
    refused = {event.refusal.reason for event in bench.seen(RefusedEvent)}
    assert {Reason.WRONG_KEY, Reason.UNKNOWN_IDENTITY} <= refused
    assert {Psk, Candidate, Device} <= said.kinds
    assert any(issubclass(kind, Association) for kind in said.kinds)

    formatter = logging.Formatter("%(message)s")
    for entry in caplog.records:
        said.texts += (formatter.format(entry), repr(entry.args), repr(vars(entry)))
    assert any("a listener that fails on" in text for text in said.texts), "logs are looked at"
    said.texts += (repr(event) for event in bench.events)
    said.texts += capfd.readouterr()
    if Handshake in said.kinds:
        assert any(name.startswith("master") for name in said.secrets)
    else:
        assert server._engine == "tinydtls"
    assert list(said.leaks()) == []


async def use(device: Device) -> None:
    """What a server does with a device."""
    device.watch(TEMPERATURE, lambda path: None)
    await device.read(TEMPERATURE)
    await device.write(Path((3303, 0, 5750)), "Outdoor")
    await eventually(lambda: device.observations.covers(TEMPERATURE))


async def pair(bench: Bench, said: Said) -> None:
    """A person guesses the newcomer's key wrong, then right; its handshakes are looked at on the way."""
    pending = bench.server.pending
    candidate = pending.watch(Psk(b"newcomer-id", GUESSED))
    candidate.on_change(lambda: said.look_at(bench.server))
    await eventually(lambda: candidate.state is CandidateState.WRONG_KEY)
    said.look_at(bench.server, candidate)
    candidate = pending.watch(Psk(b"newcomer-id", PRINTABLE))
    await eventually(lambda: candidate.state is CandidateState.REGISTERED)
    said.look_at(bench.server, candidate)
    assert candidate.adopt() == "newcomer"


def refuse(bench: Bench, said: Said) -> None:
    """All the ways in which a credential is not taken."""
    authorizer, pending = bench.server.authorizer, bench.server.pending
    attempts: list[tuple[type[Exception], Callable[[], object]]] = [
        (CredentialError, lambda: Psk(b"with\0zero", RIGHT)),
        (CredentialError, lambda: Psk(b"x" * 200, RIGHT)),
        (CredentialError, lambda: Psk(b"long", RIGHT * 40)),
        (CredentialError, lambda: parse_key(RIGHT.hex() + "f")),
        (CredentialError, lambda: parse_key(RIGHT.hex() + " is my key!")),
        (CredentialError, lambda: parse_key(base64.b64encode(RIGHT).decode() + "*")),
        (CredentialError, lambda: parse_key(RIGHT.hex() * 40)),
        (IdentityInUseError, lambda: authorizer.set_credential("other", Psk(b"paired-id", RIGHT))),
        (IdentityInUseError, lambda: pending.watch(Psk(b"paired-id", RIGHT))),
    ]
    for kind, attempt in attempts:
        with pytest.raises(kind) as error:
            attempt()
        said.texts += (repr(error.value), str(error.value))
        # The lines of this file are in the traceback, and name no secret; what it came from is there too.
        said.raised(error.value)
    said.texts += key_warnings(RIGHT * 2, b"x" * 40)
    candidate = pending.watch(Psk(b"thief-id", WRONG), "mine")
    candidate.endpoint = "paired"
    with pytest.raises(EndpointInUseError) as in_use:
        candidate.adopt()
    said.raised(in_use.value)
    candidate.cancel()
