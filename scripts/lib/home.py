"""A real Home Assistant of our own: a seeded configuration with the integration linked in, started and stopped."""

import asyncio
import contextlib
import json
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from . import processes

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-demo" / "bin" / "python"
USER, PASSWORD = "demo", "lwm2m-demo"

CONFIGURATION = """\
homeassistant:
  name: LwM2M
  country: DE
  language: en
  time_zone: Europe/Berlin
  unit_system: metric

frontend:

config:

logger:
  default: warning
  logs:
    custom_components.lwm2m: {level}
    # Programs and libraries for cameras, that nothing here has.
    haffmpeg: fatal
    homeassistant.components.camera: fatal
"""


class HomeError(Exception):
    """Home Assistant could not be prepared or started; says where its log is."""


@dataclass(frozen=True, slots=True)
class Home:
    """A configuration folder and the port that its Home Assistant listens on, on loopback."""

    config: Path
    port: int
    log_level: str = "info"

    @property
    def url(self) -> str:
        """Where the frontend is."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        """What the process prints."""
        return self.config / "output.log"

    async def seed(self) -> None:
        """Write what onboarding would have left, and the user; keeps what an earlier run has stored."""
        storage = self.config / ".storage"
        storage.mkdir(parents=True, exist_ok=True)
        (self.config / "configuration.yaml").write_text(CONFIGURATION.format(level=self.log_level))
        components = self.config / "custom_components"
        components.mkdir(exist_ok=True)
        with contextlib.suppress(FileExistsError):
            (components / "lwm2m").symlink_to(ROOT / "custom_components" / "lwm2m")
        self._store("http", version=3, data=http_data(self.port))
        self._store("onboarding", version=4, data={"done": ["user", "core_config", "analytics", "integration"]})
        # Zeroconf and all other discovery stay on this machine.
        self._store("core.network", version=1, data={"configured_adapters": ["lo"]})
        if not (storage / "auth_provider.homeassistant").exists():
            await self._add_user()

    def _store(self, key: str, *, version: int, data: dict[str, Any]) -> None:
        content = {"version": version, "minor_version": 1, "key": key, "data": data}
        (self.config / ".storage" / key).write_text(json.dumps(content))

    async def _add_user(self) -> None:
        add = ("--script", "auth", "-c", str(self.config), "add", USER, PASSWORD)
        with self.log.open("ab") as log:
            process = await processes.start(str(PYTHON), "-m", "homeassistant", *add, cwd=self.config, log=log)
            if await process.wait() != 0:
                raise HomeError(f"the user could not be added, see {self.log}")

    @asynccontextmanager
    async def running(self, *, seconds: float = 120) -> AsyncIterator[asyncio.subprocess.Process]:
        """Run Home Assistant for the time of the context; entered when it has started up."""
        command = (str(PYTHON), "-m", "homeassistant", "-c", str(self.config), "--skip-pip")
        with self.log.open("ab") as log:
            process = await processes.start(*command, cwd=self.config, log=log)
        try:
            await self._until_started(process, seconds)
            yield process
        finally:
            await processes.end(process, 30)

    async def _until_started(self, process: asyncio.subprocess.Process, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        async with aiohttp.ClientSession() as session:
            while process.returncode is None and time.monotonic() < deadline:
                # A login is offered once the frontend is there; the manifest of the frontend is not enough.
                with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                    timeout = aiohttp.ClientTimeout(total=2)
                    async with session.get(f"{self.url}/auth/providers", timeout=timeout) as answer:
                        if answer.status == 200:
                            return
                await asyncio.sleep(0.1)
        raise HomeError(f"Home Assistant did not start, see {self.log}")


def http_data(port: int) -> dict[str, Any]:
    """Return the stored settings of the web server: on loopback only."""
    stable = {
        "server_port": port,
        "server_host": ["127.0.0.1"],
        "cors_allowed_origins": [],
        "login_attempts_threshold": -1,
        "ip_ban_enabled": True,
        "ssl_profile": "intermediate_v6",
        "use_x_frame_options": True,
        "created_at": "2026-01-01T00:00:00+00:00",
        "error": None,
        "error_message": None,
    }
    return {"stable": stable, "pending": None, "yaml_migration_done": True}


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """Return a port of loopback that nobody uses at this moment."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_free(port: int, kind: socket.SocketKind = socket.SOCK_STREAM) -> bool:
    """Return whether nobody uses a port of loopback."""
    with socket.socket(socket.AF_INET, kind) as probe:
        if kind is socket.SOCK_STREAM:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
