"""Keys and certificates as text and files: what is written is read again, and nothing raises another error."""

import base64
import contextlib
import datetime as dt

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509 import load_der_x509_certificate
from hypothesis import given, strategies as st

from custom_components.lwm2m.security.credential import CredentialError
from custom_components.lwm2m.security.pem import (
    read_authorities,
    read_certificate,
    read_pkcs12,
    read_public_key,
    read_server_identity,
)
from custom_components.lwm2m.security.server_identity import ServerIdentity

NOW = dt.datetime(2026, 6, 1, tzinfo=dt.UTC)
MADE = ServerIdentity.generate(["ha.local", "192.0.2.1"])
KEY = serialization.load_der_private_key(MADE.private_key, None)
assert isinstance(KEY, ec.EllipticCurvePrivateKey)
PKCS12 = pkcs12.serialize_key_and_certificates(
    b"name",
    KEY,
    load_der_x509_certificate(MADE.certificate),
    None,
    serialization.NoEncryption(),
)

curves = st.sampled_from([ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()])
separators = st.sampled_from([" ", ",", ", ", "\n", "\r\n", ";\n", "\t"])
labels = st.sampled_from([("", ""), ("x=", "y="), ("X: ", "Y: "), ("x = ", "y = "), ("Qx=", "Qy="), ("0x", "0x")])


def coloned(digits: str) -> str:
    return ":".join(digits[at : at + 2] for at in range(0, len(digits), 2))


@given(st.data(), curves, st.booleans(), st.booleans(), st.booleans())
def test_a_point_is_read_however_it_is_written(
    data: st.DataObject, curve: ec.EllipticCurve, colons: bool, upper: bool, stripped: bool
) -> None:
    key = ec.derive_private_key(data.draw(st.integers(1, 2**255)), curve).public_key()
    size = (curve.key_size + 7) // 8
    x, y = (f"{number:0{2 * size}x}" for number in (key.public_numbers().x, key.public_numbers().y))
    if stripped and not colons:
        x, y = x.lstrip("0"), y.lstrip("0")
    joined = "04" + x.zfill(2 * size) + y.zfill(2 * size)
    before_x, before_y = data.draw(labels)
    form = str.upper if upper else str
    write = coloned if colons else str
    two = f"{before_x}{form(write(x))}{data.draw(separators)}{before_y}{form(write(y))}"
    for text in (two, form(write(joined)), form(write(joined[2:]))):
        assert read_public_key(text.encode()) == key.public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )


words = st.lists(
    st.one_of(
        st.sampled_from(
            ["04", "0x", "x=", "y:", "X", "pub:", " ", "\n", ",", ":", "{", MADE.x.hex(), MADE.y.hex(), "30", "="]
        ),
        st.text("0123456789abcdefABCDEF", max_size=70),
        st.text(max_size=4),
    ),
    max_size=8,
).map("".join)


@st.composite
def damaged(draw: st.DrawFn, *whole: bytes) -> bytes:
    """One of these, with some octets replaced, left out or put in."""
    data = bytearray(draw(st.sampled_from(whole)))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(data)))
        data[at : at + draw(st.integers(0, 2))] = draw(st.binary(max_size=2))
    return bytes(data)


keys = damaged(
    MADE.public_key, MADE.public_key_pem(), base64.b64encode(MADE.public_key), MADE.public_key.hex().encode()
)
certificates = damaged(MADE.certificate, MADE.chain_pem(), base64.b64encode(MADE.certificate))


@given(st.one_of(words.map(lambda text: text.encode("utf-8", "replace")), st.binary(max_size=200), keys))
def test_any_public_key(data: bytes) -> None:
    with contextlib.suppress(CredentialError):
        read = read_public_key(data)
        assert read_public_key(read) == read
        assert read_public_key(base64.b64encode(read)) == read


@given(st.one_of(certificates, st.binary(max_size=200)))
def test_any_certificate(data: bytes) -> None:
    with contextlib.suppress(CredentialError):
        read_certificate(data, NOW)
    with contextlib.suppress(CredentialError):
        read_authorities(data, NOW)


@given(
    damaged(MADE.private_key_pem(), MADE.private_key),
    st.one_of(st.none(), certificates),
    st.one_of(st.none(), st.binary(max_size=4)),
    st.lists(st.one_of(st.text(max_size=8), st.sampled_from(["ha", "::1", "127.0.0.1"])), max_size=3),
)
def test_any_server_identity(key: bytes, chain: bytes | None, password: bytes | None, names: list[str]) -> None:
    with contextlib.suppress(CredentialError):
        read = read_server_identity(key, chain, NOW, password, names)
        assert chain is not None or read.names == tuple(names)


@given(st.one_of(damaged(PKCS12), st.binary(max_size=200)), st.one_of(st.none(), st.binary(max_size=4)))
def test_any_pkcs12(data: bytes, password: bytes | None) -> None:
    with contextlib.suppress(CredentialError):
        read_pkcs12(data, password, NOW)
