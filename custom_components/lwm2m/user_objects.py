"""User objects: a folder with object definitions in the XML form of the OMA registry, beside those that come along."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from .protocol.errors import ObjectXmlError
from .protocol.objects.model import ObjectDefinition
from .protocol.objects.xml import MAX_XML, parse_object_xml

FOLDER: Final = ("lwm2m", "objects")
"""In Home Assistant's configuration directory."""

MAX_FILES: Final = 200
MAX_TOTAL: Final = 8 << 20
"""Bytes of all files together."""


class UserObjects(NamedTuple):
    """What a folder holds: definitions, and by file name what is wrong with those that cannot be used."""

    definitions: list[ObjectDefinition]
    problems: dict[str, str]


def read_folder(folder: Path) -> UserObjects:
    """Read all .xml files of a folder, which need not be there. Blocks; never raises, whatever is in them."""
    found = UserObjects([], {})
    origin: dict[tuple[int, str], str] = {}
    room = MAX_TOTAL
    try:
        files = sorted(_xml_files(folder))
    except OSError as error:
        found.problems[folder.name] = f"the folder cannot be read: {error.strerror}"
        return found
    for file in files[MAX_FILES : MAX_FILES + 1]:
        found.problems[_name(file)] = f"more than {MAX_FILES} files: it and those after it are not read"
    for file in files[:MAX_FILES]:
        name = _name(file)
        try:
            data = _read(file)
            room -= len(data)
            if room < 0:
                found.problems[name] = f"more than {MAX_TOTAL >> 20} MiB: it and the files after it are not read"
                break
            definition = parse_object_xml(data)
        except ObjectXmlError as error:
            found.problems[name] = str(error)
            continue
        except OSError as error:
            found.problems[name] = f"it cannot be read: {error.strerror}"
            continue
        key = (definition.id, definition.version)
        if key in origin:
            text = f"object {definition.id} in version {definition.version} is defined in {origin[key]} already"
            found.problems[name] = text
            continue
        origin[key] = name
        found.definitions.append(definition)
    return found


def _name(file: Path) -> str:
    """Return the name of a file as text that can be written: not every name is."""
    return file.name.encode(errors="replace").decode()


def _xml_files(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        yield from (file for file in folder.iterdir() if file.suffix.lower() == ".xml" and file.name[0] != ".")


def _read(file: Path) -> bytes:
    """Return the content, of one byte more than is allowed at most. What is no file (a pipe, say) is not opened."""
    if not file.is_file():
        raise ObjectXmlError("it is no file")
    with file.open("rb") as opened:
        return opened.read(MAX_XML + 1)
