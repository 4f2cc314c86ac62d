"""Makes `vectors.json`: records that independent programs sealed, with the secrets that those programs logged.

Run it as `python -m tests.dtls.make_vectors`; needs `openssl` and `gnutls-cli`. A row is one association: suite,
whether encrypt-then-MAC was negotiated, master secret, both randoms (hex), and the client's first record of data.
"""

import asyncio
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from custom_components.lwm2m.dtls.association import NetworkPath
from custom_components.lwm2m.dtls.endpoint import make_endpoint
from custom_components.lwm2m.dtls.record import split
from custom_components.lwm2m.security.policy import Policy
from tests.interop import peers
from tests.interop.pki import Pki

from .echo import EchoServer, serve

SUITES = {
    "PSK-AES128-CCM8": ("TLS_PSK_WITH_AES_128_CCM_8", "+AES-128-CCM-8:+AEAD"),
    "PSK-AES128-CBC-SHA256": ("TLS_PSK_WITH_AES_128_CBC_SHA256", "+AES-128-CBC:+SHA256"),
    "PSK-AES128-CCM": ("TLS_PSK_WITH_AES_128_CCM", "+AES-128-CCM:+AEAD"),
    "PSK-AES128-GCM-SHA256": ("TLS_PSK_WITH_AES_128_GCM_SHA256", "+AES-128-GCM:+AEAD"),
    "PSK-AES256-GCM-SHA384": ("TLS_PSK_WITH_AES_256_GCM_SHA384", "+AES-256-GCM:+AEAD"),
    "PSK-CHACHA20-POLY1305": ("TLS_PSK_WITH_CHACHA20_POLY1305_SHA256", "+CHACHA20-POLY1305:+AEAD"),
    "PSK-AES256-CBC-SHA384": ("TLS_PSK_WITH_AES_256_CBC_SHA384", ""),
}


class Known:
    def psk(self, identity: bytes) -> bytes | None:
        return peers.KEY

    def public_key(self, public_key: bytes) -> bool:
        return False

    def certificate(self, certificate: bytes, names: tuple[str, ...]) -> bool | None:
        return False


async def capture(name: str, peer: peers.Peer, command: peers.Command, log: Path, etm: bool) -> dict[str, Any]:
    endpoint = make_endpoint(Known(), Policy([name]))
    seen: list[bytes] = []
    sent: list[bytes] = []
    receive, drain = endpoint.receive_datagram, endpoint.datagrams_to_send

    def record(data: bytes, path: NetworkPath, now: float) -> None:
        seen.append(data)
        receive(data, path, now)

    def note() -> list[tuple[bytes, NetworkPath]]:
        out = drain()
        sent.extend(data for data, _ in out)
        return out

    endpoint.receive_datagram, endpoint.datagrams_to_send = record, note  # type: ignore[method-assign]
    server: EchoServer
    async with serve(endpoint) as server:
        await peers.run(peer, command(server.port, Pki(Path())), until=b"echo:hi")
    label, client_random, master = log.read_text().strip().splitlines()[-1].split()
    assert label == "CLIENT_RANDOM"
    hellos = (r.body for data in sent for r in split(data) if r.content_type == 22 and not r.epoch and r.body[0] == 2)
    application = next(r for data in seen for r in split(data) if r.content_type == 23)
    return {
        "made_by": f"{peer.name} {peers.version(peer.program)}",
        "suite": name,
        "encrypt_then_mac": etm,
        "master": master,
        "client_random": client_random,
        "server_random": next(hellos)[14:46].hex(),
        "record": application.whole.hex(),
        "data": b"hi\n".hex(),
    }


async def main() -> None:
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "keys"
        os.environ["SSLKEYLOGFILE"] = str(log)
        for openssl, (name, priority) in SUITES.items():
            cbc = "CBC" in name
            for peer, command, etm in (
                (peers.S_CLIENT, peers.s_client_psk(openssl, "-keylogfile", str(log)), cbc),
                (peers.S_CLIENT, peers.s_client_psk(openssl, "-no_etm", "-keylogfile", str(log)), False)
                if cbc
                else (None,) * 3,
                (peers.GNUTLS, peers.gnutls_psk(priority), cbc) if priority else (None,) * 3,
            ):
                if peer is not None and command is not None and etm is not None:
                    rows.append(await capture(name, peer, command, log, etm))
    text = json.dumps(rows, indent=1) + "\n"
    await asyncio.to_thread(Path(__file__).with_name("vectors.json").write_text, text)


if __name__ == "__main__":
    asyncio.run(main())
