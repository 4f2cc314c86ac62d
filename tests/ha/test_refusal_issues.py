"""Repair issues for devices that are refused: which, when, what they say, and how they go."""

import json
import string
from datetime import timedelta
from pathlib import Path as FilePath
from typing import Any

import pytest
from homeassistant.config_entries import SOURCE_REAUTH
from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir
from homeassistant.util import dt as dt_util
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_fire_time_changed

from custom_components.lwm2m import issues, refusal_issues
from custom_components.lwm2m.const import DOMAIN, device_unique_id
from custom_components.lwm2m.dtls import alert
from custom_components.lwm2m.entry_data import device_data
from custom_components.lwm2m.hub import CARDS_CHECKED_EVERY
from custom_components.lwm2m.refusal_issues import CASE_LIFE, FIXABLE, UNPROVEN_SPAN
from custom_components.lwm2m.security.credential import Certificate, Psk, RawPublicKey
from custom_components.lwm2m.security.identity import fingerprint
from custom_components.lwm2m.security.refusal import Reason, Refusal
from tests.interop import peers
from tests.interop.peers import Command
from tests.interop.pki import ENDPOINT as CERTIFICATE_NAME, Pki
from tests.test_metadata import PACKAGE

from .home import free_port
from .house import ENDPOINT, IDENTITY, KEY, House
from .stranger import Stranger

CCM = "ECDHE-ECDSA-AES128-CCM8"
SUITE = "TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8"
GCM = "TLS_PSK_WITH_AES_128_GCM_SHA256"
HOST = "192.0.2.1"
NO_SUITE = Refusal(Reason.NO_PERMITTED_SUITE, "none", offered=("TLS_RSA_WITH_NULL_SHA",))
PLAIN = Refusal(Reason.PLAINTEXT, "plain")


@pytest.fixture
def stranger(house: House, pki: Pki) -> Stranger:
    return Stranger(house, pki)


@pytest.fixture
async def by_authority(house: House, server: MockConfigEntry, pki: Pki) -> MockConfigEntry:
    """The entry of a device that any certificate of a trusted CA lets in, which names it."""
    house.hub.server.set_trust_anchors([pki.der("ca")])
    return await add(house, CERTIFICATE_NAME, Certificate())


async def add(house: House, endpoint: str, credential: Any, title: str = "A board") -> MockConfigEntry:
    data = device_data(endpoint, credential)
    entry = MockConfigEntry(domain=DOMAIN, unique_id=device_unique_id(endpoint), title=title, data=data)
    entry.add_to_hass(house.hass)
    assert await house.hass.config_entries.async_setup(entry.entry_id)
    await house.hass.async_block_till_done()
    return entry


def refuse(house: House, refusal: Refusal, host: str = HOST, times: int = 2) -> None:
    for _ in range(times):
        house.hub.server.refuse((host, 40000), refusal)


def texts(issue: ir.IssueEntry) -> dict[str, str]:
    """Return all that is said of an issue, with everything filled in."""
    words = json.loads((PACKAGE / "translations" / "en.json").read_text())["issues"][issue.translation_key]
    assert ("fix_flow" in words) is issue.is_fixable
    assert ("description" in words) is not issue.is_fixable
    # Filled in by the flow.
    flow = {"links", "uri", "public_key_fingerprint", "certificate_fingerprint"}
    said: dict[str, str] = {}

    def fill(tree: dict[str, Any], place: str) -> None:
        for key, value in tree.items():
            if isinstance(value, dict):
                fill(value, f"{place}{key}.")
            else:
                names = {name for _, name, _, _ in string.Formatter().parse(value) if name}
                assert names <= set(issue.translation_placeholders or {}) | flow, place
                said[place + key] = value.format_map(dict.fromkeys(flow, "") | (issue.translation_placeholders or {}))

    fill(words, "")
    return said


ROWS: list[tuple[str, Command]] = [
    ("protocol_version", peers.s_client(cipher="ALL", version="-dtls1")),
    ("sha1", peers.s_client_psk("PSK-AES128-CBC-SHA")),
    ("sha1", peers.s_client_certificate(CCM, name="client-sha1")),
    ("optional_suite", peers.s_client_psk("PSK-AES128-GCM-SHA256")),
    ("no_permitted_suite", peers.s_client(cipher="AES128-SHA256")),
    ("key_too_small", peers.s_client_certificate(CCM, "-groups", "P-224")),
    ("no_common_group", peers.s_client_certificate(CCM, "-groups", "X25519")),
    ("no_client_certificate", peers.s_client(cipher=CCM)),
    (
        "not_trusted",
        peers.s_client_certificate(CCM, "-CAfile", "{pki}/stranger.pem", "-verify", "3", "-verify_return_error"),
    ),
]


@pytest.mark.parametrize(("key", "command"), ROWS, ids=[f"{number}-{row[0]}" for number, row in enumerate(ROWS)])
async def test_who_is_refused_again(
    key: str, command: Command, house: House, server: MockConfigEntry, stranger: Stranger
) -> None:
    """Not at the first call: that was perhaps somebody who is curious."""
    first = await stranger.call(command)
    assert not stranger.issues()
    await stranger.call(command)
    issue = stranger.issue()
    assert issue.translation_key == key
    assert issue.severity is ir.IssueSeverity.WARNING
    assert issue.is_fixable is (key in FIXABLE)
    assert "127.0.0.1" not in issue.issue_id, "diagnostics show it"
    said = texts(issue)
    assert said["title"].startswith("A device at 127.0.0.1 ")
    everything = "\n".join(said.values())
    assert "A device at `127.0.0.1`" in everything
    if key not in ("optional_suite", "no_permitted_suite"):
        assert f"`{first.refusal.detail}`" in everything
    if key in ("optional_suite", "no_permitted_suite", "sha1"):
        assert f"`{first.refusal.offered[0]}`" in everything
        assert f"`{SUITE}`" in everything


async def test_devices_behind_one_address(house: House, server: MockConfigEntry, stranger: Stranger) -> None:
    """What one of them needs is not lost behind what another does wrong."""
    for _ in range(2):
        for cipher in ("PSK-AES128-GCM-SHA256", "ECDHE-ECDSA-NULL-SHA"):
            await stranger.call(peers.s_client_psk(cipher))
    keys = [issue.translation_key for issue in stranger.issues().values()]
    assert sorted(map(str, keys)) == ["no_permitted_suite", "optional_suite"]


async def test_plain_coap_again_and_again(house: House, server: MockConfigEntry, stranger: Stranger) -> None:
    """The repetitions of one message are not yet worth an issue."""
    await stranger.call_plainly(times=3)
    assert not stranger.issues()
    stranger.pass_time(UNPROVEN_SPAN)
    await stranger.call_plainly()
    assert stranger.issue().translation_key == "plaintext"
    assert texts(stranger.issue())["title"] == "A device at 127.0.0.1 calls without DTLS"


@pytest.mark.parametrize("reason", [Reason.MALFORMED, Reason.HANDSHAKE_TIMEOUT, Reason.UNKNOWN_IDENTITY])
async def test_what_is_no_issue(reason: Reason, house: House, server: MockConfigEntry, stranger: Stranger) -> None:
    refuse(house, Refusal(reason, "d", identity="who", identity_bytes=b"who"), times=10)
    assert not stranger.issues()


@pytest.mark.parametrize(("number", "key"), [(0, None), (90, None), (40, "rejected_by_device"), (48, "not_trusted")])
async def test_alerts(number: int, key: str | None, house: House, server: MockConfigEntry, stranger: Stranger) -> None:
    refuse(house, Refusal(Reason.REJECTED_BY_DEVICE, alert.describe(number)))
    assert [issue.translation_key for issue in stranger.issues().values()] == ([key] if key else [])
    for issue in stranger.issues().values():
        assert any(alert.alert_name(number) in text for text in texts(issue).values())


# Of which device


async def test_it_goes_when_a_device_gets_in(house: House, server: MockConfigEntry, stranger: Stranger) -> None:
    await house.add_device()
    for _ in range(2):
        await stranger.call(peers.s_client_psk("PSK-AES128-GCM-SHA256", identity=IDENTITY, key=KEY))
    assert stranger.issues()
    await house.device().start()
    await house.until_value("#connectivity", "on")
    assert not stranger.issues()


async def test_a_device_that_was_in_before_proves_nothing(
    house: House, server: MockConfigEntry, stranger: Stranger
) -> None:
    """Another device behind the same address, such as a border router, goes on meanwhile."""
    await house.add_device()
    device = house.device()
    await device.start()
    await house.until_value("#connectivity", "on")
    for _ in range(2):
        await stranger.call(peers.s_client(cipher="AES128-SHA256"))
    issue = stranger.issue()
    said = texts(issue)
    assert said["description"].startswith(f"`{ENDPOINT}` or another device at `127.0.0.1` called")
    assert said["title"].startswith("A device at 127.0.0.1 ")
    heard = house.value("#last_contact")
    stranger.pass_time(5)
    device.update()
    await house.until(lambda: house.value("#last_contact") != heard)
    assert stranger.issue() == issue
    await device.vanish()
    await device.start()
    await house.until(lambda: not stranger.issues())


async def test_too_many_devices_at_an_address_are_not_named(
    house: House, server: MockConfigEntry, stranger: Stranger
) -> None:
    for number in range(4):
        await house.add_device(f"urn:{number}", f"id-{number}")
        house.hub.runtimes[f"urn:{number}"].host = HOST
    refuse(house, NO_SUITE)
    assert texts(stranger.issue())["description"].startswith(f"A device at `{HOST}` called")
    await house.hass.config_entries.async_remove(house.hub.runtimes["urn:3"].entry.entry_id)
    stranger.pass_time(60)
    refuse(house, NO_SUITE, times=1)
    assert "`urn:0`, `urn:1`, `urn:2` or another device" in texts(stranger.issue())["description"]
    await house.hass.config_entries.async_remove(house.hub.runtimes["urn:2"].entry.entry_id)
    assert not stranger.issues(), "it named a device that is gone"


async def test_an_expired_certificate_of_a_device(
    house: House, by_authority: MockConfigEntry, stranger: Stranger
) -> None:
    for _ in range(2):
        await stranger.call(peers.s_client_certificate(CCM, name="expired"))
    issue = stranger.issue()
    assert issue.issue_id == f"refused_{by_authority.entry_id}"
    assert issue.translation_key == "expired_certificate"
    said = texts(issue)
    assert said["title"].startswith("A board ")
    assert "a certificate of `A board` that is not valid" in said["description"]
    # Another reason of the same device takes its place, but does not flicker.
    await stranger.call(peers.s_client_certificate(CCM, name="client-sha1"))
    assert stranger.issue().translation_key == "expired_certificate"
    stranger.pass_time(60)
    await stranger.call(peers.s_client_certificate(CCM, name="client-sha1"))
    assert stranger.issue().issue_id == issue.issue_id
    assert stranger.issue().translation_key == "sha1"
    await house.hass.config_entries.async_remove(by_authority.entry_id)
    assert not stranger.issues()


async def test_the_certificate_of_a_stranger_is_no_issue(
    house: House, server: MockConfigEntry, stranger: Stranger, pki: Pki
) -> None:
    for name in ("stranger", "expired"):
        for _ in range(3):
            await stranger.call(peers.s_client_certificate(CCM, name=name))
    assert not stranger.issues()


async def test_no_second_issue_beside_a_new_credential(
    hass: HomeAssistant, house: House, by_authority: MockConfigEntry, stranger: Stranger
) -> None:
    """One that could be put on file is asked for; while the user is asked nothing else is said."""
    for _ in range(3):
        await stranger.call(peers.s_client_certificate(CCM, name="stranger"))
        assert not stranger.issues()
    await hass.async_block_till_done()
    assert any(by_authority.async_get_active_flows(hass, {SOURCE_REAUTH}))
    for _ in range(2):
        await stranger.call(peers.s_client_certificate(CCM, name="expired"))
    assert not stranger.issues()


async def test_a_certificate_that_cannot_be_put_on_file(
    house: House, by_authority: MockConfigEntry, stranger: Stranger
) -> None:
    refusal = Refusal(
        Reason.UNTRUSTED_CERTIFICATE,
        "what for",
        identity="x",
        endpoint=CERTIFICATE_NAME,
        identity_bytes=b"no certificate",
    )
    refuse(house, refusal)
    assert stranger.issue().translation_key == "untrusted_certificate"
    texts(stranger.issue())


async def test_nobody_speaks_for_a_device_that_is_there(
    house: House, server: MockConfigEntry, stranger: Stranger
) -> None:
    await house.add_device()
    await house.device().start()
    await house.until_value("#connectivity", "on")
    refusal = Refusal(Reason.ENDPOINT_MISMATCH, "not yours", identity="", endpoint=ENDPOINT)
    refuse(house, refusal, times=3)
    stranger.pass_time(UNPROVEN_SPAN)
    refuse(house, refusal)
    assert not stranger.issues()
    refuse(house, refusal, "127.0.0.1", times=3)
    stranger.pass_time(UNPROVEN_SPAN)
    refuse(house, refusal, "127.0.0.1")
    assert stranger.issue().translation_key == "endpoint_mismatch"
    assert "`not yours`" in texts(stranger.issue())["description"]


async def test_a_device_without_security(house: House, stranger: Stranger) -> None:
    """It calls the wrong port, then under a name that has a credential, then as it should."""
    await house.add_server(nosec={"enabled": True, "port": free_port()})
    known, plain = await house.add_device(), await add(house, "urn:plain", None)
    await stranger.call_plainly(times=3)
    for calls in range(3):
        device = house.device(secure=False)
        await device.start()
        await device.wait_for("gave_up")
        await device.stop()
        assert not stranger.issues(), calls
    stranger.pass_time(UNPROVEN_SPAN)
    await stranger.call_plainly()
    device = house.device(secure=False)
    await device.start()
    await device.wait_for("gave_up")
    issues = stranger.issues()
    assert sorted(issue.translation_key or "" for issue in issues.values()) == ["endpoint_mismatch", "plaintext"]
    assert "credential" in texts(issues[f"refused_{known.entry_id}"])["description"]
    await house.device(endpoint="urn:plain", secure=False).start()
    await house.until(lambda: house.value("#connectivity", "urn:plain") == "on")
    assert list(stranger.issues()) == [f"refused_{known.entry_id}"]
    assert plain.entry_id not in str(stranger.issues())


@pytest.mark.parametrize("kind", ["psk", "rpk", "certificate"])
async def test_a_device_with_the_identity_of_another(
    kind: str, hass: HomeAssistant, house: House, server: MockConfigEntry, stranger: Stranger, pki: Pki
) -> None:
    credential, settings, label = {
        "psk": (Psk(IDENTITY.encode(), KEY), {}, IDENTITY),
        "rpk": (
            RawPublicKey(pki.spki("client")),
            {"private_key": FilePath(pki.key("client"))},
            fingerprint(pki.spki("client")),
        ),
        "certificate": (
            Certificate(pki.der("pinned")),
            {"private_key": FilePath(pki.key("pinned")), "chain": FilePath(pki.pem("pinned"))},
            "pinned",
        ),
    }[kind]
    entry = await add(house, ENDPOINT, credential)
    more: dict[str, Any] = settings
    await house.device(endpoint="urn:dev:other", **more).start()
    shared = await house.until(lambda: ir.async_get(hass).async_get_issue(DOMAIN, f"shared_identity_{entry.entry_id}"))
    assert shared.translation_placeholders["caller"] == "urn:dev:other"
    assert shared.translation_placeholders["identity"] == label
    assert not stranger.issues()


async def test_registering_under_many_names_costs_little(
    house: House, server: MockConfigEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked, look = [], issues.async_shared_identity

    def noted(hass: HomeAssistant, identity: str, caller: str) -> bool:
        looked.append(caller)
        return look(hass, identity, caller)

    monkeypatch.setattr(issues, "async_shared_identity", noted)
    await house.add_device()
    for number in range(100):
        refuse(house, Refusal(Reason.ENDPOINT_MISMATCH, "d", identity=IDENTITY, endpoint=f"urn:{number}"))
    assert 0 < len(looked) < 10


# How they go


async def test_it_goes_after_a_day(
    hass: HomeAssistant, house: House, server: MockConfigEntry, stranger: Stranger
) -> None:
    refuse(house, NO_SUITE)
    refuse(house, NO_SUITE, "192.0.2.2", times=1)
    stranger.pass_time(CASE_LIFE - 60)
    refuse(house, NO_SUITE, times=1)
    for left in (1, 0):
        stranger.pass_time(120 if left else CASE_LIFE)
        async_fire_time_changed(hass, dt_util.utcnow() + (2 - left) * (CARDS_CHECKED_EVERY + timedelta(seconds=1)))
        await hass.async_block_till_done()
        assert len(stranger.issues()) == len(house.hub.refusals.issues._cases) == left


async def test_one_call_a_day_is_no_issue(house: House, server: MockConfigEntry, stranger: Stranger) -> None:
    for _ in range(3):
        refuse(house, NO_SUITE, times=1)
        stranger.pass_time(CASE_LIFE + 1)
    assert not stranger.issues()


async def test_it_goes_with_the_server(
    hass: HomeAssistant, house: House, server: MockConfigEntry, stranger: Stranger
) -> None:
    refuse(house, NO_SUITE)
    assert await hass.config_entries.async_reload(server.entry_id)
    assert stranger.issues(), "a reload mends nothing"
    await hass.config_entries.async_remove(server.entry_id)
    assert not stranger.issues()


async def test_closed_by_the_user_it_takes_as_many_calls_as_before(
    hass: HomeAssistant, house: House, server: MockConfigEntry, stranger: Stranger
) -> None:
    refuse(house, PLAIN, times=3)
    stranger.pass_time(UNPROVEN_SPAN)
    refuse(house, PLAIN, times=1)
    ir.async_delete_issue(hass, DOMAIN, stranger.issue().issue_id)
    refuse(house, PLAIN, times=1)
    assert not stranger.issues()
    refuse(house, PLAIN, times=1)
    stranger.pass_time(UNPROVEN_SPAN)
    refuse(house, PLAIN, times=1)
    assert stranger.issues()


# How many


async def test_never_more_than_a_few(
    house: House, server: MockConfigEntry, stranger: Stranger, monkeypatch: pytest.MonkeyPatch
) -> None:
    hosts = [f"2001:db8::{number:x}" for number in range(1, 400)]
    for host in hosts:
        refuse(house, PLAIN, host, times=3)
    cases = house.hub.refusals.issues._cases
    assert len(cases) == refusal_issues.MAX_CASES
    stranger.pass_time(UNPROVEN_SPAN)
    for host in hosts[::-1]:
        refuse(house, PLAIN, host, times=1)
    assert len(stranger.issues()) == refusal_issues.MAX_ISSUES_UNPROVEN
    for host in hosts:
        refuse(house, NO_SUITE, host, times=1)
    assert len(cases) == 2 * refusal_issues.MAX_CASES + refusal_issues.MAX_ISSUES_UNPROVEN
    for host in hosts:
        refuse(house, NO_SUITE, host, times=2)
    assert len(stranger.issues()) == refusal_issues.MAX_ISSUES_OF_HOSTS
    assert len(cases) <= 2 * refusal_issues.MAX_CASES + refusal_issues.MAX_ISSUES
    # There is room left for devices of the user.
    monkeypatch.setattr(refusal_issues, "MAX_ISSUES", 12)
    for number in range(4):
        await add(house, f"urn:{number}", Psk(b"%d" % number, KEY))
        refuse(house, Refusal(Reason.KEY_TOO_SMALL, "small", endpoint=f"urn:{number}"))
    assert len(stranger.issues()) == 12


async def test_many_suites_are_cut_short(house: House, server: MockConfigEntry, stranger: Stranger) -> None:
    offered = tuple(f"0x{number:04X}" for number in range(64))
    refuse(house, Refusal(Reason.NO_PERMITTED_SUITE, "d", offered=offered))
    assert "`0x000B` …" in texts(stranger.issue())["description"]
    house.hub.refusals.issues.async_clear()
    refuse(house, Refusal(Reason.NO_PERMITTED_SUITE, "d"))
    assert "Offered: -." in texts(stranger.issue())["description"]


async def test_names_are_no_markdown(house: House, server: MockConfigEntry, stranger: Stranger) -> None:
    await add(house, "urn:x", Psk(b"x", KEY), title="` **bold** ` \n[link](http://x)")
    refuse(house, Refusal(Reason.KEY_TOO_SMALL, "a ` in it", endpoint="urn:x"))
    said = texts(stranger.issue())["description"]
    assert "`a ' in it`" in said
    assert "`' **bold** ' \\x0a[link](http://x)`" in said
