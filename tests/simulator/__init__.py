"""A simulated LwM2M device that tests, benchmarks and the demo share.

Rule: it imports nothing of the integration. It has its own CoAP, TLV and SenML, so that a mistake made in both cannot
hide; its bytes are checked against vectors written from the specifications.
"""

from .client import Event, Settings, SimulatedClient
from .model import DeviceModel, Resource
from .relay import Relay

__all__ = ["DeviceModel", "Event", "Relay", "Resource", "Settings", "SimulatedClient"]
