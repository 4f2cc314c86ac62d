"""A network between DTLS clients and an endpoint that loses, repeats and reorders datagrams, in made-up time."""

import heapq
import itertools
import random
from collections.abc import Callable, Iterable

from custom_components.lwm2m.dtls.association import NetworkPath
from custom_components.lwm2m.dtls.endpoint import Endpoint
from custom_components.lwm2m.dtls.events import Data, Event, Refused
from custom_components.lwm2m.security.refusal import Reason
from tests.openssl_client import Client


class Network:
    """Carries datagrams between clients and one endpoint in made-up time; answers application data with an echo."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        loss: float = 0.0,
        repeat: float = 0.0,
        disorder: float = 0.0,
        seed: int = 1,
        watch: Callable[[Event], None] | None = None,
    ) -> None:
        self.endpoint = endpoint
        self.loss, self.repeat, self.disorder = loss, repeat, disorder
        self.random = random.Random(seed)
        self.now = 1000.0
        self.events: list[Event] = []
        self.clients: dict[NetworkPath, Client] = {}
        self.sent: dict[NetworkPath, int] = {}
        self.got: dict[NetworkPath, int] = {}
        self._order = itertools.count()
        self._queue: list[tuple[float, int, bytes, NetworkPath, bool]] = []
        self._watch = watch

    def add(self, client: Client, *, port: int | None = None, host: str = "127.0.0.1") -> NetworkPath:
        path = NetworkPath((host, 40000 + len(self.clients) if port is None else port), None)
        self.clients[path] = client
        client.start(self.now)
        self._collect(path)
        return path

    def _carry(self, datagram: bytes, path: NetworkPath, *, to_server: bool) -> None:
        if self.random.random() < self.loss:
            return
        for _ in range(1 + (self.random.random() < self.repeat)):
            late = self.random.random() * 0.3 if self.random.random() < self.disorder else 0.01
            heapq.heappush(self._queue, (self.now + late, next(self._order), datagram, path, to_server))

    def _collect(self, path: NetworkPath) -> None:
        client = self.clients[path]
        out, client.out = client.out, []
        for datagram in out:
            self._carry(datagram, path, to_server=True)

    def drain(self) -> None:
        for event in self.endpoint.events():
            self.events.append(event)
            if self._watch is not None:
                self._watch(event)
            if isinstance(event, Data):
                self.endpoint.send(event.association, b"echo:" + event.data, self.now)
        for datagram, path in self.endpoint.datagrams_to_send():
            self.sent[path] = self.sent.get(path, 0) + len(datagram)
            self._carry(datagram, path, to_server=False)

    def inject(self, datagram: bytes, path: NetworkPath) -> None:
        """A datagram from anyone, taken to the endpoint at once."""
        self.endpoint.receive_datagram(datagram, path, self.now)
        self.got[path] = self.got.get(path, 0) + len(datagram)
        self.drain()

    def run(self, seconds: float = 100.0, until: Callable[[], bool] | None = None) -> None:
        """Let time pass until nothing is left to happen, `until` says so, or `seconds` are over."""
        end = self.now + seconds
        while not (until is not None and until()):
            for path in self.clients:
                self._collect(path)
            self.drain()
            times = [client.next_timer for client in self.clients.values()]
            due = [
                when
                for when in (*times, self.endpoint.next_timer(), *(e[0] for e in self._queue[:1]))
                if when is not None
            ]
            if not due or min(due) > end:
                self.now = end if due else self.now
                return
            self.now = max(self.now, min(due))
            self._turn()

    def _turn(self) -> None:
        while self._queue and self._queue[0][0] <= self.now:
            _, _, datagram, path, to_server = heapq.heappop(self._queue)
            if to_server:
                self.inject(datagram, path)
            elif path in self.clients:
                self.clients[path].receive(datagram, self.now)
        for client in self.clients.values():
            if client.next_timer is not None and client.next_timer <= self.now:
                client.handle_timer(self.now)
        self.endpoint.handle_timer(self.now)

    def of[T](self, kind: type[T]) -> list[T]:
        return [event for event in self.events if isinstance(event, kind)]


def all_connected(clients: Iterable[Client]) -> Callable[[], bool]:
    clients = list(clients)
    return lambda: all(client.connected for client in clients)


def reasons(network: Network) -> list[Reason]:
    return [event.refusal.reason for event in network.of(Refused)]


def open_one(network: Network, client: Client, **where: object) -> NetworkPath:
    path = network.add(client, **where)  # type: ignore[arg-type]
    network.run(until=lambda: client.connected and any(a.path == path for a in network.endpoint.associations()))
    return path
