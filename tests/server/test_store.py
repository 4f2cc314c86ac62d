"""The store: when it saves, what it loads, and what it does on a full disk."""

from __future__ import annotations

import asyncio
import json

import pytest

from custom_components.lwm2m.protocol.path import Path
from custom_components.lwm2m.server import store
from custom_components.lwm2m.server.events import Deregistered, Registered, Updated
from custom_components.lwm2m.server.server import Server
from custom_components.lwm2m.server.store import Store, StoreError

from .helpers import Bench, eventually
from .shelf import Shelf, broken, known, returning

TEMPERATURE = Path((3303, 0, 5700))


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ([], "no snapshot"),
        ("x", "no snapshot"),
        ({}, "no snapshot"),
        ({"devices": {}}, "no snapshot"),
        ({"version": 2, "devices": {}}, "version 2"),
        ({"version": None, "devices": {}}, "version None"),
        ({"version": 1}, "no devices"),
        ({"version": 1, "devices": []}, "no devices"),
        ({"version": 1, "devices": {"d": None}}, "'d'"),
    ],
    ids=str,
)
async def test_what_is_no_snapshot(data: object, why: str) -> None:
    shelf = Shelf()
    shelf.text = json.dumps(data)
    kept = shelf.store(Server())
    with pytest.raises(StoreError, match=why):
        await kept.load()
    assert kept.snapshot() == {"version": 1, "devices": {}}


async def test_saved_soon_and_values_later(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "SOON", 0.05)
    monkeypatch.setattr(store, "SLICE", 1)
    shelf = Shelf()
    kept = shelf.store(bench.server)
    bench.let_in("d", "id-d")
    bench.let_in("e", "id-e")
    kept.restore("d")
    kept.restore("e")
    async with returning(bench) as client, returning(bench, "e"):
        await bench.until(Registered, count=2)
        await shelf.saved.wait()
        await eventually(lambda: kept._task is None)
        assert shelf.devices["d"]["registration"]["lifetime"] == 60
        assert shelf.devices["e"]["values"] == {}
        assert shelf.saves == 1

        # An Update changes nothing that could not wait, and a value neither.
        shelf.saved.clear()
        client.update()
        await bench.until(Updated)
        await bench.server.devices["d"].read(TEMPERATURE)
        timer = kept._timer
        assert timer is not None
        assert timer.when() > asyncio.get_running_loop().time() + 100
        monkeypatch.setattr(store, "LATER", 0.05)
        client.model.objects[3304] = {0: {}}
        client.model.instances_were_changed()
        await bench.until(Updated, lambda event: event.objects_changed)
        await shelf.saved.wait()
        await eventually(lambda: kept._task is None)
        assert shelf.devices["d"]["values"] == {"/3303/0/5700": 21.5}
        await client.leave()
        await bench.until(Deregistered)
        await eventually(lambda: shelf.devices["d"]["registration"] is None)
        # With nothing new there is nothing to save, though the store goes on looking.
        await kept.flush()
        saves = shelf.saves
        await kept.flush()
        assert shelf.saves == saves
        assert kept._timer is None
        await client.vanish()
    await kept.flush()


async def test_a_save_that_is_still_going_on(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "SOON", 0.01)
    shelf = Shelf()
    go_on = asyncio.Event()
    begun = asyncio.Event()

    async def slowly(snapshot: store.Snapshot) -> None:
        begun.set()
        await go_on.wait()
        await shelf.save(snapshot)

    kept = Store(bench.server, load=shelf.load, save=slowly)
    kept.restore("d")
    await begun.wait()
    kept.restore("e")
    timer = kept._timer
    await eventually(lambda: kept._timer is not timer)  # it comes back later while the first one is going on
    flush = asyncio.ensure_future(kept.flush())
    await asyncio.sleep(0)
    go_on.set()
    await flush
    assert set(shelf.devices) == {"d", "e"}


async def test_a_full_disk_is_told_once(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(store, "SOON", 0.01)
    monkeypatch.setattr(store, "LATER", 0.01)
    shelf = Shelf()
    shelf.full = True
    kept = shelf.store(bench.server)
    bench.let_in("d", "id-d")
    kept.restore("d")
    async with returning(bench) as client:
        await bench.until(Registered)
        await eventually(lambda: shelf.saves > 3)
        assert caplog.text.count("cannot be saved") == 1
        assert [type(error) for error in shelf.told] == [OSError]
        # The device is served all the same.
        assert (await bench.server.devices["d"].read(TEMPERATURE))[0].value == 21.5
        shelf.full = False
        await eventually(lambda: shelf.text is not None)
        await eventually(lambda: shelf.told[1:] == [None])
        await client.vanish()
    await bench.server.stop()
    await kept.flush()


async def test_a_full_disk_is_left_in_peace(bench: Bench) -> None:
    shelf = Shelf()
    shelf.full = True
    kept = shelf.store(bench.server)
    kept.restore("d")
    await kept.flush()
    kept.changed("d")
    timer = kept._timer
    assert timer is not None
    assert timer.when() > asyncio.get_running_loop().time() + store.SOON + 1
    await kept.flush()


async def test_forgotten_put_away_and_not_expected(bench: Bench) -> None:
    shelf = Shelf()
    kept = shelf.store(bench.server)
    bench.let_in("d", "id-d")
    kept.restore("d")
    async with returning(bench) as client:
        await known(bench)
        await kept.flush()
        kept.put_away("d")
        kept.put_away("nobody")
        await client.vanish()
        bench.server.authorizer.remove_credential("d")
        bench.server.forget("d")
        await kept.flush()
        assert set(shelf.devices) == {"d"}
        assert shelf.devices["d"]["registration"] is None
        # Expected again, it is known at once.
        bench.let_in("d", "id-d")
        device = kept.restore("d")
        assert device.values[TEMPERATURE] == 21.5
        assert device.registration is None
        saves = shelf.saves
        await kept.flush()
        assert shelf.saves == saves
        kept.forget("d")
        kept.forget("nobody")
        bench.server.forget("d")
        await kept.flush()
        assert shelf.devices == {}


async def test_records_that_belong_to_nobody_go(bench: Bench) -> None:
    shelf = Shelf()
    shelf.text = json.dumps({"version": 1, "devices": {"d": broken(), "e": broken()}})
    kept = shelf.store(bench.server)
    await kept.load(["e", "f"])
    assert set(kept.snapshot()["devices"]) == {"e"}
    await kept.flush()
    assert set(shelf.devices) == {"e"}


async def test_nothing_was_kept(bench: Bench) -> None:
    shelf = Shelf()
    kept = shelf.store(bench.server)
    await kept.load()
    await kept.flush()
    assert shelf.text is None
