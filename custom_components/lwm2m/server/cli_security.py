"""The options of the command line that are about keys, certificates and cipher suites."""

from __future__ import annotations

import argparse
import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from ..dtls.endpoint import EngineName
from ..security.credential import Certificate, Credential, CredentialError, Psk, RawPublicKey, key_warnings
from ..security.pem import (
    MAX_FILE,
    read_authorities,
    read_certificate,
    read_public_key,
    read_server_identity,
)
from ..security.policy import Policy, PolicyError
from ..security.server_identity import ServerIdentity

WARNINGS = {
    "short_key": "the key is shorter than 16 bytes, so that it is easier to guess from a recorded handshake",
    "long_key": "the key is longer than 16 bytes, and devices on tinydtls cannot hold it",
    "long_identity": "the identity is longer than 32 bytes, and devices on tinydtls cannot send it",
}


@dataclass(slots=True)
class Security:
    """What the options say. `identity` is None where the engine has no use for one."""

    policy: Policy
    engine: EngineName | None = None
    identity: ServerIdentity | None = None
    trust_anchors: tuple[bytes, ...] = ()
    credentials: dict[str, Credential] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


class OptionError(ValueError):
    """An option that cannot be used; the text names it, its file and what is wrong."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""

    def per_endpoint(name: str, metavar: tuple[str, ...], text: str) -> None:
        parser.add_argument(
            name, nargs=len(metavar), action="append", default=[], metavar=metavar, help=f"{text}; repeatable"
        )

    per_endpoint("--psk", ("ENDPOINT", "IDENTITY", "HEXKEY"), "let this endpoint in by a pre-shared key")
    per_endpoint("--rpk", ("ENDPOINT", "PUBKEY.pem"), "let this endpoint in by its raw public key")
    per_endpoint("--cert", ("ENDPOINT", "CERT.pem"), "let this endpoint in by exactly this certificate")
    parser.add_argument(
        "--ca",
        action="append",
        default=[],
        metavar="CA.pem",
        help="let in every endpoint whose name is CN or SAN of a certificate of this CA; repeatable",
    )
    parser.add_argument("--key", metavar="SERVER.key.pem", help="the server's private key (one is made, in memory)")
    parser.add_argument("--server-cert", metavar="CHAIN.pem", help="the server's certificate, and its CA's after it")
    parser.add_argument(
        "--allow-suite",
        action="append",
        default=[],
        metavar="IANA_NAME",
        help="serve this optional cipher suite beside the mandatory ones; repeatable",
    )
    parser.add_argument("--engine", choices=("openssl", "tinydtls"), help="the DTLS engine (the best that runs here)")
    parser.add_argument(
        "--export-identity",
        type=Path,
        metavar="DIR",
        help="write the server's public key and certificates there, for devices, as PEM and DER",
    )


def read_options(arguments: argparse.Namespace, now: dt.datetime) -> Security:
    """Read the files that the options name, and hold everything against the policy. Raises OptionError."""
    try:
        security = Security(Policy(arguments.allow_suite), cast("EngineName | None", arguments.engine))
    except PolicyError as error:
        raise OptionError(f"--allow-suite: {error}") from error
    if security.engine == "tinydtls":
        _check_constrained(arguments)
    for endpoint, identity, key in arguments.psk:
        _add(security, "--psk", endpoint, _psk(security, endpoint, identity, key))
    for endpoint, file in arguments.rpk:
        _add(security, "--rpk", endpoint, RawPublicKey(_read(f"--rpk {endpoint}", file, read_public_key)))
    for endpoint, file in arguments.cert:
        certificate = _read(f"--cert {endpoint}", file, lambda data: read_certificate(data, now))
        _add(security, "--cert", endpoint, Certificate(certificate))
    for file in arguments.ca:
        security.trust_anchors += _read("--ca", file, lambda data: read_authorities(data, now))
    if security.engine != "tinydtls":
        security.identity = _identity(arguments, now)
    return security


def _check_constrained(arguments: argparse.Namespace) -> None:
    for option in ("rpk", "cert", "ca", "key", "server_cert", "export_identity", "allow_suite"):
        if getattr(arguments, option):
            name = option.replace("_", "-")
            raise OptionError(
                f"--{name} cannot be had with --engine tinydtls, which serves TLS_PSK_WITH_AES_128_CCM_8 alone"
            )


def _psk(security: Security, endpoint: str, identity: str, key: str) -> Psk:
    try:
        credential = Psk(identity.encode(), bytes.fromhex(key.replace(":", " ")))
    except ValueError as error:
        raise OptionError(f"--psk {endpoint}: {error}") from error
    words = key_warnings(credential.key, credential.identity)
    security.warnings += (f"--psk {endpoint}: {WARNINGS[word]}" for word in words)
    return credential


def _add(security: Security, option: str, endpoint: str, credential: Credential) -> None:
    if endpoint in security.credentials:
        raise OptionError(f"{option} {endpoint}: this endpoint has a credential already")
    security.credentials[endpoint] = credential


def _identity(arguments: argparse.Namespace, now: dt.datetime) -> ServerIdentity:
    if arguments.key is None:
        if arguments.server_cert is not None:
            raise OptionError("--server-cert needs the key that belongs to it: --key")
        return ServerIdentity.generate()
    chain = None if arguments.server_cert is None else _read("--server-cert", arguments.server_cert, bytes)
    # What is wrong with the key is that of --key, also where there is a certificate.
    _read("--key", arguments.key, lambda data: read_server_identity(data, None, now))
    files = arguments.key if chain is None else f"{arguments.server_cert} with {arguments.key}"
    option = "--key" if chain is None else "--server-cert"
    key = _read("--key", arguments.key, bytes)
    return _checked(option, files, lambda: read_server_identity(key, chain, now))


def _read[T](option: str, file: str, use: Callable[[bytes], T]) -> T:
    """What `use` makes of a file. Raises OptionError that names both."""
    try:
        with Path(file).open("rb") as stream:
            data = stream.read(MAX_FILE + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise OptionError(f"{option}: {file}: {reason}") from error
    return _checked(option, file, lambda: use(data))


def _checked[T](option: str, file: str, make: Callable[[], T]) -> T:
    try:
        return make()
    except CredentialError as error:
        raise OptionError(f"{option}: {file}: {error}") from error


def export_identity(identity: ServerIdentity, folder: Path) -> None:
    """Write what a device is given to know this server by; nothing of it is secret. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in {
        "server_public_key.pem": identity.public_key_pem(),
        "server_public_key.der": identity.public_key,
        "server_certificate.pem": identity.chain_pem(),
        "server_certificate.der": identity.chain[0],
    }.items():
        (folder / name).write_bytes(data)
