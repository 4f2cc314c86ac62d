"""House: what the tests of the glue do again and again, in their words."""

import asyncio
from collections.abc import Callable
from typing import Any

from homeassistant.config_entries import SOURCE_USER, ConfigEntry, ConfigFlowResult
from homeassistant.const import MATCH_ALL
from homeassistant.core import Event, HomeAssistant, State, callback
from homeassistant.helpers import entity_registry as er
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.lwm2m.const import DATA_HUB, DOMAIN, device_unique_id
from custom_components.lwm2m.entry_data import device_data
from custom_components.lwm2m.hub import Hub
from custom_components.lwm2m.security.credential import Credential, Psk
from tests.device_keys import DeviceKey
from tests.simulator import DeviceModel, Settings, SimulatedClient
from tests.simulator.devices import DEVICES

KEY = bytes(range(16))
OTHER_KEY = bytes(range(1, 17))
ENDPOINT = "urn:dev:test-1"
IDENTITY = "id-1"
PATIENCE = 20.0
"""Seconds that a test waits for something that comes."""


class House:
    """One Home Assistant and its devices."""

    def __init__(self, hass: HomeAssistant) -> None:
        self.hass = hass
        self.devices: list[SimulatedClient] = []

    async def close(self) -> None:
        """Let all devices go silent, without a word that nobody may be there to answer."""
        for device in self.devices:
            await device.vanish()
            await device.stop()

    @property
    def hub(self) -> Hub:
        return self.hass.data[DATA_HUB]

    @property
    def port(self) -> int:
        port = self.hub.server.coaps_port
        assert port is not None
        return port

    # Entries

    async def add_server(self, port: int = 0, **options: Any) -> MockConfigEntry:
        """Set up the server on loopback."""
        entry = MockConfigEntry(
            domain=DOMAIN,
            unique_id="server",
            title="LwM2M server",
            options={"ports": {"port": port, "interface": "127.0.0.1"}, **options},
        )
        entry.add_to_hass(self.hass)
        assert await self.hass.config_entries.async_setup(entry.entry_id)
        return entry

    async def add_device(
        self, endpoint: str = ENDPOINT, identity: str = IDENTITY, key: bytes = KEY, **more: Any
    ) -> MockConfigEntry:
        """Set up a device with a key on file."""
        return await self.add_entry(endpoint, Psk(identity.encode(), key), **more)

    async def add_entry(self, endpoint: str, credential: Credential | None, **more: Any) -> MockConfigEntry:
        """Set up a device with a credential, or without security."""
        entry = MockConfigEntry(
            domain=DOMAIN,
            unique_id=device_unique_id(endpoint),
            title=endpoint,
            data=device_data(endpoint, credential),
            **more,
        )
        entry.add_to_hass(self.hass)
        await self.hass.config_entries.async_setup(entry.entry_id)
        await self.hass.async_block_till_done()
        return entry

    # Devices

    def device(
        self,
        objects: Any = None,
        *,
        endpoint: str = ENDPOINT,
        identity: str | bytes = IDENTITY,
        key: bytes = KEY,
        port: int | None = None,
        secure: bool = True,
        **more: Any,
    ) -> SimulatedClient:
        """Make a device; without objects, a climate sensor. It calls when it is started."""
        model = DEVICES["sensor"](1).model if objects is None else objects
        if port is None:
            port = self.port if secure else self.hub.server.coap_port
        settings = Settings(
            server=f"{'coaps' if secure else 'coap'}://127.0.0.1:{port}",
            endpoint=endpoint,
            identity=identity,
            key=key,
            **{"retry": 0.2, "handshake_timeout": 3.0, "seed": 1, **more},
        )
        return self._device(settings, model)

    def public_device(
        self, pair: DeviceKey, *, chain: bool = False, endpoint: str = ENDPOINT, **more: Any
    ) -> SimulatedClient:
        """Make a device with a raw public key, or with the certificate of the pair."""
        settings = Settings(
            server=f"coaps://127.0.0.1:{self.port}",
            endpoint=endpoint,
            private_key=pair.private_key,
            chain=pair.certificate if chain else None,
            **{"retry": 0.2, "handshake_timeout": 3.0, "seed": 1, **more},
        )
        return self._device(settings, DEVICES["sensor"](1).model)

    def _device(self, settings: Settings, model: Any) -> SimulatedClient:
        client = SimulatedClient(settings, model if isinstance(model, DeviceModel) else DeviceModel(model))
        self.devices.append(client)
        return client

    # What Home Assistant shows

    async def until(self, condition: Callable[[], Any]) -> Any:
        """Return what the condition is once it is true; it is looked at again whenever anything happens."""
        happened = asyncio.Event()

        @callback
        def wake(_event: Event[Any] | None = None) -> None:
            happened.set()

        stops = [
            self.hass.bus.async_listen(MATCH_ALL, wake),
            self.hub.server.subscribe(lambda _event: wake()),
        ]
        try:
            async with asyncio.timeout(PATIENCE):
                while not (found := condition()):
                    await happened.wait()
                    happened.clear()
            return found
        finally:
            for stop in stops:
                stop()

    def entity_id(self, path: str, endpoint: str = ENDPOINT) -> str | None:
        """Return the entity id of a resource."""
        registry = er.async_get(self.hass)
        for entity in registry.entities.values():
            if entity.platform == DOMAIN and entity.unique_id == f"{endpoint}{path}":
                return entity.entity_id
        return None

    def state(self, path: str, endpoint: str = ENDPOINT) -> State | None:
        """Return the state of a resource's entity."""
        entity_id = self.entity_id(path, endpoint)
        return None if entity_id is None else self.hass.states.get(entity_id)

    def value(self, path: str, endpoint: str = ENDPOINT) -> str | None:
        """Return the state of a resource's entity as text."""
        state = self.state(path, endpoint)
        return None if state is None else state.state

    async def until_known(self, path: str, endpoint: str = ENDPOINT) -> State:
        """Wait until a resource's entity is there and available."""
        await self.until(lambda: self.value(path, endpoint) not in (None, "unavailable"))
        state = self.state(path, endpoint)
        assert state is not None
        return state

    async def until_value(self, path: str, value: str, endpoint: str = ENDPOINT) -> State:
        """Wait until a resource's entity shows this."""
        await self.until(lambda: self.value(path, endpoint) == value)
        state = self.state(path, endpoint)
        assert state is not None
        return state

    async def call(self, domain: str, service: str, path: str, endpoint: str = ENDPOINT, **data: Any) -> None:
        """Call a service on a resource's entity."""
        entity_id = self.entity_id(path, endpoint)
        assert entity_id is not None
        await self.hass.services.async_call(domain, service, {"entity_id": entity_id, **data}, blocking=True)

    # Flows

    async def start_flow(self) -> ConfigFlowResult:
        """Start a flow as a person does."""
        return await self.hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_USER})

    async def answer(self, flow: ConfigFlowResult, fields: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Fill in a form or choose from a menu; None looks at the flow as the frontend does."""
        return await self.hass.config_entries.flow.async_configure(flow["flow_id"], fields)

    async def choose(self, flow: ConfigFlowResult, step: str) -> ConfigFlowResult:
        """Choose from a menu."""
        return await self.answer(flow, {"next_step_id": step})

    async def open_settings(self, server: ConfigEntry, step: str) -> ConfigFlowResult:
        """Open the settings of the server, and choose from their menu."""
        menu = await self.hass.config_entries.options.async_init(server.entry_id)
        return await self.choose_setting(menu, step)

    async def choose_setting(self, menu: ConfigFlowResult, step: str) -> ConfigFlowResult:
        """Choose from a menu of the server's settings."""
        return await self.set(menu, {"next_step_id": step})

    async def set(self, form: ConfigFlowResult, fields: dict[str, Any]) -> ConfigFlowResult:
        """Fill in a form of the server's settings."""
        result = await self.hass.config_entries.options.async_configure(form["flow_id"], fields)
        await self.hass.async_block_till_done()
        return result

    def flows(self) -> list[ConfigFlowResult]:
        """Return the flows in progress."""
        return self.hass.config_entries.flow.async_progress_by_handler(DOMAIN)

    @staticmethod
    def said(flow: ConfigFlowResult) -> dict[str, str]:
        """Return what fills the texts of a step."""
        return dict(flow.get("description_placeholders") or {})

    async def until_step(self, flow: ConfigFlowResult, step: str) -> ConfigFlowResult:
        """Wait until a flow that waits comes to a step, and look at it."""
        await self.until(
            lambda: any(one["flow_id"] == flow["flow_id"] and one.get("step_id") == step for one in self.flows())
        )
        return await self.answer(flow)

    async def until_card(self) -> ConfigFlowResult:
        """Wait for a card."""
        cards: list[ConfigFlowResult] = await self.until(
            lambda: [one for one in self.flows() if one["context"]["source"] == "integration_discovery"]
        )
        return cards[0]
