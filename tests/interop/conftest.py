"""One set of keys for all interop tests, and an endpoint that knows them.

All run on this Python's own OpenSSL, and again on the libssl that LWM2M_LIBSSL names (scripts/test: OpenSSL 3.5).
"""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from custom_components.lwm2m.dtls.endpoint import Endpoint, make_endpoint
from custom_components.lwm2m.security.policy import Policy

from .peers import IDENTITY, KEY
from .pki import Pki, make_pki

LIBRARIES = [pytest.param(None, id="own")]
if "LWM2M_LIBSSL" in os.environ:
    LIBRARIES.append(pytest.param(os.environ["LWM2M_LIBSSL"], id="openssl-3.5"))


class KnownPeers:
    """The credentials on file."""

    def __init__(self, pki: Pki) -> None:
        self.keys = {IDENTITY.encode(): KEY, b"i" * 40: KEY, b"Client_identity": b"secretPSK", b"long": bytes(17)}
        self.public_keys = {pki.spki(name) for name in ("client", "client384", "client224")}
        names = ("pinned", "pinned-sha1", "pinned-expired", "pinned-future", "pinned-server")
        self.pinned = {pki.der(name) for name in names}

    def psk(self, identity: bytes) -> bytes | None:
        return self.keys.get(identity)

    def public_key(self, public_key: bytes) -> bool:
        return public_key in self.public_keys

    def certificate(self, certificate: bytes, names: tuple[str, ...]) -> bool | None:
        return True if certificate in self.pinned else None


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return make_pki(Path(tmp_path_factory.mktemp("pki")))


@pytest.fixture(scope="session")
def known(pki: Pki) -> KnownPeers:
    return KnownPeers(pki)


@pytest.fixture(params=LIBRARIES)
def endpoint(request: pytest.FixtureRequest, pki: Pki, known: KnownPeers) -> Callable[..., Endpoint]:
    def make(*, allow: tuple[str, ...] = (), engine: str = "openssl", mtu: int = 1280) -> Endpoint:
        return make_endpoint(
            known,
            Policy(allow),
            server_identity=pki.server,
            trust_anchors=[pki.der("ca"), pki.der("ca224")],
            engine="tinydtls" if engine == "tinydtls" else "openssl",
            library=request.param,
            mtu=mtu,
        )

    return make
