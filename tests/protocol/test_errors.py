"""Errors and codes."""

import pytest

from custom_components.lwm2m.protocol import codes, errors
from custom_components.lwm2m.protocol.content_format import ContentFormat, canonical


def test_response_error_reads_like_the_standard() -> None:
    assert str(errors.ResponseError(0x84)) == "4.04 Not Found"
    assert str(errors.ResponseError(0x80, "no such thing")) == "4.00 Bad Request: no such thing"
    assert str(errors.ResponseError(0x9F)) == "4.31"


def test_not_registered_names_the_client() -> None:
    assert str(errors.NotRegistered("urn:x")) == "urn:x is not registered"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.PathError("x"), "4.00"),
        (errors.CodecError("x"), "4.00"),
        (errors.UnsupportedFormat("x", 1), "4.15"),
        (errors.RegistrationError("x"), "4.00"),
        (errors.RegistrationError("x", codes.PRECONDITION_FAILED), "4.12"),
    ],
)
def test_code_to_answer_with(error: errors.ProtocolError, code: str) -> None:
    assert codes.format_code(error.code) == code


def test_codes() -> None:
    assert codes.format_code(codes.CONTENT) == "2.05"
    assert codes.is_success(codes.CHANGED)
    assert not codes.is_success(codes.NOT_FOUND)
    assert codes.describe_code(codes.GET) == "0.01 GET"


def test_draft_numbers() -> None:
    assert canonical(1541) == ContentFormat.TEXT
    assert canonical(1542) == ContentFormat.TLV
    assert canonical(1543) == ContentFormat.JSON
    assert canonical(112) == 112
