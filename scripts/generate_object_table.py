#!/usr/bin/env python3
"""Make the table of object definitions from a folder of XML files as the OMA registry has them.

usage: scripts/generate_object_table.py FOLDER [TABLE]

Reads FOLDER/*.xml and FOLDER/version_history/*.xml (one object per file, files of other kinds are skipped) and writes
TABLE, by default custom_components/lwm2m/protocol/objects/data/objects.jsonl. Where two files define one version of an
object, the one outside version_history counts. A file that cannot be used is named, and the exit code is then 1.
"""

import sys
from pathlib import Path
from types import ModuleType

PROJECT = Path(__file__).resolve().parent.parent
TABLE = PROJECT / "custom_components/lwm2m/protocol/objects/data/objects.jsonl"

NO_OBJECTS = frozenset(("Common.xml", "DDF.xml", "LWM2M_senml_units.xml"))
"""Files of the registry that hold something else than one object."""

WITHOUT_LICENCE = frozenset((10244, 3443))
"""Objects whose files bear no licence text: their facts are left out."""


def main(arguments: list[str]) -> int:
    """Write the table; return the exit code."""
    if len(arguments) not in (1, 2) or not Path(arguments[0]).is_dir():
        print(__doc__, file=sys.stderr)
        return 2
    _make_layer_importable()
    from custom_components.lwm2m.protocol.errors import ObjectXmlError
    from custom_components.lwm2m.protocol.objects import ObjectDefinition, parse_object_xml
    from custom_components.lwm2m.protocol.objects.table import write_rows

    folder = Path(arguments[0])
    definitions: dict[tuple[int, tuple[int, ...]], ObjectDefinition] = {}
    problems = 0
    for path in (*sorted(folder.glob("*.xml")), *sorted(folder.glob("version_history/*.xml"))):
        if path.name in NO_OBJECTS:
            continue
        try:
            definition = parse_object_xml(path.read_bytes())
        except ObjectXmlError as error:
            print(f"{path.name}: {error}", file=sys.stderr)
            problems += 1
            continue
        if definition.id not in WITHOUT_LICENCE:
            key = definition.id, tuple(map(int, definition.version.split(".")))
            definitions.setdefault(key, definition)
    table = write_rows(definition for _, definition in sorted(definitions.items(), key=lambda item: item[0]))
    (Path(arguments[1]) if len(arguments) > 1 else TABLE).write_bytes(table)
    objects = len({object_id for object_id, _ in definitions})
    print(f"{len(definitions)} versions of {objects} objects, {len(table)} bytes, {problems} files left out")
    return 1 if problems else 0


def _make_layer_importable() -> None:
    """Let protocol be imported without the integration's own `__init__`, which needs Home Assistant."""
    sys.path.insert(0, str(PROJECT))
    package = ModuleType("custom_components.lwm2m")
    package.__path__ = [str(PROJECT / "custom_components/lwm2m")]
    sys.modules[package.__name__] = package


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
