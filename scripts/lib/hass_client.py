"""A client of a running Home Assistant: logs in, then speaks its HTTP and websocket API as its own frontend does."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import aiohttp

type Json = dict[str, Any]

CONFIG_FLOW = "api/config/config_entries/flow"
OPTIONS_FLOW = "api/config/config_entries/options/flow"
POLL = 0.1  # seconds between two looks at something that is not pushed


class HassError(Exception):
    """Home Assistant refused a request, or what was waited for did not come."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a login gives: the answer of /auth/token, and for whom it was made."""

    client_id: str
    answer: Json

    @property
    def access(self) -> str:
        """The bearer token."""
        return str(self.answer["access_token"])


class HassClient:
    """One logged-in user of one Home Assistant. Made by `connect`."""

    def __init__(self, url: str, session: aiohttp.ClientSession, tokens: Tokens) -> None:
        self.url = url
        self.tokens = tokens
        self._session = session
        self._next_id = 0
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._reader: asyncio.Task[None] | None = None
        self._answers: dict[int, asyncio.Future[Json]] = {}
        self._listeners: dict[int, Callable[[Any], None]] = {}
        self.states: dict[str, Json] = {}
        self._state_changed = asyncio.Condition()

    @classmethod
    @asynccontextmanager
    async def connect(cls, url: str, user: str, password: str) -> AsyncIterator[Self]:
        """Log in with a user's password and follow all states; raises HassError when refused."""
        async with aiohttp.ClientSession(url, timeout=aiohttp.ClientTimeout(total=30)) as session:
            client = cls(url, session, await log_in(session, url, user, password))
            await client._open()
            try:
                yield client
            finally:
                await client._close()

    # HTTP

    async def request(self, method: str, path: str, body: Json | None = None) -> Any:
        """Return the JSON answer of one request, `path` without the leading slash."""
        headers = {"Authorization": f"Bearer {self.tokens.access}"}
        async with self._session.request(method, f"/{path}", json=body, headers=headers) as response:
            if response.status >= 400:
                raise HassError(f"{method} {path}: {response.status} {await response.text()}")
            return await response.json()

    # Websocket

    async def _open(self) -> None:
        self._socket = await self._session.ws_connect("/api/websocket", max_msg_size=0)
        await self._socket.receive_json()
        await self._socket.send_json({"type": "auth", "access_token": self.tokens.access})
        if (answer := await self._socket.receive_json())["type"] != "auth_ok":
            raise HassError(f"websocket: {answer}")
        self._reader = asyncio.create_task(self._read(self._socket))
        await self.subscribe(self._on_state, type="subscribe_events", event_type="state_changed")
        for state in await self.call("get_states"):
            self.states.setdefault(state["entity_id"], state)

    async def _close(self) -> None:
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)
        if self._socket is not None:
            await self._socket.close()

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for message in socket:
            answer = message.json()
            if answer["type"] == "event" and (listener := self._listeners.get(answer["id"])):
                listener(answer["event"])
            elif answer["type"] == "result":
                waiting = self._answers.pop(answer["id"], None)
                if waiting is not None and not waiting.done():
                    waiting.set_result(answer)
            async with self._state_changed:
                self._state_changed.notify_all()
        for waiting in self._answers.values():
            waiting.cancel()

    async def call(self, type: str, **fields: Any) -> Any:  # noqa: A002
        """Return the result of one websocket command."""
        return await self._call(self._number(), {"type": type, **fields})

    async def subscribe(self, listener: Callable[[Any], None], **command: Any) -> None:
        """Give every event of a subscription to `listener`, until the end of the connection."""
        number = self._number()
        self._listeners[number] = listener
        await self._call(number, command)

    def _number(self) -> int:
        self._next_id += 1
        return self._next_id

    async def _call(self, number: int, command: Json) -> Any:
        assert self._socket is not None
        self._answers[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, **command})
        answer = await asyncio.wait_for(self._answers[number], 30)
        if not answer["success"]:
            raise HassError(f"{command['type']}: {answer['error']}")
        return answer["result"]

    # States and actions

    def _on_state(self, event: Json) -> None:
        new, entity_id = event["data"]["new_state"], event["data"]["entity_id"]
        if new is None:
            self.states.pop(entity_id, None)
        else:
            self.states[entity_id] = new

    async def until(self, what: str, holds: Callable[[], bool], seconds: float = 20) -> None:
        """Wait until a condition over `states` holds; HassError naming `what` when it does not in time."""
        try:
            async with asyncio.timeout(seconds), self._state_changed:
                await self._state_changed.wait_for(holds)
        except TimeoutError:
            raise HassError(f"waited {seconds:.0f} s in vain for {what}") from None

    async def until_state(self, entity_id: str, state: str | Callable[[str], bool], seconds: float = 20) -> str:
        """Wait for a state (or one that satisfies a predicate) and return it."""

        def now() -> str:
            return str(self.states.get(entity_id, {}).get("state", "missing"))

        try:
            await self.until(f"{entity_id}", lambda: state(now()) if callable(state) else now() == state, seconds)
        except HassError as error:
            raise HassError(f"{error} (it is {now()})") from None
        return now()

    async def act(self, action: str, entity_id: str, **data: Any) -> None:
        """Perform an action ("switch.turn_on") on an entity."""
        domain, service = action.split(".")
        target = {"entity_id": entity_id}
        await self.call("call_service", domain=domain, service=service, service_data=data, target=target)

    async def entity_ids(self, platform: str) -> dict[str, str]:
        """Return the registered entities of an integration: unique id to entity id, the disabled ones too."""
        entries = await self.call("config/entity_registry/list")
        return {entry["unique_id"]: entry["entity_id"] for entry in entries if entry["platform"] == platform}

    async def until_running(self, seconds: float = 60) -> None:
        """Wait for the end of the start-up: before it, discovered flows are only queued."""
        async with asyncio.timeout(seconds):
            while (await self.call("get_config"))["state"] != "RUNNING":
                await asyncio.sleep(POLL)

    # Config flows

    async def flows(self, handler: str) -> list[Json]:
        """Return the discovered flows in progress of an integration."""
        return [flow for flow in await self.call("config_entries/flow/progress") if flow["handler"] == handler]

    async def until_flow(self, handler: str, fits: Callable[[Json], bool], seconds: float = 30) -> Json:
        """Wait for a discovered flow and return it."""
        try:
            async with asyncio.timeout(seconds):
                while True:
                    for flow in await self.flows(handler):
                        if fits(flow):
                            return flow
                    await asyncio.sleep(POLL)
        except TimeoutError:
            raise HassError(f"no discovered {handler} flow in {seconds:.0f} s") from None

    async def start_flow(self, handler: str) -> Json:
        """Begin adding an integration by hand; return its first step."""
        return dict(await self.request("POST", CONFIG_FLOW, {"handler": handler}))

    async def start_options(self, entry_id: str) -> Json:
        """Begin to change the options of an entry; return the first step."""
        return dict(await self.request("POST", OPTIONS_FLOW, {"handler": entry_id}))

    async def options_step(self, flow_id: str, answer: Mapping[str, Any]) -> Json:
        """Answer a step of changing options; return the next one or the result."""
        return dict(await self.request("POST", f"{OPTIONS_FLOW}/{flow_id}", dict(answer)))

    async def upload(self, file: Path) -> str:
        """Upload a file; return what the field of a form takes for it."""
        headers = {"Authorization": f"Bearer {self.tokens.access}"}
        with file.open("rb") as content:
            async with self._session.post("/api/file_upload", data={"file": content}, headers=headers) as response:
                if response.status >= 400:
                    raise HassError(f"upload: {response.status} {await response.text()}")
                return str((await response.json())["file_id"])

    async def flow_step(self, flow_id: str, answer: Mapping[str, Any] | None = None, seconds: float = 60) -> Json:
        """Answer a step (None: only look), sit out progress, return the step that wants an answer or the result."""
        path = f"{CONFIG_FLOW}/{flow_id}"
        try:
            async with asyncio.timeout(seconds):
                step = await (self.request("GET", path) if answer is None else self.request("POST", path, dict(answer)))
                while step["type"] in {"progress", "progress_done"}:
                    await asyncio.sleep(POLL)
                    step = await self.request("GET", path)
        except TimeoutError:
            raise HassError(f"the flow did not go on in {seconds:.0f} s") from None
        return dict(step)


async def log_in(session: aiohttp.ClientSession, url: str, user: str, password: str) -> Tokens:
    """Return the tokens of a login by name and password; HassError when refused."""
    client_id = f"{url}/"
    begin = {"client_id": client_id, "handler": ["homeassistant", None], "redirect_uri": client_id}
    async with session.post("/auth/login_flow", json=begin) as response:
        flow = await response.json()
    credentials = {"client_id": client_id, "username": user, "password": password}
    async with session.post(f"/auth/login_flow/{flow['flow_id']}", json=credentials) as response:
        outcome = await response.json()
    if outcome["type"] != "create_entry":
        raise HassError(f"the login of {user} was refused: {outcome.get('errors')}")
    form = {"grant_type": "authorization_code", "code": outcome["result"], "client_id": client_id}
    async with session.post("/auth/token", data=form) as response:
        return Tokens(client_id, await response.json())
