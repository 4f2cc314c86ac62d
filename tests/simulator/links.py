"""CoRE link format (RFC 6690) as a client writes it: the Register's object list and the answer to Discover."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from .model import SECURITY, DeviceModel, Path, show

Attributes = Mapping[str, float | None]


def object_list(model: DeviceModel, *, root: str | None, quoted: bool, prefix: str = "") -> str:
    """Give a Register's payload: the root link when the client sends one, then objects and instances.

    LwM2M 1.0 quotes the version, later ones do not.
    """
    links = [root] if root is not None else []
    for object_id, instances in sorted(model.objects.items()):
        if object_id in SECURITY:
            continue
        version = _version(model, object_id, quoted=quoted)
        if version or not instances:
            links.append(f"<{prefix}/{object_id}>{version}")
        links += [f"<{prefix}/{object_id}/{instance}>" for instance in sorted(instances)]
    return ",".join(links)


def discover(model: DeviceModel, path: Path, attributes: Callable[[Path], Attributes], *, quoted: bool) -> str:
    """Give what Discover on an object, instance or resource answers, with attached attributes and dim."""
    links = []

    def add(where: Path, extra: str = "") -> None:
        own = "".join(f";{name}={_number(value)}" for name, value in attributes(where).items() if value is not None)
        links.append(f"<{show(where)}>{extra}{own}")

    if len(path) == 1:
        add(path, _version(model, path[0], quoted=quoted))
    for instance_id, resources in sorted(model.objects.get(path[0], {}).items()):
        if len(path) >= 2 and instance_id != path[1]:
            continue
        if len(path) <= 2:
            add((path[0], instance_id))
        for resource_id, resource in sorted(resources.items()):
            if len(path) >= 3 and resource_id != path[2]:
                continue
            where = (path[0], instance_id, resource_id)
            add(where, f";dim={len(resource.value)}" if isinstance(resource.value, dict) else "")
    return ",".join(links)


def _version(model: DeviceModel, object_id: int, *, quoted: bool) -> str:
    version = model.versions.get(object_id)
    if version is None:
        return ""
    return f';ver="{version}"' if quoted else f";ver={version}"


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else str(value)
