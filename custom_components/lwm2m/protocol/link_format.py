"""Link lists (RFC 6690): what Register, Update and Discover carry (LwM2M TS 1.1.1 Core, sections 6.2.1 and 6.3.2)."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from .errors import LinkFormatError, PathError
from .path import Path

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MAX_LINKS: Final = 2000
MAX_BYTES: Final = 65536
_MAX_ATTRIBUTES: Final = 40

_LINK = re.compile(r"\s*+<([^<>\s\"]*+)>\s*+")
_ATTRIBUTE = re.compile(r';\s*+([^\s=;,<>"]++)\s*+(?:=\s*+(?:"((?:[^"\\]|\\.)*+)"|([^\s;,"]*+)))?+\s*+', re.DOTALL)
_VERSION = re.compile(r"([0-9]{1,5})(?:\.([0-9]{1,5}))?(?:\.[0-9]{1,5})*", re.ASCII)

_ROOT_TYPE: Final = "oma.lwm2m"

_CORE_VERSIONS: Final[Mapping[str, Mapping[int, str]]] = {
    "1.1": {0: "1.1", 1: "1.1", 3: "1.1", 4: "1.2"},
    "1.2": {0: "1.2", 1: "1.2", 2: "1.1", 3: "1.2", 4: "1.3", 5: "1.1", 21: "1.1"},
}
"""Versions of the core objects that a version of LwM2M implies, where not 1.0 (appendix E of TS 1.1.1 and 1.2)."""


class Link(NamedTuple):
    """One link: its target as written, and its attributes (None for one without a value)."""

    target: str
    attributes: dict[str, str | None]


def parse_links(payload: bytes) -> list[Link]:
    """Return the links of a list; of an attribute given twice the first counts (RFC 6690 section 2)."""
    return list(iterate_links(payload))


def iterate_links(payload: bytes) -> Iterator[Link]:
    """Yield the links of a list one by one; raises LinkFormatError where the list stops to be one."""
    if len(payload) > MAX_BYTES:
        raise LinkFormatError(f"a link list of more than {MAX_BYTES} bytes")
    try:
        text = payload.decode()
    except UnicodeDecodeError:
        raise LinkFormatError("a link list that is not UTF-8") from None
    if not text.strip():
        return
    position = 0
    for _ in range(MAX_LINKS):
        match = _LINK.match(text, position)
        if match is None:
            raise LinkFormatError(f"no link at character {position}")
        position = match.end()
        attributes: dict[str, str | None] = {}
        while attribute := _ATTRIBUTE.match(text, position):
            name, quoted, token = attribute.groups()
            if quoted is not None and "\\" in quoted:
                quoted = re.sub(r"\\(.)", r"\1", quoted, flags=re.DOTALL)
            attributes.setdefault(name, token if quoted is None else quoted)
            position = attribute.end()
            if len(attributes) > _MAX_ATTRIBUTES:
                raise LinkFormatError(f"a link with more than {_MAX_ATTRIBUTES} attributes")
        yield Link(match[1], attributes)
        if position == len(text):
            return
        if text[position] != ",":
            raise LinkFormatError(f"no separator at character {position}")
        position += 1
    raise LinkFormatError(f"more than {MAX_LINKS} links")


def format_links(links: list[Link]) -> bytes:
    """Return the list of these links; values that are not plain tokens are quoted."""
    return ",".join(
        f"<{link.target}>{''.join(map(_format_attribute, link.attributes.items()))}" for link in links
    ).encode()


def _format_attribute(item: tuple[str, str | None]) -> str:
    name, value = item
    if value is None:
        return f";{name}"
    if value and all(character.isalnum() or character in ".-_:/" for character in value):
        return f";{name}={value}"
    return f';{name}="{value.replace("\\", r"\\").replace('"', r"\"")}"'


@dataclass(frozen=True, slots=True)
class ObjectList:
    """The objects and object instances that a client registers.

    `objects` maps the path of each instance, or of an object without instances, to the object's version. `root` are
    the segments that prefix every path of the client; `content_formats` are those that its root link names.
    """

    objects: Mapping[Path, str]
    root: tuple[str, ...] = ()
    content_formats: tuple[int, ...] = ()

    @classmethod
    def parse(cls, payload: bytes, lwm2m_version: str) -> ObjectList:
        """Return what a Register or Update lists; links to anything but objects and instances are passed over.

        An object without `ver` has the version that `lwm2m_version` implies for core objects, others 1.0.
        """
        links = parse_links(payload)
        root_link = _find_root(links)
        root = root_link.target.strip("/") if root_link else ""
        prefix = f"/{root}/" if root else "/"
        objects: dict[Path, str] = {}
        versions: dict[int, str] = {}
        for target, attributes in links:
            if not f"/{target.removeprefix('/')}".startswith(prefix):
                continue
            try:
                path = Path.parse(f"/{target.removeprefix('/')}"[len(prefix) :])
            except PathError:
                continue
            if not 1 <= len(path) <= 2:
                continue
            objects[path] = ""
            version = parse_version(attributes.get("ver"))
            if version is not None:
                versions.setdefault(path[0], version)
        implied = _CORE_VERSIONS.get(lwm2m_version, {})
        with_instances = {path[0] for path in objects if len(path) == 2}
        return cls(
            {
                path: versions.get(path[0]) or implied.get(path[0], "1.0")
                for path in objects
                if len(path) == 2 or path[0] not in with_instances
            },
            tuple(root.split("/")) if root else (),
            _parse_content_formats(root_link.attributes.get("ct")) if root_link else (),
        )


def parse_version(text: str | None) -> str | None:
    """Return "major.minor" of a version ("1", "1.1" and "1.1.1" are known forms), None if it is none."""
    match = _VERSION.fullmatch(text) if text else None
    return f"{int(match[1])}.{int(match[2] or 0)}" if match else None


def _find_root(links: list[Link]) -> Link | None:
    """Return the link of the LwM2M root: marked by its resource type, else the one to "/"."""
    for link in links:
        if _ROOT_TYPE in (link.attributes.get("rt") or "").lower().split():
            return link
    return next((link for link in links if link.target in ("/", "")), None)


def _parse_content_formats(text: str | None) -> tuple[int, ...]:
    return tuple(int(word) for word in (text or "").split() if word.isascii() and word.isdecimal() and len(word) <= 5)
