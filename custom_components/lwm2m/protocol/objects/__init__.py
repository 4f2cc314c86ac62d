"""Object definitions: what an object and its resources are, by id and version."""

from .model import ObjectDefinition, ResourceDefinition
from .registry import DefinitionView, Registry
from .xml import parse_object_xml

__all__ = ["DefinitionView", "ObjectDefinition", "Registry", "ResourceDefinition", "parse_object_xml"]
