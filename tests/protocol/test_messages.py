"""Register and Update."""

import pytest

from custom_components.lwm2m.protocol.codes import format_code
from custom_components.lwm2m.protocol.errors import RegistrationError
from custom_components.lwm2m.protocol.messages import DEFAULT_LIFETIME, MAX_LIFETIME, RegisterRequest, UpdateRequest

OBJECTS = b"</1/0>,</3/0>"


def register(query: str, payload: bytes = OBJECTS) -> RegisterRequest:
    return RegisterRequest.parse(query.split("&") if query else [], payload)


def test_anjay_1_1() -> None:
    request = register(
        "lwm2m=1.1&ep=urn:dev:os:anjay&lt=60&Q", b"</1>;ver=1.1,</1/1>,</2>,</3/0>,</3303>;ver=1.1,</3303/0>"
    )
    assert request.endpoint == "urn:dev:os:anjay"
    assert (request.lifetime, request.lwm2m, request.binding, request.queue) == (60, "1.1", "U", True)
    assert {str(path): version for path, version in request.objects.objects.items()} == {
        "/1/1": "1.1",
        "/2": "1.0",
        "/3/0": "1.1",
        "/3303/0": "1.1",
    }


def test_wakaama() -> None:
    request = register(
        "lwm2m=1.1&ep=testlwm2mclient&b=U&lt=300",
        b"</>;rt=oma.lwm2m;ct=110,</1>;ver=1.1,</1/0>,</3/0>",
    )
    assert (request.endpoint, request.lifetime, request.binding, request.queue) == ("testlwm2mclient", 300, "U", False)
    assert request.objects.content_formats == (110,)


def test_coap_node() -> None:
    request = register("ep=node&lt=86400&lwm2m=1.0.0&mac=aa:bb&b=U", b"</>;ct=11543;hb,</1/0>,</3/0>")
    assert (request.lwm2m, request.attributes, request.objects.root) == ("1.0", {"mac": "aa:bb"}, ())


def test_defaults() -> None:
    request = register("ep=x")
    assert (request.lifetime, request.lwm2m, request.binding, request.queue, request.sms) == (
        DEFAULT_LIFETIME,
        "1.0",
        "U",
        False,
        None,
    )
    assert request.attributes == {}


@pytest.mark.parametrize("query", ["", "ep=", "ep", "lt=60&lwm2m=1.1"])
def test_endpoint_may_be_missing(query: str) -> None:
    assert register(query).endpoint is None


@pytest.mark.parametrize(
    ("text", "lifetime"), [("0", MAX_LIFETIME), ("1", 1), ("99999999999", MAX_LIFETIME), ("00300", 300)]
)
def test_lifetime(text: str, lifetime: int) -> None:
    assert register(f"ep=x&lt={text}").lifetime == lifetime
    assert UpdateRequest.parse([f"lt={text}"], b"").lifetime == lifetime


def test_extra_attributes_are_kept() -> None:
    request = register("ep=x&sms=491234&site=Hamburg&bare&pid=7")
    assert request.sms == "491234"
    assert request.attributes == {"site": "Hamburg", "bare": None, "pid": "7"}


@pytest.mark.parametrize(
    ("query", "binding", "queue"),
    [
        ("lwm2m=1.0&b=UQ", "UQ", True),
        ("lwm2m=1.0&b=UQS", "UQS", True),
        ("lwm2m=1.0&b=U", "U", False),
        ("lwm2m=1.0&b=U&Q", "U", True),
        ("lwm2m=1.1&b=U", "U", False),
        ("lwm2m=1.1&b=U&Q", "U", True),
        ("lwm2m=1.1&b=UTSN&Q", "UTSN", True),
        ("lwm2m=1.2&b=UMHTSN", "UMHTSN", False),
        ("lwm2m=1.2&Q", "U", True),
    ],
)
def test_binding(query: str, binding: str, queue: bool) -> None:
    request = register(f"ep=x&{query}")
    assert (request.binding, request.queue) == (binding, queue)


@pytest.mark.parametrize(
    "query",
    [
        "ep=x&lt=",
        "ep=x&lt",
        "ep=x&lt=-1",
        "ep=x&lt=1.5",
        "ep=x&lt=soon",
        "ep=x&lt=" + "9" * 5000,
        "ep=x&Q=x",
        "ep=x&Q=",
        "ep=x&lwm2m=",
        "ep=x&lwm2m",
        "ep=x&lwm2m=1",
        "ep=x&lwm2m=one",
        "ep=x&lwm2m=1.x",
        "ep=x&b=",
        "ep=x&lwm2m=1.0&b=T",
        "ep=x&lwm2m=1.0&b=QU",
        "ep=x&lwm2m=1.1&b=UQ",
        "ep=x&lwm2m=1.1&b=UU",
        "ep=x&lwm2m=1.1&b=M",
        "ep=x&lwm2m=1.2&b=X",
        "ep=x&ep=y",
        "ep=x&lt=60&lt=61",
        "ep=a\nb",
        "ep=a\x1b[31m",
        "ep=x&" + "&".join(f"a{i}=1" for i in range(100)),
    ],
)
def test_refused_with_4_00(query: str) -> None:
    with pytest.raises(RegistrationError) as caught:
        register(query)
    assert format_code(caught.value.code) == "4.00"


@pytest.mark.parametrize("version", ["0.9", "1.3", "2.0", "1.10"])
def test_unsupported_version_is_4_12(version: str) -> None:
    with pytest.raises(RegistrationError) as caught:
        register(f"ep=x&lwm2m={version}")
    assert format_code(caught.value.code) == "4.12"


@pytest.mark.parametrize("payload", [b"", b" ", b"</>;rt=oma.lwm2m", b"</x/y>", b"</3/0", b"\xff"])
def test_no_object_list_is_4_00(payload: bytes) -> None:
    with pytest.raises(RegistrationError) as caught:
        register("ep=x", payload)
    assert format_code(caught.value.code) == "4.00"


def test_update_without_anything_keeps_everything() -> None:
    assert UpdateRequest.parse([], b"") == UpdateRequest(
        lifetime=None, binding=None, queue=None, sms=None, objects=None
    )


def test_update() -> None:
    update = UpdateRequest.parse(["lt=120", "b=U", "Q", "sms=1", "site=x", "ep=ignored"], b"</3303/1>", "1.1")
    assert (update.lifetime, update.binding, update.queue, update.sms) == (120, "U", True, "1")
    assert update.objects is not None
    assert [str(path) for path in update.objects.objects] == ["/3303/1"]
    assert update.attributes == {"site": "x"}


def test_update_of_1_0_queue_mode() -> None:
    assert UpdateRequest.parse(["b=UQ"], b"", "1.0").queue is True
    assert UpdateRequest.parse(["b=U"], b"", "1.0").queue is False
    with pytest.raises(RegistrationError):
        UpdateRequest.parse(["b=UQ"], b"", "1.1")


def test_update_malformed_links() -> None:
    with pytest.raises(RegistrationError):
        UpdateRequest.parse([], b"</3/0")
