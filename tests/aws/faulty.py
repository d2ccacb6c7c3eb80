"""A reverse proxy in front of an S3 server: it keeps what is asked, and answers some of it itself, as S3 does."""

import http.client
import http.server
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

HANG = 0
"""A status: the request gets no answer."""

_XML = '<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>{code}</Message></Error>'
_CODES = {503: "SlowDown", 403: "AccessDenied", 500: "InternalError"}
_LENGTHS = ("content-length", "transfer-encoding", "connection")


@dataclass
class Proxy:
    """asked: verb and path of every request; fault: the status with which to answer one, None to pass it on."""

    fault: Callable[[str, str], int | None] = lambda verb, path: None
    url: str = ""
    asked: list[tuple[str, str]] = field(default_factory=list)

    def count(self, *verbs: str) -> int:
        return sum(verb in verbs for verb, _ in self.asked)


@contextmanager
def proxied(target: str) -> Iterator[Proxy]:
    """A proxy of the server at this URL."""
    proxy, over, host = Proxy(), threading.Event(), target.removeprefix("http://")

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            proxy.asked.append((self.command, self.path))
            status = proxy.fault(self.command, self.path)
            if status == HANG:
                over.wait(30)
                self.close_connection = True
            elif status:
                self._answer(status, {}, _XML.format(code=_CODES[status]).encode())
            else:
                connection = http.client.HTTPConnection(host, timeout=30)
                connection.request(self.command, self.path, body, dict(self.headers))
                answer = connection.getresponse()
                self._answer(answer.status, dict(answer.getheaders()), answer.read())
                connection.close()

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _serve  # noqa: N815

        def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response_only(status)
            for name, value in headers.items():
                if name.lower() not in _LENGTHS:
                    self.send_header(name, value)
            told = headers.get("Content-Length", headers.get("content-length", "0"))
            self.send_header("Content-Length", told if self.command == "HEAD" else str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        proxy.url = f"http://127.0.0.1:{server.server_address[1]}"
        yield proxy
        over.set()
        server.shutdown()
