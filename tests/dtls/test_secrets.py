"""Keys appear in no log, event, repr or exception, whatever happens."""

import logging
from collections.abc import Callable

import pytest

from custom_components.lwm2m.dtls.openssl.endpoint import OpenSSLEndpoint
from tests.openssl_client import Client

from .client import Network
from .conftest import KEY, MODES, SERVER


def test_no_key_is_told(
    endpoint: OpenSSLEndpoint, connect: Callable[..., Client], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    network = Network(endpoint)
    wrong = b"0123456789abcdef"
    for number, mode in enumerate(MODES):
        network.add(connect(mode, number))
        network.run(0.5)
    network.add(connect(key=wrong))
    network.add(Client("PSK-AES128-CCM8", psk=(b"nobody", KEY)))
    network.add(Client("PSK-AES128-GCM-SHA256", psk=(b"dev1", KEY)))
    network.run(70)
    assert len(network.events) > len(MODES)
    told = repr(network.events) + caplog.text
    told += repr([vars(endpoint), list(endpoint.associations()), endpoint._context, SERVER])
    for secret in (KEY, wrong, SERVER.private_key):
        assert secret.hex() not in told
        assert repr(secret)[2:-1] not in told
