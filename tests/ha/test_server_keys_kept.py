"""The file with the server's keys: made at the first start, private, kept over a restart, gone with the server."""

import stat
from pathlib import Path

import pytest
from cryptography import x509
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.lwm2m import async_remove_entry
from custom_components.lwm2m.const import DATA_HUB, DOMAIN, device_unique_id
from custom_components.lwm2m.entry_data import device_data
from custom_components.lwm2m.security.credential import RawPublicKey
from custom_components.lwm2m.security.server_identity import ServerIdentity
from tests.device_keys import DeviceKey, make_key

from .home import home
from .house import ENDPOINT, House


@pytest.fixture
def hass_storage() -> None:
    """Let stores be files; the plugin would keep them in memory."""


@pytest.fixture
def key(tmp_path: Path) -> DeviceKey:
    return make_key(tmp_path / "keys", "device")


def served(house: House) -> ServerIdentity:
    identity = house.hub.server.server_identity
    assert identity is not None
    return identity


async def test_made_at_the_first_start_and_kept(folder: Path) -> None:
    async with home(folder) as here:
        await here.add_server_at(0)
        first = served(here)
        file = folder / ".storage" / "lwm2m_server_keys"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        certificate = x509.load_der_x509_certificate(first.certificate)
        assert certificate.not_valid_before_utc.year == 1970
        assert certificate.not_valid_after_utc.year == 9999
        assert first.names
        assert "PRIVATE" not in repr(here.hub.keys.active)
    async with home(folder) as here:
        assert served(here) == first
        await here.hass.config_entries.async_remove(here.entry().entry_id)
        assert not file.exists()
        await here.add_server_at(0)
        assert served(here).public_key != first.public_key


async def test_a_file_that_cannot_be_read_is_set_aside(folder: Path, key: DeviceKey) -> None:
    file = folder / ".storage" / "lwm2m_server_keys"
    async with home(folder) as here:
        await here.add_server_at(0)
        first = served(here)
        await here.add(
            MockConfigEntry(
                domain=DOMAIN,
                unique_id=device_unique_id(ENDPOINT),
                data=device_data(ENDPOINT, RawPublicKey(key.public_der())),
            )
        )
    file.write_text(file.read_text().replace("PRIVATE KEY", "NO KEY"))
    async with home(folder) as here:
        assert served(here).public_key != first.public_key
        issue = here.issues()["server_keys_lost"]
        assert issue.translation_placeholders is not None
        assert issue.translation_placeholders["devices"] == f"`{ENDPOINT}`"
        assert Path(issue.translation_placeholders["path"]).read_text().count("NO KEY") == 2


async def test_a_file_that_is_no_json(folder: Path) -> None:
    file = folder / ".storage" / "lwm2m_server_keys"
    async with home(folder) as here:
        await here.add_server_at(0)
        first = served(here)
    file.write_text("{")
    async with home(folder) as here:
        assert served(here).public_key != first.public_key
        assert "server_keys_lost" in here.issues()
    assert [kept.read_text() for kept in file.parent.glob("lwm2m_server_keys.corrupt.*")] == ["{"]


async def test_a_disk_that_takes_nothing(folder: Path) -> None:
    """What cannot be kept is not done, and the dialog says so."""
    file = folder / ".storage" / "lwm2m_server_keys"
    async with home(folder) as here:
        entry = await here.add_server_at(0)
        first = served(here)
        await here.hub.keys.async_take(ServerIdentity.generate())
        other = here.hub.keys.other
        file.unlink()
        (file / "in the way").mkdir(parents=True)
        options = here.hass.config_entries.options
        for step in ("switch_identity", "delete_other"):
            flow = await options.async_init(entry.entry_id)
            flow = await options.async_configure(flow["flow_id"], {"next_step_id": "identity"})
            flow = await options.async_configure(flow["flow_id"], {"next_step_id": step})
            flow = await options.async_configure(flow["flow_id"], {})
            assert flow["errors"] == {"base": "not_saved"}
        assert served(here) == first
        assert here.hub.keys.other == other
        here.hub.keys.other = None
        flow = await options.async_init(entry.entry_id)
        flow = await options.async_configure(flow["flow_id"], {"next_step_id": "identity"})
        flow = await options.async_configure(flow["flow_id"], {"next_step_id": "make_identity"})
        flow = await options.async_configure(flow["flow_id"], {"names": ["host"]})
        assert flow["errors"] == {"base": "not_saved"}
        assert here.hub.keys.other is None


async def test_a_first_key_that_cannot_be_kept(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    storage, aside = folder / ".storage", folder / "aside"
    async with home(folder) as here:
        storage.rename(aside)
        storage.write_text("in the way")
        await here.add_server_at(0)
        assert served(here).names
        assert "The key of the server cannot be kept" in caplog.text
        with pytest.raises(OSError, match="in the way"):
            await here.hub.keys.async_take(ServerIdentity.generate())
        assert here.hub.keys.other is None
        storage.unlink()
        aside.rename(storage)


async def test_the_key_goes_with_a_server_that_never_ran(folder: Path) -> None:
    file = folder / ".storage" / "lwm2m_server_keys"
    async with home(folder) as here:
        await here.add_server_at(0)
        entry = here.entry()
        assert here.hub.keys.find(here.hub.keys.active.key_id) is here.hub.keys.active
        here.hass.data.pop(DATA_HUB)  # as where all entries were disabled at start
        await async_remove_entry(here.hass, entry)
    assert not file.exists()
