"""Run the server's command line without Home Assistant.

The integration's own __init__ imports Home Assistant, so a bare package of that name stands in for it.
"""

import importlib
import sys
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[2]


def without_home_assistant() -> None:
    """Make the layers below the glue importable, and nothing of Home Assistant."""
    sys.path.insert(0, str(ROOT))
    package = ModuleType("custom_components.lwm2m")
    package.__path__ = [str(ROOT / "custom_components" / "lwm2m")]
    sys.modules[package.__name__] = package


if __name__ == "__main__":
    without_home_assistant()
    sys.exit(importlib.import_module("custom_components.lwm2m.server.cli").main(sys.argv[1:]))
