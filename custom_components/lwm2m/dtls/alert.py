"""Alert descriptions (RFC 5246 section 7.2, RFC 4279, RFC 7301): numbers and the registry's names."""

CLOSE_NOTIFY = 0
HANDSHAKE_FAILURE = 40
DECRYPT_ERROR = 51
PROTOCOL_VERSION = 70
INSUFFICIENT_SECURITY = 71
NO_RENEGOTIATION = 100
WARNING, FATAL = 1, 2

NAMES = {
    0: "close_notify",
    10: "unexpected_message",
    20: "bad_record_mac",
    21: "decryption_failed",
    22: "record_overflow",
    30: "decompression_failure",
    40: "handshake_failure",
    41: "no_certificate",
    42: "bad_certificate",
    43: "unsupported_certificate",
    44: "certificate_revoked",
    45: "certificate_expired",
    46: "certificate_unknown",
    47: "illegal_parameter",
    48: "unknown_ca",
    49: "access_denied",
    50: "decode_error",
    51: "decrypt_error",
    70: "protocol_version",
    71: "insufficient_security",
    80: "internal_error",
    86: "inappropriate_fallback",
    90: "user_canceled",
    100: "no_renegotiation",
    109: "missing_extension",
    110: "unsupported_extension",
    112: "unrecognized_name",
    113: "bad_certificate_status_response",
    115: "unknown_psk_identity",
    116: "certificate_required",
    120: "no_application_protocol",
}

DISTRUST = frozenset({42, 43, 44, 45, 46, 48, 49})
"""Alerts with which a device says that it does not take this server's certificate or key."""


def alert_name(description: int) -> str:
    """The registry's name, or the number."""
    return NAMES.get(description, f"alert {description}")


def describe(description: int) -> str:
    """One phrase for a peer's alert that ended a handshake, with its name."""
    name = alert_name(description)
    if description in DISTRUST:
        return f"the device does not trust this server ({name})"
    return f"the device ended the handshake ({name})"
