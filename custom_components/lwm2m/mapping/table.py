"""The table of all rows, by object, and the resources that never become entities of their own."""

from collections.abc import Mapping
from typing import Final

from .actuator_objects import ACTUATOR_OBJECTS
from .core_objects import CORE_OBJECTS
from .rows import Row
from .sensor_objects import SENSOR_OBJECTS

TABLE: Final[Mapping[int, tuple[Row, ...]]] = CORE_OBJECTS | SENSOR_OBJECTS | ACTUATOR_OBJECTS

CLAIMED: Final[Mapping[int, frozenset[int]]] = {
    object_id: frozenset(resource for row in rows for resource in row.claims) for object_id, rows in TABLE.items()
}
"""The resources of each object that rows claim."""

MINIMUM_RANGE: Final = 5603
MAXIMUM_RANGE: Final = 5604
SENSOR_UNITS: Final = 5701
APPLICATION_TYPE: Final = 5750
SENSOR_TYPE: Final = 5751
MEASUREMENT_QUALITY: Final = 6042

MEASURED: Final = frozenset((5600, 5601, 5602, 5700, 5702, 5703, 5704, 5900))
"""Reusable resources whose unit is that of resource 5701 beside them."""

ABOUT_OTHERS: Final = frozenset(
    (MINIMUM_RANGE, MAXIMUM_RANGE, SENSOR_UNITS, SENSOR_TYPE, MEASUREMENT_QUALITY, 5518, 6050)
)
"""Reusable resources (OMA registry, 5500 to 6999) that say something about the value beside them: range, unit, kind of
sensor, quality, time."""

DEVICE_INFO: Final = frozenset((0, 1, 2, 3, 17, 18, 19))
"""The resources of object 3 that Home Assistant's device page shows."""

PRIVATE_OBJECTS: Final = frozenset((0, 2, 21, 23))
"""Security, access control, OSCORE and COSE: keys and rights, never read or shown."""
