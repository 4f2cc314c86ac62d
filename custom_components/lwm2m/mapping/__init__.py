"""LwM2M objects as Home Assistant entities: rows in tables, units, and a fallback for every other object.

Rule of this layer: it computes entity descriptions from definitions, objects and values. It holds no connection, waits
for nothing and imports only protocol and Home Assistant's constants and description classes.
"""

from .build import describe
from .descriptions import Description, unique_id
from .device_info import DeviceFacts, device_facts
from .table import TABLE

__all__ = ["TABLE", "Description", "DeviceFacts", "describe", "device_facts", "unique_id"]
