"""An endpoint with known peers, and clients for every mode. LWM2M_LIBSSL names a second libssl to run all with."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from custom_components.lwm2m.dtls.endpoint import make_endpoint
from custom_components.lwm2m.dtls.openssl.endpoint import OpenSSLEndpoint
from custom_components.lwm2m.security.policy import Policy
from custom_components.lwm2m.security.server_identity import ServerIdentity
from tests.interop.conftest import LIBRARIES
from tests.interop.pki import Pki, make_pki
from tests.openssl_client import NO_ETM, Client

KEY = bytes(range(100, 116))


class AnyDevice:
    """Every PSK identity that begins with "dev" has KEY; any raw key and any certificate of the CA is known."""

    def __init__(self) -> None:
        self.key = KEY

    def psk(self, identity: bytes) -> bytes | None:
        return self.key if identity.startswith(b"dev") else None

    def public_key(self, public_key: bytes) -> bool:
        return True

    def certificate(self, certificate: bytes, names: tuple[str, ...]) -> bool | None:
        return None


@dataclass(frozen=True)
class Mode:
    """One way to connect."""

    name: str
    cipher: str
    kind: str
    options: int = 0


MODES = (
    Mode("psk-ccm", "PSK-AES128-CCM8", "psk"),
    Mode("psk-cbc", "PSK-AES128-CBC-SHA256", "psk"),
    Mode("psk-cbc-no-etm", "PSK-AES128-CBC-SHA256", "psk", NO_ETM),
    Mode("rpk-ccm", "ECDHE-ECDSA-AES128-CCM8", "rpk"),
    Mode("rpk-cbc", "ECDHE-ECDSA-AES128-SHA256", "rpk"),
    Mode("certificate-ccm", "ECDHE-ECDSA-AES128-CCM8", "certificate"),
    Mode("certificate-cbc", "ECDHE-ECDSA-AES128-SHA256", "certificate"),
    Mode("certificate-cbc-no-etm", "ECDHE-ECDSA-AES128-SHA256", "certificate", NO_ETM),
)
each_mode = pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.name)
SERVER = ServerIdentity.generate()


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return make_pki(Path(tmp_path_factory.mktemp("pki")))


@pytest.fixture
def credentials() -> AnyDevice:
    return AnyDevice()


@pytest.fixture(params=LIBRARIES)
def endpoint(request: pytest.FixtureRequest, pki: Pki, credentials: AnyDevice) -> OpenSSLEndpoint:
    made = make_endpoint(
        credentials,
        Policy(),
        server_identity=SERVER,
        trust_anchors=[pki.der("ca")],
        engine="openssl",
        library=request.param,
    )
    assert isinstance(made, OpenSSLEndpoint)
    return made


@pytest.fixture
def connect(pki: Pki) -> Callable[..., Client]:
    def make(mode: Mode = MODES[0], number: int = 1, **more: object) -> Client:
        if mode.kind == "psk":
            key = more.pop("key", KEY)
            return Client(mode.cipher, psk=(b"dev%d" % number, key), options=mode.options, **more)  # type: ignore[arg-type]
        return Client(
            mode.cipher,
            key=pki.key("client"),
            chain=pki.pem("client"),
            raw=mode.kind == "rpk",
            options=mode.options,
            **more,  # type: ignore[arg-type]
        )

    return make
