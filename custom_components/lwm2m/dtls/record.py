"""DTLS 1.2 records: header parse, replay window, key derivation, sealing and opening (RFC 6347 section 4.1)."""

import hmac
import os
import struct
from abc import ABC, abstractmethod
from typing import NamedTuple, override

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM, ChaCha20Poly1305

from ..security.cipher_suite import CipherSuite

CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE, APPLICATION_DATA = 20, 21, 22, 23
CONTENT_TYPES = frozenset({CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE, APPLICATION_DATA, 25})
HEADER = struct.Struct("!BHHHIH")
HEADER_LENGTH = 13
VERSION = 0xFEFD
MAX_PLAINTEXT = 16384
WINDOW = 64
ALL_SEEN = (1 << WINDOW) - 1
_TYPE_AND_VERSION = [bytes([content_type, 0xFE, 0xFD]) for content_type in range(256)]


class Record(NamedTuple):
    """One record of a datagram; `header` and `body` are slices of it, `sealed` is both."""

    content_type: int
    version: int
    epoch: int
    sequence: int
    header: bytes
    body: bytes

    @property
    def whole(self) -> bytes:
        """The record as it was on the wire."""
        return self.header + self.body


def split(datagram: bytes) -> list[Record]:
    """The records of a datagram up to the first that is malformed."""
    records, start = [], 0
    while start + HEADER_LENGTH <= len(datagram):
        content_type, version, epoch, high, low, length = HEADER.unpack_from(datagram, start)
        body = start + HEADER_LENGTH
        end = body + length
        if version >> 8 != 0xFE or content_type not in CONTENT_TYPES or end > len(datagram):
            break
        sequence = high << 32 | low
        records.append(Record(content_type, version, epoch, sequence, datagram[start:body], datagram[body:end]))
        start = end
    return records


def is_record(datagram: bytes) -> bool:
    """Whether a datagram starts with a whole DTLS record."""
    if len(datagram) < HEADER_LENGTH or datagram[0] not in CONTENT_TYPES or datagram[1] != 0xFE:
        return False
    return HEADER_LENGTH + int.from_bytes(datagram[11:13]) <= len(datagram)


class Window:
    """Which of the newest 64 sequence numbers were seen (RFC 6347 section 4.1.2.6).

    Ask `fresh` before authenticating a record, call `mark` only after.
    """

    __slots__ = ("bits", "top")

    def __init__(self) -> None:
        self.top = -1
        self.bits = 0

    def fresh(self, sequence: int) -> bool:
        """Whether this number is new enough and not yet seen."""
        distance = self.top - sequence
        return distance < 0 or (distance < WINDOW and not self.bits >> distance & 1)

    def mark(self, sequence: int) -> None:
        """Note a fresh number as seen."""
        distance = sequence - self.top
        if distance > 0:
            self.bits = (self.bits << distance | 1) & ALL_SEEN if distance < WINDOW else 1
            self.top = sequence
        else:
            self.bits |= 1 << -distance


def prf(hash_name: str, secret: bytes, label: bytes, seed: bytes, length: int) -> bytes:
    """The TLS 1.2 pseudorandom function (RFC 5246 section 5)."""
    seed = label + seed
    a, out = seed, b""
    while len(out) < length:
        a = hmac.digest(secret, a, hash_name)
        out += hmac.digest(secret, a + seed, hash_name)
    return out[:length]


class Direction(ABC):
    """The keys of one direction. `sequence` is the 8 bytes of epoch and sequence number."""

    __slots__ = ()

    @abstractmethod
    def seal(self, content_type: int, sequence: bytes, data: bytes) -> bytes:
        """The record body that protects `data`."""

    @abstractmethod
    def open(self, content_type: int, sequence: bytes, body: bytes) -> bytes | None:
        """The data of a record body, or None when it does not authenticate."""


class Aead(Direction):
    """AES-CCM and AES-GCM: 4 bytes of nonce from the key block, 8 explicit (RFC 6655, RFC 5288)."""

    __slots__ = ("cipher", "salt", "tag")

    def __init__(self, cipher: AESCCM | AESGCM, salt: bytes, tag: int) -> None:
        self.cipher = cipher
        self.salt = salt
        self.tag = tag

    @override
    def seal(self, content_type: int, sequence: bytes, data: bytes) -> bytes:
        aad = sequence + _TYPE_AND_VERSION[content_type] + len(data).to_bytes(2)
        return sequence + self.cipher.encrypt(self.salt + sequence, data, aad)

    @override
    def open(self, content_type: int, sequence: bytes, body: bytes) -> bytes | None:
        length = len(body) - 8 - self.tag
        if not 0 <= length <= MAX_PLAINTEXT:
            return None
        aad = sequence + _TYPE_AND_VERSION[content_type] + length.to_bytes(2)
        try:
            return self.cipher.decrypt(self.salt + body[:8], body[8:], aad)
        except InvalidTag:
            return None


class ChaCha(Direction):
    """ChaCha20-Poly1305: the nonce is the key block's 12 bytes, exclusive-or with the sequence number (RFC 7905)."""

    __slots__ = ("cipher", "iv")

    def __init__(self, key: bytes, iv: bytes) -> None:
        self.cipher = ChaCha20Poly1305(key)
        self.iv = int.from_bytes(iv)

    def _nonce(self, sequence: bytes) -> bytes:
        return (self.iv ^ int.from_bytes(sequence)).to_bytes(12)

    @override
    def seal(self, content_type: int, sequence: bytes, data: bytes) -> bytes:
        aad = sequence + _TYPE_AND_VERSION[content_type] + len(data).to_bytes(2)
        return self.cipher.encrypt(self._nonce(sequence), data, aad)

    @override
    def open(self, content_type: int, sequence: bytes, body: bytes) -> bytes | None:
        length = len(body) - 16
        if not 0 <= length <= MAX_PLAINTEXT:
            return None
        aad = sequence + _TYPE_AND_VERSION[content_type] + length.to_bytes(2)
        try:
            return self.cipher.decrypt(self._nonce(sequence), body, aad)
        except InvalidTag:
            return None


class Cbc(Direction):
    """AES-CBC with encrypt-then-MAC (RFC 7366)."""

    __slots__ = ("hash", "key", "mac", "tag")

    def __init__(self, key: bytes, mac: bytes, hash_name: str) -> None:
        self.key = algorithms.AES(key)
        self.mac = mac
        self.hash = hash_name
        self.tag = len(mac)

    @override
    def seal(self, content_type: int, sequence: bytes, data: bytes) -> bytes:
        padding = 15 - len(data) % 16
        iv = os.urandom(16)
        encryptor = Cipher(self.key, modes.CBC(iv)).encryptor()
        sealed = iv + encryptor.update(data + bytes([padding]) * (padding + 1)) + encryptor.finalize()
        return sealed + self._digest(content_type, sequence, sealed)

    @override
    def open(self, content_type: int, sequence: bytes, body: bytes) -> bytes | None:
        sealed = body[: -self.tag]
        if len(sealed) < 32 or len(sealed) % 16 or len(sealed) > MAX_PLAINTEXT + 512:
            return None
        if not hmac.compare_digest(self._digest(content_type, sequence, sealed), body[-self.tag :]):
            return None
        return self._strip(self._decrypt(sealed))

    def _decrypt(self, sealed: bytes) -> bytes:
        decryptor = Cipher(self.key, modes.CBC(sealed[:16])).decryptor()
        return decryptor.update(sealed[16:]) + decryptor.finalize()

    @staticmethod
    def _strip(padded: bytes) -> bytes | None:
        padding = padded[-1] + 1
        if padding > len(padded) or padded[-padding:] != bytes([padding - 1]) * padding:
            return None
        return padded[:-padding]

    def _digest(self, content_type: int, sequence: bytes, sealed: bytes) -> bytes:
        prefix = sequence + _TYPE_AND_VERSION[content_type] + len(sealed).to_bytes(2)
        return hmac.digest(self.mac, prefix + sealed, self.hash)


class MacThenEncrypt(Cbc):
    """AES-CBC as RFC 5246 section 6.2.3.2 has it, only to look once whether a Finished was made with our key.

    To open records of a peer's choice this way would be a padding oracle: such associations stay in OpenSSL.
    """

    __slots__ = ()

    @override
    def seal(self, content_type: int, sequence: bytes, data: bytes) -> bytes:
        raise NotImplementedError

    @override
    def open(self, content_type: int, sequence: bytes, body: bytes) -> bytes | None:
        if len(body) < 32 + self.tag or len(body) % 16 or len(body) > MAX_PLAINTEXT + 512:
            return None
        plain = self._strip(self._decrypt(body))
        if plain is None or len(plain) < self.tag:
            return None
        data = plain[: -self.tag]
        return data if hmac.compare_digest(self._digest(content_type, sequence, data), plain[-self.tag :]) else None


def directions(
    suite: CipherSuite, encrypt_then_mac: bool, master: bytes, client_random: bytes, server_random: bytes
) -> tuple[Direction, Direction]:
    """(client's, server's) write keys of an association (RFC 5246 section 6.3)."""
    iv_length = {"CHACHA20_POLY1305": 12}.get(suite.cipher, 0 if suite.is_cbc else 4)
    mac, key = suite.mac_length, suite.key_length
    block = prf(suite.hash, master, b"key expansion", server_random + client_random, 2 * (mac + key + iv_length))
    keys = block[2 * mac :]
    ivs = keys[2 * key :]

    def make(side: int) -> Direction:
        write_key = keys[side * key : (side + 1) * key]
        iv = ivs[side * iv_length : (side + 1) * iv_length]
        if suite.is_cbc:
            form = Cbc if encrypt_then_mac else MacThenEncrypt
            return form(write_key, block[side * mac : (side + 1) * mac], "sha384" if mac == 48 else "sha256")
        if suite.cipher == "CHACHA20_POLY1305":
            return ChaCha(write_key, iv)
        if suite.cipher.endswith("_GCM"):
            return Aead(AESGCM(write_key), iv, 16)
        tag = 8 if suite.cipher.endswith("_CCM_8") else 16
        return Aead(AESCCM(write_key, tag_length=tag), iv, tag)

    return make(0), make(1)
