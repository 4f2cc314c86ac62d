"""Keys and certificates for the peers: good ones, and one for every way in which a certificate can be refused.

`openssl` signs where the Python library refuses to: SHA-1, and curves under 256 bits.
"""

import datetime as dt
import subprocess
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from custom_components.lwm2m.security.server_identity import ServerIdentity

ENDPOINT = "urn:dev:client-1"


@dataclass(frozen=True)
class Pki:
    """A folder with NAME.key (PKCS #8), NAME.pem (certificate, or chain), NAME.pub (SubjectPublicKeyInfo)."""

    folder: Path

    def key(self, name: str) -> str:
        return str(self.folder / f"{name}.key")

    def pem(self, name: str) -> str:
        return str(self.folder / f"{name}.pem")

    def pub(self, name: str) -> str:
        return str(self.folder / f"{name}.pub")

    def der(self, name: str) -> bytes:
        """The first certificate of NAME.pem."""
        certificate = x509.load_pem_x509_certificates((self.folder / f"{name}.pem").read_bytes())[0]
        return certificate.public_bytes(serialization.Encoding.DER)

    def spki(self, name: str) -> bytes:
        """The raw public key as DER."""
        out = subprocess.run(
            ["openssl", "pkey", "-pubin", "-in", self.pub(name), "-outform", "DER"], check=True, capture_output=True
        )
        return out.stdout

    @property
    def server(self) -> ServerIdentity:
        """The server's identity: a chain of two below the CA."""
        return ServerIdentity.from_pem(Path(self.key("server")).read_bytes(), Path(self.pem("server")).read_bytes())


class _Maker:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, cwd=self.folder)

    def name(self, common_name: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])

    def make(
        self,
        name: str,
        *,
        issuer: str | None = None,
        common_name: str | None = None,
        is_ca: bool = False,
        days: tuple[int, int] = (-1, 3650),
        curve: ec.EllipticCurve | None = None,
        chain: tuple[str, ...] = (),
        names: tuple[x509.GeneralName, ...] = (),
        usage: x509.ObjectIdentifier | None = None,
    ) -> None:
        """NAME with a key of its own, signed by `issuer` or by itself with SHA-256."""
        key = ec.generate_private_key(curve or ec.SECP256R1())
        now = dt.datetime.now(dt.UTC)
        subject = self.name(common_name or name)
        issuer_name, issuer_key = subject, key
        if issuer:
            parent = x509.load_pem_x509_certificates((self.folder / f"{issuer}.pem").read_bytes())[0]
            loaded = serialization.load_pem_private_key((self.folder / f"{issuer}.key").read_bytes(), None)
            assert isinstance(loaded, ec.EllipticCurvePrivateKey)
            issuer_name, issuer_key = parent.subject, loaded
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer_name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + dt.timedelta(days[0]))
            .not_valid_after(now + dt.timedelta(days[1]))
            .add_extension(x509.BasicConstraints(is_ca, None), critical=True)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        if usage:
            builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        certificate = builder.sign(issuer_key, hashes.SHA256())
        pem = certificate.public_bytes(serialization.Encoding.PEM)
        pem += b"".join((self.folder / f"{other}.pem").read_bytes() for other in chain)
        (self.folder / f"{name}.pem").write_bytes(pem)
        (self.folder / f"{name}.key").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        (self.folder / f"{name}.pub").write_bytes(
            key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        )

    def weak(
        self, name: str, key: list[str], *, issuer: str | None = None, digest: str = "sha256", ca: bool = False
    ) -> None:
        """NAME by the command line, for what the library refuses to make."""
        self.run("genpkey", *key, "-out", f"{name}.key")
        self.run("pkey", "-in", f"{name}.key", "-pubout", "-out", f"{name}.pub")
        (self.folder / f"{name}.ext").write_text(f"basicConstraints=critical,CA:{'TRUE' if ca else 'FALSE'}\n")
        self.run(
            "req", "-new", "-key", f"{name}.key", "-subj", f"/CN={ENDPOINT if not ca else name}", "-out", f"{name}.csr"
        )
        signer = (
            ["-CA", f"{issuer}.pem", "-CAkey", f"{issuer}.key", "-CAcreateserial"]
            if issuer
            else ["-signkey", f"{name}.key"]
        )
        self.run(
            *("x509", "-req", "-in", f"{name}.csr", *signer, f"-{digest}", "-days", "3650"),
            *("-extfile", f"{name}.ext", "-out", f"{name}.pem"),
        )


def curve(name: str) -> list[str]:
    return ["-algorithm", "EC", "-pkeyopt", f"ec_paramgen_curve:{name}", "-pkeyopt", "ec_param_enc:named_curve"]


def make_pki(folder: Path) -> Pki:
    """Everything that the tests need."""
    maker = _Maker(folder)
    maker.make("ca", is_ca=True)
    maker.make("server-ca", issuer="ca", is_ca=True)
    maker.make(
        "server", issuer="server-ca", chain=("server-ca",), names=(x509.DNSName("localhost"),), common_name="server"
    )
    maker.make("client", issuer="ca", common_name=ENDPOINT)
    maker.make("client-san", issuer="ca", common_name="a board", names=(x509.UniformResourceIdentifier(ENDPOINT),))
    maker.make("client384", issuer="ca", common_name=ENDPOINT, curve=ec.SECP384R1())
    maker.make("factory-ca", issuer="ca", is_ca=True)
    maker.make("line-ca", issuer="factory-ca", is_ca=True)
    maker.make("client-chain", issuer="line-ca", common_name=ENDPOINT, chain=("line-ca", "factory-ca"))
    maker.make("pinned")
    maker.make("pinned-expired", days=(-20, -10))
    maker.make("pinned-future", days=(10, 20))
    maker.make("pinned-server", usage=ExtendedKeyUsageOID.SERVER_AUTH)
    maker.make("stranger", common_name=ENDPOINT)
    maker.make("expired", issuer="ca", common_name=ENDPOINT, days=(-20, -10))
    maker.weak("client224", curve("secp224r1"), issuer="ca")
    maker.weak("client192", curve("prime192v1"), issuer="ca")
    maker.weak("client-rsa", ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"], issuer="ca")
    maker.weak("client-sha1", curve("prime256v1"), issuer="ca", digest="sha1")
    maker.weak("pinned-sha1", curve("prime256v1"), digest="sha1")
    maker.weak("ca224", curve("secp224r1"), ca=True)
    maker.weak("client-ca224", curve("prime256v1"), issuer="ca224")
    maker.run("ec", "-in", "client.key", "-out", "client.ec")
    return Pki(folder)
