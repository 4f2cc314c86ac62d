"""The server's requests, answered as a client does (LwM2M TS: Core 1.1.1 section 6.3; Transport 1.1.1 section 6.4)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import content, links, senml
from .coap import Code, Message, Option, Type
from .model import SECURITY, DeviceModel, Leaf, Path, Resource, Scalar, show
from .observe import BadAttributesError, Observer
from .profile import Profile
from .values import BadValueError

Report = Callable[..., None]


class RefusedError(Exception):
    """The request is answered with this code."""

    def __init__(self, code: Code) -> None:
        super().__init__(code.name)
        self.code = code


def answer(code: Code) -> Message:
    """A response without content; type, id and token are the message layer's."""
    return Message(Type.ACK, code)


class Handler:
    """Answers requests from the model, in the formats of the profile.

    `report` gets an event's name and its fields. `root` is the path of the root link ("/" left out).
    """

    def __init__(
        self,
        model: DeviceModel,
        profile: Profile,
        report: Report,
        *,
        version: str,
        root: tuple[str, ...] = (),
        second: float = 1.0,
    ) -> None:
        self._model = model
        self._profile = profile
        self._report = report
        self._root = root
        self._quoted = version == "1.0"
        self.fail: dict[Path, Code] = {}  # paths whose requests are refused, for tests of failures
        self.observer = Observer(
            model, self.read, self._observation_event, confirmable=profile.confirmable, second=second
        )

    def _observation_event(self, event: str, observation: Any) -> None:
        self._report(event, path=[show(path) for path in observation.paths])

    def handle(self, request: Message) -> Message:
        """Answer one request, whole."""
        try:
            return self._dispatch(request)
        except RefusedError as refused:
            return answer(refused.code)
        except BadValueError, BadAttributesError:
            return answer(Code.BAD_REQUEST)
        except content.UnsupportedFormatError:
            return answer(Code.UNSUPPORTED_CONTENT_FORMAT)

    def _path(self, request: Message) -> Path:
        segments = request.path
        if segments[: len(self._root)] != self._root:
            raise RefusedError(Code.NOT_FOUND)
        try:
            path = tuple(int(segment) for segment in segments[len(self._root) :] if segment)
        except ValueError:
            raise RefusedError(Code.NOT_FOUND) from None
        if len(path) > 4:
            raise RefusedError(Code.BAD_REQUEST)
        if path and path[0] in SECURITY:
            raise RefusedError(Code.UNAUTHORIZED)
        for length in range(1, len(path) + 1):
            if path[:length] in self.fail:
                raise RefusedError(self.fail[path[:length]])
        return path

    def _dispatch(self, request: Message) -> Message:
        path = self._path(request)
        if request.code in (Code.FETCH, Code.IPATCH):
            if not self._profile.composite:
                raise RefusedError(Code.METHOD_NOT_ALLOWED)
            return self._composite(request)
        if not path:
            raise RefusedError(Code.METHOD_NOT_ALLOWED if request.code != Code.GET else Code.NOT_FOUND)
        match request.code:
            case Code.GET:
                return self._get(request, path)
            case Code.PUT:
                return self._put(request, path)
            case Code.POST:
                return self._post(request, path)
            case Code.DELETE:
                return self._delete(path)
        raise RefusedError(Code.METHOD_NOT_ALLOWED)

    # Read, Discover, Observe

    def _get(self, request: Message, path: Path) -> Message:
        if request.uint(Option.ACCEPT) == content.LINK_FORMAT:
            self._must_exist(path)
            text = links.discover(self._model, path, self.observer.attributes.at, quoted=self._quoted)
            return self._content(text.encode(), content.LINK_FORMAT)
        response = self.read(request)
        if response.code == Code.CONTENT:
            self._observe(request, response, (path,))
        return response

    def _observe(self, request: Message, response: Message, paths: tuple[Path, ...]) -> None:
        observe = request.uint(Option.OBSERVE)
        if observe == 0:
            observation = self.observer.start(request, paths)
            response.add(Option.OBSERVE, observation.serial)
        elif observe == 1:
            self.observer.cancel(request.token, paths=paths)

    def read(self, request: Message) -> Message:
        """Answer a Read, and make the content of a notification, from the request alone."""
        try:
            if request.code == Code.FETCH:
                return self._read_composite(request)
            path = self._path(request)
            self._must_exist(path)
            resource = self._model.resource(path)
            if resource is not None and "R" not in resource.operations:
                raise RefusedError(Code.METHOD_NOT_ALLOWED)
            return self._render(request, path, list(self._model.leaves(path)))
        except RefusedError as refused:
            return answer(refused.code)

    def _render(self, request: Message, path: Path, leaves: list[Leaf]) -> Message:
        single = len(leaves) == 1 and leaves[0][0] == path
        formats = self._profile.single if single else self._profile.several
        accept = request.uint(Option.ACCEPT)
        if accept is not None and accept not in formats:
            return answer(self._profile.unknown_accept)
        chosen = formats[0] if accept is None else accept
        try:
            return self._content(content.encode(chosen, path, leaves), chosen)
        except content.UnsupportedFormatError:
            return answer(self._profile.unknown_accept)

    def _content(self, payload: bytes, content_format: int) -> Message:
        response = Message(Type.ACK, Code.CONTENT, payload=payload)
        if self._profile.states_format or content_format == content.LINK_FORMAT:
            response.add(Option.CONTENT_FORMAT, content_format)
        return response

    def _must_exist(self, path: Path) -> None:
        if not self._model.exists(path):
            raise RefusedError(Code.NOT_FOUND)

    def _composite(self, request: Message) -> Message:
        if request.code == Code.FETCH:
            response = self._read_composite(request)
            paths = tuple(senml.paths_of(request.payload, request.uint(Option.CONTENT_FORMAT)))
            self._observe(request, response, paths)
            return response
        values = content.decode(request.uint(Option.CONTENT_FORMAT) or 0, (), request.payload, self._model)
        self._apply(values)
        return answer(Code.CHANGED)

    def _read_composite(self, request: Message) -> Message:
        content_format = request.uint(Option.CONTENT_FORMAT)
        if content_format not in (content.SENML_CBOR, content.SENML_JSON):
            raise RefusedError(Code.UNSUPPORTED_CONTENT_FORMAT)
        paths = senml.paths_of(request.payload, content_format)
        found = [leaf for path in paths for leaf in self._model.leaves(path)]
        accept = request.uint(Option.ACCEPT)
        chosen = content_format if accept is None else accept
        if chosen not in (content.SENML_CBOR, content.SENML_JSON, content.LWM2M_CBOR):
            raise RefusedError(self._profile.unknown_accept)
        return self._content(content.encode(chosen, (), found), chosen)

    # Write, Write-Attributes, Execute, Create, Delete

    def _put(self, request: Message, path: Path) -> Message:
        self._must_exist(path)
        content_format = request.uint(Option.CONTENT_FORMAT)
        if content_format is None and not request.payload and request.query:
            leaves = list(self._model.leaves(path))
            numeric = len(path) >= 3 and all(leaf[1] in ("integer", "unsigned", "float", "time") for leaf in leaves)
            self.observer.attributes.write(path, request.query, numeric=numeric)
            self.observer.refresh()
            self._report("attributes", path=show(path), attributes=dict(self.observer.attributes.at(path)))
            return answer(Code.CHANGED)
        if len(path) < 2:
            raise RefusedError(Code.METHOD_NOT_ALLOWED)
        self._apply(self._decode(request, path), replace=path)
        return answer(Code.CHANGED)

    def _decode(self, request: Message, path: Path) -> list[tuple[Path, Scalar | None]]:
        content_format = request.uint(Option.CONTENT_FORMAT)
        if content_format is None:
            content_format = content.TEXT if len(path) >= 3 else content.OMA_TLV
        if content_format not in self._profile.writes:
            raise RefusedError(Code.UNSUPPORTED_CONTENT_FORMAT)
        return content.decode(content_format, path, request.payload, self._model)

    def _apply(self, values: list[tuple[Path, Scalar | None]], *, replace: Path | None = None) -> None:
        targets: dict[Path, Resource] = {}
        for path, _value in values:
            resource = self._model.resource(path)
            if resource is None:
                raise RefusedError(Code.NOT_FOUND)
            if "W" not in resource.operations:
                raise RefusedError(Code.METHOD_NOT_ALLOWED)
            if resource.multiple != (len(path) == 4):
                raise RefusedError(Code.BAD_REQUEST)
            targets[path[:3]] = resource
        for where, resource in targets.items():
            whole = replace is not None and len(replace) < 4
            if resource.multiple and (whole or not isinstance(resource.value, dict)):
                resource.value = {}
            self._assign(where, resource, values)
        if replace is not None and len(replace) == 3 and not values:
            emptied = self._model.resource(replace)
            if emptied is None or not emptied.multiple or "W" not in emptied.operations:
                raise RefusedError(Code.BAD_REQUEST)
            emptied.value = {}
            targets[replace] = emptied
        for where, resource in targets.items():
            self._report("written", path=show(where), value=resource.value)
            self._model.notify(where)

    @staticmethod
    def _assign(where: Path, resource: Resource, values: list[tuple[Path, Scalar | None]]) -> None:
        for path, value in values:
            if path[:3] != where or value is None:
                continue
            if isinstance(resource.value, dict):
                resource.value[path[3]] = value
            else:
                resource.value = value

    def _post(self, request: Message, path: Path) -> Message:
        if len(path) == 1:
            return self._create(request, path)
        self._must_exist(path)
        resource = self._model.resource(path)
        if resource is not None and len(path) == 3 and ("E" in resource.operations or not resource.multiple):
            return self._execute(request, path, resource)
        self._apply(self._decode(request, path))
        return answer(Code.CHANGED)

    def _execute(self, request: Message, path: Path, resource: Resource) -> Message:
        if "E" not in resource.operations:
            raise RefusedError(Code.METHOD_NOT_ALLOWED)
        arguments = request.payload.decode("utf-8", "replace")
        self._report("executed", path=show(path), arguments=arguments)
        if resource.execute is not None:
            resource.execute(arguments)
        return answer(Code.CHANGED)

    def _create(self, request: Message, path: Path) -> Message:
        object_id = path[0]
        if object_id not in self._model.objects:
            raise RefusedError(Code.NOT_FOUND)
        if object_id not in self._model.templates:
            raise RefusedError(Code.METHOD_NOT_ALLOWED)
        content_format = request.uint(Option.CONTENT_FORMAT)
        if content_format is not None and content_format not in self._profile.writes:
            raise RefusedError(Code.UNSUPPORTED_CONTENT_FORMAT)
        instance, values = None, []
        if request.payload:
            payload_format = content.OMA_TLV if content_format is None else content_format
            named = payload_format not in (content.OMA_TLV, content.OLD_TLV) or request.payload[0] >> 6 == 0
            # TLV of resources alone names no instance; any id serves to read it
            values = content.decode(payload_format, path if named else (object_id, 0), request.payload, self._model)
            found = {item[0][1] for item in values}
            if len(found) > 1:
                raise RefusedError(Code.BAD_REQUEST)
            instance = found.pop() if named and found else None
        try:
            created = self._model.create(object_id, instance)
        except ValueError:
            raise RefusedError(Code.BAD_REQUEST) from None
        for given, value in values:
            target = (object_id, created, *given[2:])
            resource = self._model.resource(target)
            if resource is not None and value is not None:
                self._assign(target[:3], resource, [(target, value)])
        self._report("created", path=show((object_id, created)))
        self._model.instances_were_changed()
        self._model.notify((object_id, created))
        response = answer(Code.CREATED)
        if instance is None:
            response.add(Option.LOCATION_PATH, str(object_id)).add(Option.LOCATION_PATH, str(created))
        return response

    def _delete(self, path: Path) -> Message:
        self._must_exist(path)
        if len(path) != 2 or path[0] in (1, 3) or path[0] not in self._model.templates:
            raise RefusedError(Code.METHOD_NOT_ALLOWED)
        del self._model.objects[path[0]][path[1]]
        self._report("deleted", path=show(path))
        self.observer.removed(path)
        self._model.instances_were_changed()
        self._model.notify(path)
        return answer(Code.DELETED)
