"""Every row of the table, fed by a simulated device: what the device says, and what Home Assistant shows."""

from typing import Any

import pytest
from homeassistant.const import Platform
from homeassistant.core import HomeAssistant
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.lwm2m.mapping import TABLE
from custom_components.lwm2m.mapping.rows import ButtonRow, EventRow, Row

from .house import ENDPOINT, House
from .objects import full_device

type Fed = tuple[Any, str]
"""What the device sets a resource to, and the state that follows."""

PERCENT: Fed = (40.0, "40.0")
MEASURED: dict[int, Fed] = {5700: (-7.25, "-7.25"), 5601: (-9.5, "-9.5"), 5602: (12.0, "12.0")}
ON: Fed = (True, "on")
COUNT: Fed = (17, "17")
WHEN: Fed = (1_700_000_000, "2023-11-14T22:13:20+00:00")

FED: dict[int, dict[int, Fed]] = {
    1: {1: (300, "300")},
    3: {
        7: ({0: 3300}, "3300"), 8: ({0: 120}, "120"), 9: (81, "81"), 10: (64, "64"), 21: (512, "512"),
        11: ({0: 0, 1: 3}, "on"), 13: WHEN, 20: (2, "charge_complete"),
    },
    4: {2: (-71, "-71"), 3: (80, "80"), 4: ({0: "192.0.2.5", 1: "2001:db8::5"}, "192.0.2.5, 2001:db8::5"),
        8: (4711, "4711"), 11: (12, "12")},
    6: {0: (47.5, "not_home"), 2: (412.5, "412.5"), 5: WHEN, 6: (2.5, "2.5")},
    7: {2: (20, "20"), 3: (30, "30")},
    3200: {5500: ON, 5501: COUNT},
    3201: {5550: ON},
    3202: {5600: (0.75, "0.75"), 5601: (0.25, "0.25"), 5602: (2.0, "2.0")},
    3203: {5650: (0.25, "0.25")},
    3302: {5500: ON, 5501: COUNT},
    3305: {5800: (60.5, "60.5"), 5805: (1000.5, "1000.5"), 5810: (3.5, "3.5"), 5815: (9.5, "9.5"), 5820: (0.9, "0.9")},
    3306: {5850: ON, 5851: (40, "40")},
    3308: {5900: (21.5, "21.5")},
    3310: {5823: ("peak", "peak"), 5824: WHEN, 5825: (30, "30"), 5826: (2, "2"), 5827: (40, "40"), 5828: (50, "50")},
    3311: {5850: ON, 5805: (2.5, "2.5"), 5820: (0.5, "0.5")},
    3312: {5850: ON, 5851: (40, "40"), 5805: (2.5, "2.5"), 5820: (0.5, "0.5")},
    **{object_id: {5702: (0.5, "0.5"), 5703: (-0.5, "-0.5"), 5704: (9.75, "9.75")} for object_id in (3313, 3314, 3334)},
    3331: {5700: (12345.5, "12345.5")},
    3332: {5705: (270.0, "270.0")},
    3337: {5536: PERCENT},
    3338: {5850: ON, 5521: (2.5, "2.5")},
    3340: {5850: ON, 5543: ON, 5538: (12.5, "12.5"), 5521: (30.0, "30.0"), 5501: COUNT},
    3341: {5527: ("hello", "hello"), 5548: PERCENT, 5531: PERCENT},
    3342: {5500: ON, 5501: COUNT},
    3343: {5548: PERCENT},
    3347: {5501: COUNT},
    3348: {5547: (3, "3")},
    3350: {5850: ON, 5544: (61.5, "61.5"), 5501: COUNT},
}  # fmt: skip
SHOWN_OTHERWISE: dict[int, dict[int, Fed]] = {
    # Without a unit of the device's own: S/m shown as mS/cm, and Pa, which Home Assistant shows as hPa.
    3327: {5700: (0.125, "1.25"), 5601: (0.5, "5.0"), 5602: (1.0, "10.0")},
    3315: {5700: (101325.0, "1013.25"), 5601: (99000.0, "990.0"), 5602: (103000.0, "1030.0")},
}


def fed(object_id: int) -> dict[int, Fed]:
    return FED.get(object_id) or SHOWN_OTHERWISE.get(object_id) or MEASURED


@pytest.mark.parametrize("object_id", TABLE)
async def test_states(
    hass: HomeAssistant,
    house: House,
    server: MockConfigEntry,
    everything_enabled: None,
    object_id: int,
) -> None:
    await house.add_device()
    device = house.device(full_device(object_id))
    await device.start()
    wanted = fed(object_id)
    rows: list[Row] = [row for row in TABLE[object_id] if not isinstance(row, ButtonRow | EventRow)]
    assert {row.resource for row in rows} == wanted.keys()
    for row in rows:
        path = f"/{object_id}/0/{row.resource}"
        shown = f"{path}/0" if getattr(row, "each", False) else path
        state = await house.until_known(shown)
        assert state.domain == row.platform
        value, expected = wanted[row.resource]
        device.set(path, value)
        await house.until_value(shown, expected)


@pytest.mark.parametrize(
    ("object_id", "row"),
    [
        pytest.param(object_id, row, id=f"{object_id}-{row.key}")
        for object_id, rows in TABLE.items()
        for row in rows
        if isinstance(row, ButtonRow)
    ],
)
async def test_buttons(
    hass: HomeAssistant,
    house: House,
    server: MockConfigEntry,
    everything_enabled: None,
    object_id: int,
    row: ButtonRow,
) -> None:
    await house.add_device()
    device = house.device(full_device(object_id))
    await device.start()
    path = f"/{object_id}/0/{row.resource}"
    await house.until_value(path, "unknown")
    await house.call(Platform.BUTTON, "press", path)
    await device.wait_for("executed", path=path)


async def test_names(hass: HomeAssistant, house: House, server: MockConfigEntry) -> None:
    await house.add_device()
    model = full_device(3303, instances=2)
    device = house.device(model)
    await device.start()
    await house.until(lambda: house.state("/3303/1/5700"))
    names = [house.state(f"/3303/{instance}/5700") for instance in range(2)]
    assert [state.name for state in names if state] == [f"{ENDPOINT} Temperature", f"{ENDPOINT} Temperature 1"]


async def test_names_of_the_fallback(
    hass: HomeAssistant, house: House, server: MockConfigEntry, everything_enabled: None
) -> None:
    await house.add_device()
    await house.device(full_device(5)).start()
    state = await house.until(lambda: house.state("/5/0/3"))
    assert state.name == f"{ENDPOINT} Firmware Update State"
    assert (await house.until(lambda: house.state("/5/0/2"))).name == f"{ENDPOINT} Firmware Update Update"


async def test_the_fallback_is_disabled_at_first(hass: HomeAssistant, house: House, server: MockConfigEntry) -> None:
    await house.add_device()
    await house.device(full_device(5)).start()
    await house.until(lambda: house.entity_id("/5/0/3"))
    await hass.async_block_till_done()
    assert house.state("/5/0/3") is None
