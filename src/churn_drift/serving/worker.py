"""gunicorn's threaded worker, made patient with slow clients: none of them holds a thread before it may ask.

gunicorn gives a connection to a thread as soon as its first byte is there, and that thread then waits for the rest as
long as it takes. Here the main thread collects each request's header, for as many clients as there are; a thread has
it once it is whole. What a thread waits for, a body to arrive or an answer to be taken, has an end in time. A
connection is closed without waiting in the main thread, and the client may first send what it has begun to send: who
is cut off while sending never reads the answer.
"""

import contextlib
import errno
import secrets
import socket
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from functools import partial
from http import HTTPStatus
from selectors import EVENT_READ
from typing import Any

from gunicorn.glogging import Logger  # type: ignore[import-untyped]
from gunicorn.http import get_parser  # type: ignore[import-untyped]
from gunicorn.http.body import Body, LengthReader  # type: ignore[import-untyped]
from gunicorn.http.errors import LimitRequestHeaders, LimitRequestLine, ParseException  # type: ignore[import-untyped]
from gunicorn.workers.gthread import TConn, ThreadWorker  # type: ignore[import-untyped]

from churn_drift.serving import headers, problems
from churn_drift.serving.problems import Problem, problem

_PIECE = 64 * 1024
_MOST_HEADER = 64 * 1024
_END = b"\r\n\r\n"
_BODILESS = ("204", "304")
_LEAVE = 2.0  # seconds for which a client that has its answer may be silent before its connection is closed
_LOOK = 0.5  # seconds between two looks at the time


class GunicornLog(Logger):  # type: ignore[misc]
    """gunicorn's lines go where all others go, see `logs.start`."""

    def setup(self, cfg: Any) -> None:
        """Change nothing about the handlers that are there."""
        self.cfg = cfg
        self.error_log.propagate = True


class Connection(TConn):  # type: ignore[misc]
    """A connection as this worker sees it.

    heard    bytes that are not parsed yet
    until    when the rest of a request must be there, of the clock time.monotonic
    leaving  whether the last answer has been sent
    """

    def __init__(self, cfg: Any, sock: socket.socket, client: Any, server: Any) -> None:
        super().__init__(cfg, sock, client, server)
        self.heard = bytearray()
        self.until = 0.0
        self.leaving = False
        self.data_ready = True
        self.parser = get_parser(cfg, self, client)

    def recv(self, size: int) -> bytes:
        """What the parser reads. Raises TimeoutError when the time is up."""
        if self.heard:
            piece, self.heard = bytes(self.heard), bytearray()
            return piece
        rest = _rest(self.until)
        got: bytes
        try:
            got = self.sock.recv(max(size, _PIECE), socket.MSG_DONTWAIT)
        except BlockingIOError:
            self.sock.settimeout(rest)
            got = self.sock.recv(max(size, _PIECE))
        return got

    def take_back(self) -> None:
        """Bytes that the parser has read and not used: the beginning of the next request."""
        self.heard[:0] = self.parser.unreader.take_buffered()

    def whole(self) -> bool:
        """Whether a header is there to its end."""
        return _END in self.heard


class Outgoing:
    """A client's socket, for one answer.

    seconds  in which the client must take all of it
    whole    whether the header waits for the beginning of the body, to be sent with it
    """

    def __init__(self, sock: socket.socket, *, seconds: float, whole: bool) -> None:
        self._sock, self._until = sock, time.monotonic() + seconds
        self._waits, self._held = whole, b""

    def sendall(self, content: bytes) -> None:
        """Send the next piece. Raises TimeoutError when the time is up."""
        if self._waits:
            self._waits, self._held = False, content
            return
        content, self._held = self._held + content, b""
        try:
            sent = self._sock.send(content, socket.MSG_DONTWAIT)
        except BlockingIOError:
            sent = 0
        if sent < len(content):
            self._sock.settimeout(_rest(self._until))
            self._sock.sendall(memoryview(content)[sent:])


class PatientWorker(ThreadWorker):  # type: ignore[misc]
    """See above. `patient(seconds)` makes the class that gunicorn is given."""

    seconds: float
    """That a request may take to arrive, header and body each; its answer may take twice that to be taken."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._waiting: dict[Connection, float] = {}
        self._next = 0.0

    # The main thread: connections that no thread has.

    def accept(self, listener: socket.socket) -> None:
        """A client has come; it gets a thread when it has sent a header."""
        try:
            sock, client = listener.accept()
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.ECONNABORTED):
                return
            raise
        self.nr_conns += 1
        connection = Connection(self.cfg, sock, client, listener.getsockname())
        self._wait(connection, self._hear, seconds=self.seconds)

    def finish_request(self, connection: Connection, done: "Future[bool]") -> None:
        """A thread has given a connection back: to be kept, or to be closed."""
        keep = not done.cancelled() and done.exception() is None and done.result()
        if not (keep and self.alive):
            self._close(connection)
            return
        connection.take_back()
        if connection.whole():
            self.enqueue_req(connection)
        else:
            idle = self.seconds if connection.heard else self.cfg.keepalive
            self._wait(connection, self._hear, seconds=idle)

    def murder_keepalived(self) -> None:
        """Close what has been waited for long enough; at the end of the worker, whatever has not begun to ask."""
        now = time.monotonic()
        if self.alive and now < self._next:
            return
        self._next = now + _LOOK
        for connection, until in list(self._waiting.items()):
            if now > until:
                self._give_up(connection)
            elif not (self.alive or connection.heard or connection.leaving):
                self._drop(connection)

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """Wake up often enough to keep the time."""
        super().wait_for_and_dispatch_events(min(timeout, _LOOK))

    def _wait(self, connection: Connection, then: Callable[[Connection], None], *, seconds: float) -> None:
        connection.sock.setblocking(False)
        self._waiting[connection] = time.monotonic() + seconds
        self.poller.register(connection.sock, EVENT_READ, lambda _: then(connection))

    def _hear(self, connection: Connection) -> None:
        """More of a header."""
        piece = _received(connection.sock)
        if piece is None:
            return
        if not piece:
            self._drop(connection)
            return
        if not connection.heard:
            self._waiting[connection] = time.monotonic() + self.seconds
        connection.heard += piece
        if connection.whole():
            self._forget(connection)
            self.enqueue_req(connection)
        elif len(connection.heard) > _MOST_HEADER:
            self._forget(connection)
            self._refuse(connection.sock, _too_large())
            self._close(connection)

    def _close(self, connection: Connection) -> None:
        """Say that no more comes, then wait until the client has heard it, without holding a thread."""
        try:
            connection.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._part(connection)
            return
        connection.leaving, connection.until = True, time.monotonic() + self.seconds
        self._wait(connection, self._outlast, seconds=_LEAVE)

    def _outlast(self, connection: Connection) -> None:
        """A client that still sends although it has its answer."""
        piece = _received(connection.sock)
        if piece is None:
            return
        if not piece:
            self._drop(connection)
        elif self.alive:
            self._waiting[connection] = min(time.monotonic() + _LEAVE, connection.until)

    def _give_up(self, connection: Connection) -> None:
        if connection.heard and not connection.leaving:
            self._forget(connection)
            self._refuse(connection.sock, problem("too-slow", f"no whole header within {self.seconds:g} seconds"))
            self._close(connection)
        else:
            self._drop(connection)

    def _forget(self, connection: Connection) -> None:
        self.poller.unregister(connection.sock)
        del self._waiting[connection]

    def _drop(self, connection: Connection) -> None:
        self._forget(connection)
        self._part(connection)

    def _part(self, connection: Connection) -> None:
        self.nr_conns -= 1
        connection.close()

    # A thread of the pool: one request.

    def load_wsgi(self) -> None:
        """The application, between the client and its time."""
        super().load_wsgi()
        application: Any = self.wsgi
        self.wsgi: Any = partial(self._answer, application)

    def handle(self, connection: Connection) -> bool:
        """One request whose header is there."""
        connection.until = time.monotonic() + self.seconds
        kept: bool = super().handle(connection)
        return kept

    def handle_request(self, request: Any, connection: Connection) -> bool:
        """Answer it; whether the connection may be kept."""
        try:
            kept: bool = super().handle_request(request, connection)
        except TimeoutError:
            self.log.info("a client did not take its answer within %g seconds", 2 * self.seconds)
            return False
        return kept

    def handle_error(self, _request: Any, client: socket.socket, _address: Any, error: BaseException) -> None:
        """Refuse what is no HTTP. Neither the answer nor the log repeats it."""
        if isinstance(error, LimitRequestHeaders | LimitRequestLine):
            found = _too_large()
        elif isinstance(error, ParseException):
            found = problem("bad-request", "this is no HTTP/1.1 request that this server understands")
        else:
            self.log.error("a request failed outside of the application", exc_info=error)
            found = problem("failed", "the server failed; its log has the reason")
        self._refuse(client, found, because=type(error).__name__)

    def _refuse(self, client: socket.socket, found: Problem, *, because: str = "") -> None:
        """Answer without the application. A client that takes nothing is not waited for."""
        name = secrets.token_hex(8)
        self.log.info("request %s refused: %s", name, because or found.kind.name)
        content = problems.document(found, request_id=name)
        told = headers.SECURITY | {
            "Connection": "close",
            "Content-Type": problems.MEDIA_TYPE,
            "Content-Length": str(len(content)),
            "X-Request-Id": name,
        }
        head = f"HTTP/1.1 {found.kind.status} {HTTPStatus(found.kind.status).phrase}\r\n" + "".join(
            f"{name}: {value}\r\n" for name, value in told.items()
        )
        with contextlib.suppress(OSError):
            client.settimeout(0)
            client.sendall(f"{head}\r\n".encode() + content)

    def _answer(self, application: Any, environ: Mapping[str, Any], start_response: Any) -> Iterable[bytes]:
        response = start_response.__self__

        def begin(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], None]:
            if _unread(environ["wsgi.input"]):
                response.force_close()
            write: Callable[[bytes], None] = start_response(status, headers, exc_info)
            follows = response.response_length and environ["REQUEST_METHOD"] != "HEAD" and status[:3] not in _BODILESS
            response.sock = Outgoing(response.sock, seconds=2 * self.seconds, whole=bool(follows))
            return write

        answer: Iterable[bytes] = application(environ, begin)
        return answer


def patient(seconds: float) -> type[PatientWorker]:
    """The worker class whose clients have so many seconds for each request."""
    return type("PatientWorker", (PatientWorker,), {"seconds": seconds})


def _rest(until: float) -> float:
    """Seconds until a time of the clock time.monotonic. Raises TimeoutError where it has passed."""
    rest = until - time.monotonic()
    if rest <= 0:
        raise TimeoutError
    return rest


def _received(sock: socket.socket) -> bytes | None:
    """What has come; empty at the connection's end, None where it was a false alarm."""
    try:
        return sock.recv(_PIECE)
    except BlockingIOError:
        return None
    except OSError:
        return b""


def _unread(body: Body) -> bool:
    """Whether some of a request's body is still to come."""
    reader = body.reader
    return reader.length > 0 if isinstance(reader, LengthReader) else reader.parser is not None


def _too_large() -> Problem:
    return problem("header-too-large", f"the request's header is larger than {_MOST_HEADER:,} bytes, or one field is")
