"""Who may come in: the credentials on file and the candidates, asked by the handshakes.

A PSK identity, a raw public key and a pinned certificate each belong to one endpoint. While a candidate waits beside a
credential of the same PSK identity both keys work: each wrong_key makes the next handshake use the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from ..security.credential import Certificate, Credential, Psk, RawPublicKey
from ..security.identity import CertificateIdentity, Identity, PskIdentity, PublicKeyIdentity, may_be
from .errors import IdentityInUseError

if TYPE_CHECKING:
    from ..coap.remote import Peer
    from ..security.refusal import Refusal
    from .pending import Candidate

type Changed = Callable[[str, Credential | None, Peer | None], None]
"""Called with endpoint, former credential and the peer (if any) that goes on under the new one."""


def _key_of(credential: Credential) -> bytes | None:
    """What a handshake names that belongs to this credential alone; None for "any certificate of a trusted CA"."""
    match credential:
        case Psk():
            return b"psk:" + credential.identity
        case RawPublicKey():
            return b"rpk:" + credential.public_key
        case Certificate():
            return None if credential.certificate is None else b"crt:" + credential.certificate


def _by_ca_slot(endpoint: str) -> bytes:
    return b"ca:" + endpoint.encode()


def _slot(candidate: Candidate) -> bytes:
    """What a handshake names that leads to this candidate."""
    return _key_of(candidate.credential) or _by_ca_slot(candidate.expected_endpoint or "")


class Authorizer:
    """Implements `security.policy.Credentials`; all answers are immediate and change nothing but what is said here.

    `open_to_authorities`: a certificate of a trusted CA also lets in endpoints that have nothing on file, under the
    names that it carries. `is_reserved` says whether nobody may be an endpoint without a credential, though none is on
    file at present; its owner sets it.
    """

    def __init__(self) -> None:
        self._credentials: dict[str, Credential] = {}
        self._endpoints: dict[bytes, str] = {}
        self._candidates: dict[bytes, Candidate] = {}
        self.on_change: Changed | None = None
        self.open_to_authorities = False
        self.is_reserved: Callable[[str], bool] = lambda _endpoint: False

    # -- what the user decides

    @property
    def credentials(self) -> Mapping[str, Credential]:
        """By endpoint."""
        return MappingProxyType(self._credentials)

    def credential(self, endpoint: str) -> Credential | None:
        """What is on file for an endpoint."""
        return self._credentials.get(endpoint)

    def set_credential(self, endpoint: str, credential: Credential, *, keep: Peer | None = None) -> None:
        """File it.

        What the endpoint had before ends at once: another credential with its associations (save `keep`), and a
        registration that the new credential does not permit.
        Raises IdentityInUseError if the identity is on file for another endpoint.
        """
        key = _key_of(credential)
        if key is not None and self._endpoints.get(key, endpoint) != endpoint:
            raise IdentityInUseError(self._endpoints[key])
        former = self._credentials.get(endpoint)
        if former is not None:
            self._drop(endpoint, former)
        self._credentials[endpoint] = credential
        if key is not None:
            self._endpoints[key] = endpoint
        if former != credential and self.on_change is not None:
            self.on_change(endpoint, former, keep)

    def remove_credential(self, endpoint: str) -> None:
        """Ends its associations and its registration at once. Nothing happens if there is none."""
        if (former := self._credentials.get(endpoint)) is not None:
            self._drop(endpoint, former)
            if self.on_change is not None:
                self.on_change(endpoint, former, None)

    def _drop(self, endpoint: str, former: Credential) -> None:
        del self._credentials[endpoint]
        if (key := _key_of(former)) is not None:
            del self._endpoints[key]

    def holder(self, credential: Credential) -> str | None:
        """The endpoint on file that the identity of this credential belongs to."""
        key = _key_of(credential)
        return None if key is None else self._endpoints.get(key)

    # -- candidates (managed by pending.py)

    def add_candidate(self, candidate: Candidate) -> Candidate | None:
        """Let it in beside what is on file; returns the one of the same identity that it replaces."""
        slot = _slot(candidate)
        former = self._candidates.get(slot)
        self._candidates[slot] = candidate
        return former

    def drop_candidate(self, candidate: Candidate) -> None:
        """Let it in no longer."""
        slot = _slot(candidate)
        if self._candidates.get(slot) is candidate:
            del self._candidates[slot]

    def proven_candidate(self, identity: Identity) -> Candidate | None:
        """The candidate whose credential a handshake of this identity, complete just now, has used."""
        match identity:
            case PskIdentity():
                key = b"psk:" + identity.identity
                candidate = self._candidates.get(key)
                # Beside a key on file it was the one whose turn it is.
                return candidate if candidate is None or key not in self._endpoints or candidate.has_turn else None
            case PublicKeyIdentity():
                return self._candidates.get(b"rpk:" + identity.public_key)
            case CertificateIdentity():
                if (pinned := self._candidates.get(b"crt:" + identity.certificate)) is not None:
                    return pinned
                return self._candidate_named(identity.names) if identity.trusted else None
        return None

    def candidate_of_certificate(self, names: Iterable[str]) -> Candidate | None:
        """The candidate for a certificate of an endpoint of one of these names: what a refused one says, unproven."""
        wanted = frozenset(names)
        return next(
            (
                candidate
                for candidate in self._candidates.values()
                if isinstance(candidate.credential, Certificate) and candidate.expected_endpoint in wanted
            ),
            None,
        )

    def _candidate_named(self, names: Iterable[str]) -> Candidate | None:
        return next((one for name in names if (one := self._candidates.get(_by_ca_slot(name))) is not None), None)

    def wrong_key(self, identity: bytes) -> tuple[Candidate | None, str | None]:
        """A handshake of this identity failed by its key: the candidate whose key it was, and the endpoint on file."""
        endpoint = self._endpoints.get(b"psk:" + identity)
        candidate = self._candidates.get(b"psk:" + identity)
        if candidate is None or endpoint is None:
            return candidate, endpoint
        tried = candidate.has_turn
        candidate.has_turn = not tried
        return candidate if tried else None, endpoint

    # -- what a handshake proved

    def endpoint_of(self, identity: Identity) -> str | None:
        """The endpoint that this identity has on file, where it is one endpoint alone."""
        match identity:
            case PskIdentity():
                return self._endpoints.get(b"psk:" + identity.identity)
            case PublicKeyIdentity():
                return self._endpoints.get(b"rpk:" + identity.public_key)
            case CertificateIdentity():
                if (pinned := self._endpoints.get(b"crt:" + identity.certificate)) is not None:
                    return pinned
                named = {name for name in (identity.common_name, *identity.names) if name and self._by_ca(name)}
                return named.pop() if identity.trusted and len(named) == 1 else None
        return None

    def endpoint_named(self, names: Iterable[str]) -> str | None:
        """The endpoint that a refused certificate claims to be of, where that has one on file: unproven."""
        return next((name for name in names if isinstance(self._credentials.get(name), Certificate)), None)

    def _by_ca(self, endpoint: str) -> bool:
        return self._credential_for(endpoint, by_certificate=True) == Certificate()

    def _credential_for(self, endpoint: str, *, by_certificate: bool) -> Credential | None:
        credential = self._credentials.get(endpoint)
        return Certificate() if credential is None and by_certificate and self.open_to_authorities else credential

    def refusal(self, identity: Identity, endpoint: str) -> Refusal | None:
        """Why whoever has proven this identity may not be this endpoint; None if it may."""
        by_certificate = isinstance(identity, CertificateIdentity)
        return may_be(self._credential_for(endpoint, by_certificate=by_certificate), identity, endpoint)

    # -- what a handshake asks (security.policy.Credentials)

    def psk(self, identity: bytes) -> bytes | None:
        """The key to try for an identity."""
        key = b"psk:" + identity
        candidate = self._candidates.get(key)
        endpoint = self._endpoints.get(key)
        if candidate is not None and (endpoint is None or candidate.has_turn):
            credential: Credential | None = candidate.credential
        else:
            credential = self._credentials[endpoint] if endpoint is not None else None
        return credential.key if isinstance(credential, Psk) else None

    def public_key(self, public_key: bytes) -> bool:
        """Is this SubjectPublicKeyInfo on file, or that of a candidate?"""
        key = b"rpk:" + public_key
        return key in self._endpoints or key in self._candidates

    def certificate(self, certificate: bytes, names: tuple[str, ...]) -> bool | None:
        """True: pinned. None: the chain decides, since an endpoint of one of these names takes a trusted CA. False."""
        key = b"crt:" + certificate
        if key in self._endpoints or key in self._candidates:
            return True
        by_authority = self._candidate_named(names) is not None or any(self._by_ca(name) for name in names)
        return None if by_authority else False
