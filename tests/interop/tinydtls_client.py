"""A client on DTLSSocket: `tinydtls_client.py PORT IDENTITY HEXKEY`; sends "hi" and prints what comes back."""

import select
import socket
import sys
import time

from DTLSSocket import dtls

LOCAL = "::ffff:127.0.0.1"
CONNECTED = 0x01DE


def main(port: int, identity: bytes, key: bytes) -> None:
    """One handshake, one message; the connection object is kept, since its end sends close_notify."""
    received: list[bytes] = []
    events: list[int] = []
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as udp:
        udp.bind((LOCAL, 0))

        def write(address: tuple[str, int], data: bytes) -> int:
            return udp.sendto(data, address)

        def read(address: tuple[str, int], data: bytes) -> int:
            received.append(data)
            return len(data)

        engine = dtls.DTLS(
            read=read,
            write=write,
            event=lambda level, code: events.append(code),
            pskId=identity,
            pskStore={identity: key},
        )
        dtls.setLogLevel(dtls.DTLS_LOG_EMERG)
        connection = engine.connect(LOCAL, port)
        said, end = False, time.monotonic() + 15
        while not received and time.monotonic() < end:
            if CONNECTED in events and not said:
                engine.write(connection, b"hi")
                said = True
            if select.select([udp], [], [], 0.5)[0]:
                engine.handleMessageAddr(LOCAL, port, udp.recv(2048))
            else:
                engine.checkRetransmit()
        print(*received, events)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2].encode(), bytes.fromhex(sys.argv[3]))
