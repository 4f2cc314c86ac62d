"""The file in which Home Assistant keeps what is known of the devices: ours, of others, on a full disk."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from homeassistant.config_entries import ConfigEntryState

from custom_components.lwm2m.const import DOMAIN
from custom_components.lwm2m.server import store

from .home import about, climate, home, living, make_device, settled
from .house import KEY

TEMPERATURE = "/3303/0/5700"


@pytest.fixture
def hass_storage() -> None:
    """Let stores be files; the plugin would keep them in memory."""


async def test_the_file_is_private_and_has_no_keys(folder: Path, file: Path, port: int) -> None:
    async with living(make_device(port, "urn:x", climate())), home(folder) as here:
        await here.add_server_at(port)
        await here.add_endpoint("urn:x")
        await settled(here, "urn:x")
        await here.hub.store.flush()
        assert file.stat().st_mode & 0o777 == 0o600
        text = file.read_text()
        assert KEY.hex() not in text
        snapshot = json.loads(text)
        assert snapshot["key"] == DOMAIN
        assert snapshot["data"]["version"] == 1
        assert set(snapshot["data"]["devices"]) == {"urn:x"}


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b'{"version": 1, "data"',
        b"\0" * 4096,
        b"\xff\xfe",
        b"[]",
        b'"x"',
        b"5",
        b'{"some": "thing"}',
        b'{"version": 1}',
        b'{"version": "one", "data": {}}',
        b'{"version": 2, "minor_version": 1, "data": {}}',
        b'{"version": 1, "minor_version": 1, "data": null}',
        b'{"version": 1, "minor_version": 1, "data": []}',
        b'{"version": 1, "minor_version": 1, "data": {"version": 2, "devices": {}}}',
        b'{"version": 1, "minor_version": 1, "data": {"version": 1, "devices": {"urn:x": {}}}}',
    ],
    ids=lambda text: text[-40:].decode("ascii", "replace").strip("\0") or "nothing",
)
async def test_a_file_that_is_not_ours(folder: Path, file: Path, port: int, text: bytes) -> None:
    client = make_device(port, "urn:x", climate())
    async with living(client):
        async with home(folder) as here:
            await here.add_server_at(port)
            await here.add_endpoint("urn:x")
            await settled(here, "urn:x")
            before = about(here.entities())
            await client.vanish()
        file.write_bytes(text)
        async with home(folder) as here:
            assert here.entry().state is ConfigEntryState.LOADED
            kept = [path for path in file.parent.iterdir() if path.name.startswith(f"{DOMAIN}.")]
            if text == b'{"version": 1, "minor_version": 1, "data": null}':
                assert not kept  # says that there is nothing
            else:
                assert [path.read_bytes() for path in kept] == [text]
                assert any(str(kept[0]) in str(issue.translation_placeholders) for issue in here.issues().values())
            assert here.state(TEMPERATURE, "urn:x") is None or here.value(TEMPERATURE, "urn:x") == "unavailable"
            await client.start()
            await here.until_value(TEMPERATURE, "21.5", "urn:x")
            await settled(here, "urn:x")
            assert about(here.entities()) == before
        # What is saved from then on is ours again.
        async with home(folder) as here:
            assert here.hub.server.devices["urn:x"].objects
            assert not here.hub.server.devices["urn:x"].available or client.seen("registered")


async def test_a_file_that_cannot_even_be_set_aside(
    folder: Path, file: Path, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then it is not written over either."""
    file.parent.mkdir()
    file.write_text('{"some": "thing"}')

    def refuse(*_args: Any) -> Path:
        raise OSError("read-only file system")

    async with living(make_device(port, "urn:x", climate())):
        with monkeypatch.context() as patch:
            patch.setattr(Path, "rename", refuse)
            async with home(folder) as here:
                assert str(file) in str(here.issues()["store_set_aside"].translation_placeholders)
                await here.add_server_at(port)
                await here.add_endpoint("urn:x")
                await settled(here, "urn:x")
        assert file.read_text() == '{"some": "thing"}'


async def test_a_disk_that_takes_nothing(folder: Path, file: Path, port: int, caplog: pytest.LogCaptureFixture) -> None:
    """Told once, and nothing stops; when there is room again, that is the end of it."""
    file.mkdir(parents=True)
    (file / "in the way").touch()  # what is to be put in its place cannot be
    client = make_device(port, "urn:x", climate())
    async with living(client), home(folder) as here:
        # A folder there is nothing that can be read either.
        assert (file.parent / "in the way").exists() is False
        for kept in file.parent.glob(f"{DOMAIN}.*"):
            kept.rename(file)
        await here.add_server_at(port)
        await here.add_endpoint("urn:x")
        await settled(here, "urn:x")
        await here.hub.store.flush()
        assert "store_not_saved" in here.issues()
        client.set(TEMPERATURE, 25.0)
        await here.until_value(TEMPERATURE, "25.0", "urn:x")
        await here.hub.store.flush()
        assert caplog.text.count("cannot be saved") == 1
        (file / "in the way").unlink()
        file.rmdir()
        client.set(TEMPERATURE, 26.0)
        await here.until_value(TEMPERATURE, "26.0", "urn:x")
        await here.hub.store.flush()
        assert "store_not_saved" not in here.issues()
        assert file.is_file()


async def test_saved_before_the_end(folder: Path, file: Path, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A power cut takes no more than what is newer than the last save."""
    monkeypatch.setattr(store, "SOON", 0.05)
    async with living(make_device(port, "urn:x", climate())), home(folder) as here:
        await here.add_server_at(port)
        await here.add_endpoint("urn:x")
        await settled(here, "urn:x")
        async with asyncio.timeout(10):
            # A file tells nobody that it is there.
            while not file.exists() or not json.loads(file.read_text())["data"]["devices"]["urn:x"]["surveyed"]:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
