"""Object definitions from XML files in the form of the OMA registry (LwM2M TS 1.1.1 Core, appendix D).

Files may come from anywhere: document types and entities are refused, size and counts are bounded.
"""

import re
from typing import Final
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from ..errors import ObjectXmlError
from ..value import DataType
from .model import ObjectDefinition, ResourceDefinition

MAX_XML: Final = 1 << 20
"""The largest file, in bytes; the largest of the OMA registry has a tenth of that."""

_MAX_RESOURCES: Final = 2000
_MAX_TEXT: Final = 500
_VERSION = re.compile(r"[0-9]{1,5}(?:\.[0-9]{1,5})?", re.ASCII)
_TYPES: Final = {
    "": None,
    "none": None,
    "string": DataType.STRING,
    "integer": DataType.INTEGER,
    "unsigned integer": DataType.UNSIGNED_INTEGER,
    "float": DataType.FLOAT,
    "boolean": DataType.BOOLEAN,
    "opaque": DataType.OPAQUE,
    "time": DataType.TIME,
    "objlnk": DataType.OBJLNK,
    "corelnk": DataType.CORELNK,
}


def parse_object_xml(data: bytes) -> ObjectDefinition:
    """Return the object that an XML file defines; ObjectXmlError names what is wrong with it."""
    if len(data) > MAX_XML:
        raise ObjectXmlError(f"the file is larger than {MAX_XML} bytes")
    try:
        root = fromstring(data, forbid_dtd=True, forbid_entities=True, forbid_external=True)
    except DefusedXmlException:
        raise ObjectXmlError("document types and entities are not allowed") from None
    except (ParseError, ValueError, LookupError) as error:
        raise ObjectXmlError(f"not well-formed XML: {error}") from None
    if root.tag != "LWM2M":
        raise ObjectXmlError(f"the outermost element is {root.tag[:40]}, not LWM2M")
    found = root.findall("Object")
    if len(found) != 1:
        raise ObjectXmlError(f"{len(found)} Object elements, one is expected")
    return _parse_object(found[0])


def _parse_object(element: Element) -> ObjectDefinition:
    object_id = _identifier(_text(element, "ObjectID", "the object"), 65534, "ObjectID")
    where = f"object {object_id}"
    version = _text(element, "ObjectVersion", where, default="1.0") or "1.0"
    if not _VERSION.fullmatch(version):
        raise ObjectXmlError(f"{where}: ObjectVersion {version[:40]!r} is not a version")
    items = element.findall("Resources/Item")
    if len(items) > _MAX_RESOURCES:
        raise ObjectXmlError(f"{where}: more than {_MAX_RESOURCES} resources")
    resources: dict[int, ResourceDefinition] = {}
    for item in items:
        resource = _parse_resource(item, where)
        if resource.id in resources:
            raise ObjectXmlError(f"{where}: resource {resource.id} is defined twice")
        resources[resource.id] = resource
    return ObjectDefinition(
        object_id,
        _text(element, "Name", where),
        version if "." in version else f"{version}.0",
        _one_of(element, "MultipleInstances", where, "Multiple", "Single"),
        _one_of(element, "Mandatory", where, "Mandatory", "Optional"),
        resources,
    )


def _parse_resource(item: Element, where: str) -> ResourceDefinition:
    number = _identifier(item.get("ID", ""), 65535, f"{where}: an Item's ID")
    where = f"{where}, resource {number}"
    operations = _text(item, "Operations", where, default="").upper()
    if not set(operations) <= set("RWE"):
        raise ObjectXmlError(f"{where}: Operations {operations[:40]!r} is not made of R, W and E")
    type_name = _text(item, "Type", where, default="").lower()
    if type_name not in _TYPES:
        raise ObjectXmlError(f"{where}: Type {type_name[:40]!r} is unknown")
    data_type = _TYPES[type_name]
    return ResourceDefinition(
        number,
        _text(item, "Name", where),
        "".join(letter for letter in "RWE" if letter in operations),
        _one_of(item, "MultipleInstances", where, "Multiple", "Single"),
        _one_of(item, "Mandatory", where, "Mandatory", "Optional"),
        data_type,
        _text(item, "RangeEnumeration", where, default=""),
        _text(item, "Units", where, default=""),
    )


def _text(parent: Element, name: str, where: str, default: str | None = None) -> str:
    """Return the text of a child with white space folded; without a default the child must be there, not empty."""
    text = " ".join((parent.findtext(name) or "").split())
    if len(text) > _MAX_TEXT:
        raise ObjectXmlError(f"{where}: {name} is longer than {_MAX_TEXT} characters")
    if not text:
        if default is None:
            raise ObjectXmlError(f"{where}: {name} is missing")
        return default
    return text


def _identifier(text: str, highest: int, what: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 5 and int(text) <= highest):
        raise ObjectXmlError(f"{what} {text[:40]!r} is not a number up to {highest}")
    return int(text)


def _one_of(parent: Element, name: str, where: str, yes: str, no: str) -> bool:
    text = _text(parent, name, where).capitalize()
    if text not in (yes, no):
        raise ObjectXmlError(f"{where}: {name} is {text[:40]!r}, neither {yes} nor {no}")
    return text == yes
