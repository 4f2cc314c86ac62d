"""Print what the installed Home Assistant needs to start with --skip-pip: the requirements in its manifests.

Runs on the Python of an environment that has Home Assistant. Names on the command line are integrations to add to the
default ones; what these depend on is followed.
"""

import json
import sys
from pathlib import Path

import homeassistant
from homeassistant.bootstrap import CORE_INTEGRATIONS, DEFAULT_INTEGRATIONS, FRONTEND_INTEGRATIONS

COMPONENTS = Path(homeassistant.__file__).parent / "components"


def requirements(wanted: set[str]) -> set[str]:
    """Return the requirements of these integrations and of all that they depend on."""
    todo, seen, found = set(wanted), set[str](), set[str]()
    while todo:
        domain = todo.pop()
        seen.add(domain)
        manifest = json.loads((COMPONENTS / domain / "manifest.json").read_text())
        found.update(manifest.get("requirements", ()))
        todo.update(set(manifest.get("dependencies", ())) - seen)
    return found


if __name__ == "__main__":
    print(
        *sorted(requirements({*CORE_INTEGRATIONS, *DEFAULT_INTEGRATIONS, *FRONTEND_INTEGRATIONS, *sys.argv[1:]})),
        sep="\n",
    )
