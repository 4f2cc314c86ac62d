"""Who may import whom. The rules are in the table; a layer's own words for them stand at the top of its package."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "custom_components" / "lwm2m"
NAME = "custom_components.lwm2m"
GLUE = "glue"  # the modules of the package itself; everything that is not a layer


@dataclass(frozen=True, kw_only=True)
class Layer:
    """What a layer may import beside itself and the standard library."""

    layers: frozenset[str] = frozenset()
    packages: frozenset[str] = frozenset()
    waits: bool = False  # may use a clock, a socket, a task


LAYERS = {
    "protocol": Layer(packages=frozenset({"cbor2", "defusedxml"})),
    "security": Layer(packages=frozenset({"cryptography"})),
    "dtls": Layer(
        layers=frozenset({"security"}), packages=frozenset({"cffi", "_cffi_backend", "cryptography", "DTLSSocket"})
    ),
    "coap": Layer(layers=frozenset({"protocol", "security", "dtls"}), packages=frozenset({"aiocoap"}), waits=True),
    "server": Layer(layers=frozenset({"protocol", "security", "dtls", "coap"}), waits=True),
    "mapping": Layer(layers=frozenset({"protocol"}), packages=frozenset({"homeassistant"})),
}
BELOW_HOME_ASSISTANT = ("protocol", "security", "dtls", "coap", "server")

# One package may be named by some files only.
ONLY_IN = {"DTLSSocket": "dtls/tinydtls.py"}

WAITING = frozenset(
    {"asyncio", "concurrent", "multiprocessing", "sched", "select", "selectors", "signal", "socket", "socketserver"}
    | {"ssl", "subprocess", "threading", "time"}
)
READS_THE_CLOCK = frozenset({"now", "utcnow", "today", "sleep"})

# From Home Assistant a mapping takes constants, enumerations and description classes, nothing that runs.
DESCRIPTIVE = re.compile(r"[A-Z][A-Z0-9_]*|UnitOf\w+|\w+(Description|Class|Category|Mode|Feature)|Platform|Unit\w*")


@dataclass(frozen=True)
class Import:
    """One imported name: the module as an absolute dotted name, and what is taken from it ("" for the module)."""

    module: str
    name: str
    line: int


def imports(source: str, module: str, *, is_package: bool) -> Iterator[Import]:
    """Yield every import of a file, also those inside functions and type-checking blocks."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, "", node.lineno)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = module.split(".")
                parts = parts[: len(parts) - node.level + is_package]
                base = ".".join([*parts, base] if base else parts)
            for alias in node.names:
                yield Import(base, alias.name, node.lineno)


def layer_of(module: str) -> str:
    """Return the layer of a module of the package, `glue` for those at its top."""
    parts = module.removeprefix(NAME).split(".")
    return parts[1] if len(parts) > 1 and parts[1] in LAYERS else GLUE


def layer_named(taken: Import) -> str:
    """Return the layer that an import inside the package reaches (`from .. import dtls` reaches dtls)."""
    return layer_of(f"{taken.module}.{taken.name}" if taken.module == NAME else taken.module)


def violations(source: str, module: str, *, is_package: bool = False) -> list[str]:
    """Return what a file of a layer imports or calls against the rules."""
    layer = layer_of(module)
    rules = LAYERS[layer]
    file = module.removeprefix(NAME + ".").replace(".", "/") + ".py"
    found = []
    for taken in imports(source, module, is_package=is_package):
        top = taken.module.split(".")[0]
        if taken.module == NAME or taken.module.startswith(NAME + "."):
            other = layer_named(taken)
            if other != layer and other not in rules.layers:
                found.append(f"{file}:{taken.line}: {layer} imports {other}")
        elif top in sys.stdlib_module_names:
            if top in WAITING and not rules.waits:
                found.append(f"{file}:{taken.line}: {layer} imports {top}, and may not wait")
        elif top not in rules.packages or not file.startswith(ONLY_IN.get(top, "")):
            found.append(f"{file}:{taken.line}: {layer} imports {taken.module}")
        elif top == "homeassistant" and not DESCRIPTIVE.fullmatch(taken.name):
            found.append(f"{file}:{taken.line}: {layer} takes {taken.name or taken.module} from Home Assistant")
    if not rules.waits:
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                if node.func.attr in READS_THE_CLOCK:
                    found.append(f"{file}:{node.lineno}: {layer} calls {node.func.attr}()")
            elif isinstance(node, ast.AsyncFunctionDef | ast.Await):
                found.append(f"{file}:{node.lineno}: {layer} waits")
    return found


def files(layer: str) -> list[Path]:
    """Return the layer's Python files."""
    return sorted((PACKAGE / layer).rglob("*.py"))


def module_name(file: Path) -> str:
    """Return the dotted name of a file of this checkout."""
    return ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@pytest.mark.parametrize("layer", LAYERS)
def test_layer_imports_only_what_it_may(layer: str) -> None:
    assert files(layer), f"the layer {layer} is empty"
    found = [
        line
        for file in files(layer)
        for line in violations(file.read_text(), module_name(file), is_package=file.name == "__init__.py")
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("layer", LAYERS)
def test_layer_says_its_rule(layer: str) -> None:
    assert ast.get_docstring(ast.parse((PACKAGE / layer / "__init__.py").read_text()))


def test_every_folder_with_code_is_a_layer() -> None:
    folders = {file.relative_to(PACKAGE).parts[0] for file in PACKAGE.rglob("*.py") if file.parent != PACKAGE}
    assert folders == set(LAYERS)


BROKEN = {
    "upwards": ("protocol.path", "from ..server import server"),
    "upwards by the package": ("protocol.path", "from .. import server"),
    "glue": ("server.device", "from ..hub import Hub"),
    "glue by the package": ("server.device", "from .. import const"),
    "absolute": ("coap.udp", f"from {NAME}.server import Server"),
    "subpackage": ("dtls.openssl.handshake", "from ...coap import udp"),
    "in a function": ("security.policy", "def f():\n    import homeassistant"),
    "package": ("protocol.path", "import aiocoap"),
    "file": ("dtls.endpoint", "from DTLSSocket import dtls"),
    "clock": ("dtls.endpoint", "import time"),
    "clock by the date": ("security.identity", "import datetime\ndatetime.datetime.now()"),
    "socket": ("dtls.endpoint", "from socket import socket"),
    "task": ("protocol.path", "async def f(): ..."),
    "what runs": ("mapping.rows", "from homeassistant.core import HomeAssistant"),
    "module": ("mapping.rows", "import homeassistant.const"),
}
GOOD = {
    "sibling": ("dtls.openssl.handshake", "from . import ffi\nfrom ..events import Opened"),
    "below": ("server.device", "from ..protocol.path import Path\nfrom .. import coap\nimport asyncio, time"),
    "constrained engine": ("dtls.tinydtls", "from DTLSSocket import dtls"),
    "descriptions": ("mapping.rows", "from homeassistant.components.sensor import SensorEntityDescription"),
    "constants": ("mapping.rows", "from homeassistant.const import PERCENTAGE, UnitOfTemperature"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_checker_finds(case: str) -> None:
    module, source = BROKEN[case]
    assert len(violations(source, f"{NAME}.{module}")) == 1


@pytest.mark.parametrize("case", GOOD)
def test_checker_permits(case: str) -> None:
    module, source = GOOD[case]
    assert violations(source, f"{NAME}.{module}") == []


IMPORT_ALL = """
import importlib, sys
sys.modules["homeassistant"] = None
from scripts.lib.run_server import without_home_assistant
without_home_assistant()
for module in sys.argv[1:]:
    importlib.import_module(module)
    print(module)
"""


def test_layers_below_home_assistant_run_without_it() -> None:
    modules = [module_name(file) for layer in BELOW_HOME_ASSISTANT for file in files(layer)]
    result = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, *modules], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == modules
