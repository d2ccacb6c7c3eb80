"""A TCP relay in front of a server that does something once so many bytes have passed: kill it, or hold everything."""

import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

CHUNK = 1 << 16


class Relay:
    """Passes bytes on. What it should do, once `limit` bytes have gone `up` or `down`, it does before passing more."""

    def __init__(self, port: int, *, up: int = 0, down: int = 0, then: Callable[[], object]) -> None:
        self._target = ("127.0.0.1", port)
        self._left = {"up": up, "down": down}
        self._then = then
        self._lock = threading.Lock()
        self.reached = threading.Event()

    def join(self, client: socket.socket) -> None:
        """Serve one connection until either side ends it."""
        with suppress(OSError), socket.create_connection(self._target) as server:
            back = threading.Thread(target=self._pump, args=(server, client, "down"), daemon=True)
            back.start()
            self._pump(client, server, "up")
            back.join()

    def _pump(self, source: socket.socket, target: socket.socket, way: str) -> None:
        with suppress(OSError):
            while chunk := source.recv(CHUNK):
                self._count(len(chunk), way)
                target.sendall(chunk)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _count(self, passed: int, way: str) -> None:
        """The first connection over the limit acts; the others wait for it."""
        with self._lock:
            if not self._left[way] or self.reached.is_set():
                return
            self._left[way] = max(0, self._left[way] - passed)
            if not self._left[way]:
                self.reached.set()
                self._then()


@contextmanager
def relayed(relay: Relay) -> Iterator[str]:
    """The address to talk to instead of the server's."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            relay.join(self.request)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False

    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@contextmanager
def held(port: int, *, up: int) -> Iterator[tuple[str, threading.Event, Callable[[], None]]]:
    """An address where everything stands still once so many bytes have gone up; whether it does; what lets it go on."""
    go = threading.Event()
    relay = Relay(port, up=up, then=go.wait)
    with relayed(relay) as address:
        try:
            yield address, relay.reached, go.set
        finally:
            go.set()
