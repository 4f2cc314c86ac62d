"""What a certificate says of its holder, whoever that is: the names that it carries, and what people compare."""

import datetime as dt
from dataclasses import dataclass

from cryptography import x509
from cryptography.x509.oid import NameOID

from .identity import printable

MAX_CERTIFICATE = 16384
"""Bytes in the largest certificate that is looked at."""

MAX_NAMES = 16
MAX_NAME_LENGTH = 255


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """For people, all of it printable; nothing of it is proven by having the certificate."""

    subject: str
    issuer: str
    not_before: dt.datetime
    not_after: dt.datetime


def names_of(der: bytes) -> tuple[str | None, tuple[str, ...]] | None:
    """(common name, common name and subject alternative names), or None for what is no readable certificate."""
    if not der or len(der) > MAX_CERTIFICATE:
        return None
    try:
        certificate = x509.load_der_x509_certificate(der)
        common_names = [str(a.value) for a in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
        try:
            alternative = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except x509.ExtensionNotFound:
            others: list[str] = []
        else:
            others = alternative.get_values_for_type(x509.DNSName)
            others += alternative.get_values_for_type(x509.UniformResourceIdentifier)
    except ValueError, TypeError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType:
        return None
    names = [name for name in common_names[:1] + others if 0 < len(name) <= MAX_NAME_LENGTH]
    return (names[0] if common_names[:1] == names[:1] and names else None), tuple(dict.fromkeys(names[:MAX_NAMES]))


def facts_of(der: bytes) -> CertificateFacts:
    """Who it is of, who signed it, and when it is valid. Raises ValueError for what is no certificate."""
    certificate = x509.load_der_x509_certificate(der)
    return CertificateFacts(
        _name(certificate.subject), _name(certificate.issuer), certificate.not_valid_before_utc,
        certificate.not_valid_after_utc,
    )  # fmt: skip


def _name(name: x509.Name) -> str:
    common = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return printable(str(common[0].value) if common else name.rfc4514_string())
