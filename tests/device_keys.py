"""Keys and certificates of simulated devices, in files as a device's developer has them."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_PEM = serialization.Encoding.PEM
_SPKI = serialization.PublicFormat.SubjectPublicKeyInfo


@dataclass(frozen=True, slots=True)
class DeviceKey:
    """A key pair in files NAME.key (private, PKCS #8) and NAME.pub, and a certificate in NAME.pem."""

    folder: Path
    name: str

    @property
    def private_key(self) -> Path:
        return self.folder / f"{self.name}.key"

    @property
    def public_key(self) -> Path:
        return self.folder / f"{self.name}.pub"

    @property
    def certificate(self) -> Path:
        return self.folder / f"{self.name}.pem"

    def public_der(self) -> bytes:
        """The SubjectPublicKeyInfo."""
        key = serialization.load_pem_public_key(self.public_key.read_bytes())
        return key.public_bytes(serialization.Encoding.DER, _SPKI)

    def certificate_der(self) -> bytes:
        """The certificate."""
        return x509.load_pem_x509_certificate(self.certificate.read_bytes()).public_bytes(serialization.Encoding.DER)

    def key(self) -> ec.EllipticCurvePrivateKey:
        """The private key."""
        key = serialization.load_pem_private_key(self.private_key.read_bytes(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        return key


def make_key(folder: Path, name: str) -> DeviceKey:
    """Return the key pair of this name, made at the first call."""
    pair = DeviceKey(folder, name)
    if not pair.private_key.exists():
        folder.mkdir(parents=True, exist_ok=True)
        key = ec.generate_private_key(ec.SECP256R1())
        private = key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        pair.private_key.touch(0o600, exist_ok=False)
        pair.private_key.write_bytes(private)
        pair.public_key.write_bytes(key.public_key().public_bytes(_PEM, _SPKI))
    return pair


def make_certificate(folder: Path, name: str, subject: str, authority: DeviceKey | None = None) -> DeviceKey:
    """Return a key pair with a certificate, self-signed or of an authority, made at the first call."""
    pair = make_key(folder, name)
    if not pair.certificate.exists():
        issuer = None if authority is None else x509.load_pem_x509_certificate(authority.certificate.read_bytes())
        signer = pair if authority is None else authority
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
        builder = _builder(pair, subject, issuer).add_extension(usage, critical=False)
        pair.certificate.write_bytes(builder.sign(signer.key(), hashes.SHA256()).public_bytes(_PEM))
    return pair


def make_authority(folder: Path, name: str, subject: str) -> DeviceKey:
    """Return the key pair and certificate of a CA, made at the first call."""
    pair = make_key(folder, name)
    if not pair.certificate.exists():
        constraints = x509.BasicConstraints(ca=True, path_length=0)
        builder = _builder(pair, subject, None).add_extension(constraints, critical=True)
        pair.certificate.write_bytes(builder.sign(pair.key(), hashes.SHA256()).public_bytes(_PEM))
    return pair


def _builder(pair: DeviceKey, subject: str, issuer: x509.Certificate | None) -> x509.CertificateBuilder:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name if issuer is None else issuer.subject)
        .public_key(pair.key().public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=3650))
    )
