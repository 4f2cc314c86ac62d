"""What OpenSSL's error queue says about a failed handshake, in this project's reasons."""

from ...security.identity import Identity, PskIdentity
from ...security.policy import Offer
from ...security.refusal import Reason, Refusal
from ..alert import describe

ERROR_ZERO_RETURN = 6
ALERT_OFFSET = 1000
"""Reason codes from here on are alerts that the peer sent (SSL_AD_REASON_OFFSET, openssl/sslerr.h)."""

# SSL_R_* codes of openssl/sslerr.h
_REASONS = {
    199: (Reason.NO_CLIENT_CERTIFICATE, "the device sent no certificate and no raw public key"),
    193: (Reason.NO_PERMITTED_SUITE, "none of the offered suites can be used together with what else is offered"),
    223: (Reason.UNKNOWN_IDENTITY, "no device with this PSK identity is on file"),
    134: (Reason.UNTRUSTED_CERTIFICATE, "the certificate is not accepted"),
    370: (Reason.SHA1, "the device signed with an algorithm that this server did not offer, such as SHA-1"),
    118: (Reason.SHA1, "no signature algorithm without SHA-1 is common"),
    378: (Reason.KEY_TOO_SMALL, "the device's key is on a curve that is not permitted"),
}


def explain(error: int, errors: list[tuple[int, str]], identity: Identity | None, offer: Offer) -> Refusal:
    """The refusal for a handshake that ended with this SSL_get_error and error queue."""
    reason, detail = _reason(error, errors)
    return Refusal(
        reason,
        detail,
        identity=identity.label if identity else None,
        offered=offer.names,
        identity_bytes=identity.identity if isinstance(identity, PskIdentity) else None,
    )


def _reason(error: int, errors: list[tuple[int, str]]) -> tuple[Reason, str]:
    for code, _ in errors:
        if ALERT_OFFSET <= code < ALERT_OFFSET + 256:
            return Reason.REJECTED_BY_DEVICE, describe(code - ALERT_OFFSET)
    for code, _ in errors:
        if code in _REASONS:
            return _REASONS[code]
    if error == ERROR_ZERO_RETURN:
        return Reason.REJECTED_BY_DEVICE, describe(0)
    text = ", ".join(text for _, text in errors[:4]) or f"error {error}"
    return Reason.MALFORMED, f"the handshake broke off: {text}"
