"""Clients that are slow, silent, rude or gone: they get their refusal, and nobody else waits for them."""

import contextlib
import http.client
import json
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from churn_drift.model.bundle import Bundle, save
from churn_drift.serving.worker import Outgoing
from tests.serving.conftest import Server, command, end, until
from tests.serving.test_reload import CRAFTS, get

THREADS = 2
SECONDS = 2

SMALL_APP = """
import time
from gunicorn.app.base import BaseApplication
from churn_drift.serving import logs
from churn_drift.serving.worker import GunicornLog, patient

def app(environ, start_response):
    if environ["PATH_INFO"] == "/long":
        time.sleep(1.5)
    content = b"x" * (64 * 2**20 if environ["PATH_INFO"] == "/large" else 1)
    start_response("200 OK", [("Content-Length", str(len(content)))])
    return [content]

class Small(BaseApplication):
    def load_config(self):
        options = dict(bind="127.0.0.1:0", threads=2, worker_class=patient(1), logger_class=GunicornLog, keepalive=75)
        for name, value in (options | dict(control_socket_disable=True)).items():
            self.cfg.set(name, value)

    def load(self):
        return app

logs.start(style="json")
Small().run()
"""


@pytest.fixture(scope="module")
def server(bundle: Bundle, repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """With two threads, and two seconds for a request to arrive."""
    folder = tmp_path_factory.mktemp("slow")
    (folder / "serve-model.py").write_bytes((repository / "serve-model.py").read_bytes())
    save(bundle, folder / "models/champion")
    few = {"WEB_CONCURRENCY": "1", "SERVE_THREADS": str(THREADS), "SERVE_READ_SECONDS": str(SECONDS)}
    started = Server(command(folder=folder, **few))
    yield started
    end(started.process)


@pytest.fixture(scope="module")
def small() -> Iterator[Server]:
    """The same worker under an application that takes its time or says a lot."""
    started = Server(subprocess.Popen([sys.executable, "-c", SMALL_APP], stderr=subprocess.PIPE, text=True))
    yield started
    end(started.process)


@contextlib.contextmanager
def connected(server: Server, count: int = 1) -> Iterator[list[socket.socket]]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(socket.create_connection(("127.0.0.1", server.port), 30)) for _ in range(count)]


def drip(clients: Sequence[socket.socket], piece: bytes) -> Callable[[], bool]:
    """Send a little to each, whenever it is called; whether none of them takes any more."""
    left = list(clients)

    def more() -> bool:
        for client in list(left):
            try:
                client.send(piece)
            except OSError:
                left.remove(client)
        return not left

    return more


def answered(client: socket.socket) -> tuple[int, dict[str, object]]:
    """The status and the document, of which the client may have read nothing so far."""
    answer = http.client.HTTPResponse(client)
    answer.begin()
    return answer.status, json.loads(answer.read())


def post(path: str, length: int) -> bytes:
    fields = ("Host: localhost", "Content-Type: application/json", f"Content-Length: {length}")
    return "\r\n".join((f"POST {path} HTTP/1.1", *fields, "\r\n")).encode()


def test_headers_that_drip_hold_up_nobody_and_are_refused_in_time(server: Server) -> None:
    with connected(server, 5 * THREADS) as clients:
        more = drip(clients, b"X")
        for client in clients:
            client.send(b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
        assert "alive" in get(server, "/health")
        assert not more()
        assert "ready" in get(server, "/ready")
        for client in clients:
            client.setblocking(True)
        assert until(lambda: more() or "refused: too-slow" in "".join(server.said), seconds=20)
        status, found = answered(clients[0])
        assert (status, found["type"]) == (408, "/docs#too-slow")


def test_clients_that_say_nothing_hold_up_nobody_and_are_let_go(server: Server) -> None:
    with connected(server, 5 * THREADS) as clients:
        assert "alive" in get(server, "/health")
        assert [client.recv(1) for client in clients] == [b""] * len(clients)


def test_a_body_that_drips_is_refused_in_time_while_others_are_answered(server: Server) -> None:
    with connected(server) as (client,):
        client.send(post("/predict", 1000))
        more = drip([client], b" ")
        more()
        assert "alive" in get(server, "/health")
        client.settimeout(0.05)
        assert until(lambda: more() or arrived(client), seconds=20)
        client.settimeout(30)
        status, found = answered(client)
        assert (status, found["type"]) == (408, "/docs#too-slow")


def arrived(client: socket.socket) -> bool:
    try:
        return bool(client.recv(1, socket.MSG_PEEK))
    except TimeoutError:
        return False


def test_a_body_in_chunks_that_stops_or_breaks_off_is_refused(server: Server) -> None:
    head = post("/predict", 0).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
    with connected(server, 3) as clients:
        for client, content in zip(clients, (b"5\r\n", b"5\r\n{", b"no number\r\n"), strict=True):
            client.send(head + content)
        clients[1].shutdown(socket.SHUT_WR)
        assert [answered(client)[1]["type"] for client in clients] == [
            "/docs#too-slow",
            "/docs#malformed",
            "/docs#malformed",
        ]


def test_a_refused_body_that_never_comes_holds_no_thread(server: Server) -> None:
    with connected(server, 5 * THREADS) as clients:
        for client in clients:
            client.send(post("/nowhere", 10**9))
        assert [answered(client)[0] for client in clients] == [404] * len(clients)
        assert "alive" in get(server, "/health")


def test_who_sends_ten_megabytes_to_a_refusal_still_reads_it(server: Server) -> None:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)) as connection:
        connection.request("POST", "/nowhere", body=b" " * 10_000_000)
        answer = connection.getresponse()
        assert (answer.status, answer.headers["Connection"]) == (404, "close")


def test_a_client_that_is_gone_leaves_the_server_well(server: Server) -> None:
    with connected(server, 4 * THREADS) as clients:
        for client in clients:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            client.send(post("/predict", 1000) + b"{")
    assert "alive" in get(server, "/health")
    assert not [line for line in server.said if '"level":"error"' in line]


def test_a_connection_is_kept_and_each_of_its_requests_has_its_own_time(server: Server) -> None:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)) as connection:
        seen = set()
        end = time.monotonic() + 1.25 * SECONDS
        while time.monotonic() < end:
            connection.request("POST", "/predict", body=CRAFTS, headers={"Content-Type": "application/json"})
            answer = connection.getresponse()
            answer.read()
            seen.add((answer.status, connection.sock and connection.sock.getsockname()))
        assert len(seen) == 1
        assert next(iter(seen))[0] == 200


def test_requests_that_are_sent_at_once_are_answered_in_turn(server: Server) -> None:
    one = post("/predict", len(CRAFTS)) + CRAFTS.encode()
    with connected(server) as (client,):
        client.send(one + one[:30])
        client.send(one[30:] + one)
        said = b""
        while said.count(b"HTTP/1.1 200 OK") < 3 and (piece := client.recv(65536)):
            said += piece
    assert said.count(b"HTTP/1.1 200 OK") == 3


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (b"NO HTTP AT ALL SECRET\r\n\r\n", 400),
        (b"\r\n\r\n", 400),
        (b"GET /health HTTP/1.1\r\nHost: a\r\nSECRET\r\n\r\n", 400),
        (b"GET /health HTTP/9.9\r\nX: SECRET\r\n\r\n", 400),
        (b"GET /" + b"SECRET" * 1000 + b" HTTP/1.1\r\n\r\n", 431),
        (b"GET /health HTTP/1.1\r\nX: " + b"SECRET" * 5000 + b"\r\n\r\n", 431),
        (b"GET /health HTTP/1.1\r\nX: " + b"SECRET" * 20_000, 431),
        (b"POST /predict HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: SECRET\r\n\r\n{}", 400),
    ],
)
def test_what_is_no_http_is_a_problem_too_and_repeated_nowhere(server: Server, said: bytes, status: int) -> None:
    with connected(server) as (client,):
        client.sendall(said)
        content = b"".join(iter(lambda: client.recv(65536), b""))
    head, _, document = content.partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"Content-Type: application/problem+json" in head
    assert b"X-Content-Type-Options: nosniff" in head
    assert json.loads(document)["status"] == status
    assert json.loads(document)["instance"].encode() in head
    assert b"SECRET" not in content
    assert "SECRET" not in "".join(server.said)


def test_an_answer_that_takes_longer_than_a_request_may_is_not_cut_off(small: Server) -> None:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", small.port, timeout=30)) as connection:
        for path in ("/long", "/"):
            connection.request("GET", path)
            assert connection.getresponse().read() == b"x"


def test_clients_that_do_not_take_their_answers_are_let_go(small: Server) -> None:
    with connected(small, THREADS) as clients:
        for client in clients:
            client.send(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert get(small, "/") == "x"
        assert until(lambda: "".join(small.said).count("a client did not take its answer") == THREADS, seconds=20)


def test_a_connection_that_is_only_kept_does_not_delay_the_end(small: Server) -> None:
    with connected(small) as (client,):
        client.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        said = client.recv(65536)
        while not said.endswith(b"\r\n\r\nx"):
            said += client.recv(65536)
        small.process.send_signal(signal.SIGTERM)
        assert small.process.wait(15) == 0
        assert client.recv(1) == b""
        assert not re.search("Traceback|raised", "".join(small.said))


def test_an_answers_header_goes_with_the_beginning_of_its_body() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)  # keeps apart what is sent apart
    with ours, theirs:
        out = Outgoing(ours, seconds=5, whole=True)
        for piece in (b"header ", b"begin", b"end"):
            out.sendall(piece)
        assert (theirs.recv(100), theirs.recv(100)) == (b"header begin", b"end")
        Outgoing(ours, seconds=5, whole=False).sendall(b"header alone")
        assert theirs.recv(100) == b"header alone"


def test_an_answer_that_is_not_taken_in_its_time_is_given_up() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(TimeoutError):
        Outgoing(ours, seconds=0.1, whole=False).sendall(bytes(2**24))


def test_an_answer_larger_than_the_socket_holds_arrives_whole() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        taking = subprocess.Popen(["wc", "-c"], stdin=theirs, stdout=subprocess.PIPE, text=True)
        theirs.close()
        Outgoing(ours, seconds=60, whole=False).sendall(bytes(2**24))
        ours.close()
        assert taking.communicate()[0].strip() == str(2**24)
