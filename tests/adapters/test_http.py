"""The HTTP adapter against a real server: outcomes, ambiguity, the deadline, TLS."""

import gzip
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tests.adapters.blocking import BlockingApi
from tests.brokers.certificates import write_certificates
from worker.adapters.http import CartApi
from worker.adapters.http.answer import LONGEST_BODY
from worker.core.outcome import Result
from worker.sandbox.api import Sandbox

BODY = (
    b"id=1&currency=EUR&visit_id=3617898c651df0f8617f70a0&is_logged_in=0&products%5B0%5D%5Bid%5D=1"
    b"&products%5B0%5D%5Bname%5D=Mug&products%5B0%5D%5Bquantity%5D=1&products%5B0%5D%5Bprice%5D=5&key=sk_fake"
)
PATH = "/api/customer-cart"
DEADLINE = 0.6
ACCEPTED = b'{"status":"success"}'


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(keys={"sk_fake"}) as running:
        yield running


@pytest.fixture
def api(sandbox: Sandbox) -> Iterator[BlockingApi]:
    with BlockingApi(sandbox.url, timeout=DEADLINE) as client:
        yield client


def test_an_accepted_cart_is_delivered(api: BlockingApi, sandbox: Sandbox) -> None:
    assert api.post(PATH, BODY).result is Result.DELIVERED
    assert sandbox.records()[0].params["products"][0]["name"] == "Mug"


@pytest.mark.parametrize(
    ("fault", "reason", "ambiguous"),
    [
        ({"hang": True}, "timeout", True),
        ({"latency": 5000}, "timeout", True),
        ({"drip": 100}, "timeout", True),
        ({"reset": "before"}, "connection", True),
        ({"reset": "after"}, "connection", True),
        ({"truncated": True}, "connection", True),
        ({"garbage": True}, "bad_response", False),
        ({"html": True}, "bad_response", False),
        ({"huge": 64}, "bad_response", False),
        ({"status": 502}, "http_5xx", True),
        ({"status": 504}, "http_5xx", True),
        ({"status": 429}, "http_429", False),
        ({"status": 401}, "http_other", False),
        ({"redirect": True}, "http_other", False),
    ],
)
def test_what_the_network_does_is_an_outcome(
    api: BlockingApi, sandbox: Sandbox, fault: dict[str, Any], reason: str, ambiguous: bool
) -> None:
    """Each fault has its reason; a request that was written and not answered is ambiguous. All within the deadline."""
    sandbox.set_faults([fault])
    started = time.monotonic()
    outcome = api.post(PATH, BODY)
    assert time.monotonic() - started < DEADLINE + 0.4
    assert (outcome.result, outcome.reason, outcome.ambiguous) == (Result.RETRYABLE, reason, ambiguous)
    sandbox.clear_faults()
    assert api.post(PATH, BODY).result is Result.DELIVERED, "the client must go on working"


def test_redirects_are_not_followed(api: BlockingApi, sandbox: Sandbox) -> None:
    sandbox.set_faults([{"redirect": f"{sandbox.url}/login"}])
    assert api.post(PATH, BODY).message == "HTTP 302"
    assert sandbox.state().elsewhere == 0


def test_retry_after_is_told(api: BlockingApi, sandbox: Sandbox) -> None:
    sandbox.set_faults([{"status": 429, "headers": {"Retry-After": "7"}}])
    assert api.post(PATH, BODY).retry_after == 7.0


class Answers(BaseHTTPRequestHandler):
    """Says what `said` has, over one connection as long as the client keeps it."""

    protocol_version = "HTTP/1.1"
    said: ClassVar[tuple[int, dict[str, str], bytes]]
    connections: ClassVar[list[Any]]

    def setup(self) -> None:
        self.connections.append(self)
        super().setup()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        status, headers, body = self.said
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Nothing."""


@contextmanager
def answering(headers: dict[str, str], body: bytes, status: int = 200) -> Iterator[tuple[BlockingApi, list[Any]]]:
    """An API that says this, with the connections that were made to it."""
    connections: list[Any] = []
    handler = type("Says", (Answers,), {"said": (status, headers, body), "connections": connections})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            with BlockingApi(f"http://127.0.0.1:{server.server_port}", timeout=DEADLINE) as api:
                yield api, connections
        finally:
            server.shutdown()
            thread.join()


CHUNKED = {"Transfer-Encoding": "chunked"}


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Length": str(len(ACCEPTED))},
        CHUNKED,
        CHUNKED | {"Content-Length": "5"},
    ],
)
def test_an_answer_is_read_to_its_end_wherever_that_is_told(headers: dict[str, str]) -> None:
    """So the next request can take the same connection; now and then it comes before the library has put that back."""
    chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (len(ACCEPTED), ACCEPTED)
    with answering(headers, chunks if CHUNKED.items() <= headers.items() else ACCEPTED) as (api, connections):
        assert [api.post(PATH, BODY).result for _ in range(20)] == [Result.DELIVERED] * 20
    assert len(connections) <= 5


@pytest.mark.parametrize(("beyond", "reason"), [(b"", ""), (b"x" * 20 * LONGEST_BODY, "bad_response")])
def test_a_packed_answer_is_unpacked_as_far_as_any_answer_goes(beyond: bytes, reason: str) -> None:
    """Its announced length is that of the packed one: to take it for the other's would cut what was accepted."""
    packed = gzip.compress(ACCEPTED + beyond)
    with answering({"Content-Encoding": "gzip", "Content-Length": str(len(packed))}, packed) as (api, _):
        assert api.post(PATH, BODY).reason == reason


@pytest.mark.parametrize("length", ["9" * 5000, "0" * 5000 + "1", "-1", "five", "1, 1"])
@pytest.mark.parametrize("status", [200, 204, 304])
def test_a_length_that_is_none_is_an_outcome_too(status: int, length: str) -> None:
    """The library reads none where an answer has no body, so that anything comes through."""
    with answering({"Content-Length": length}, b"", status) as (api, _):
        assert api.post(PATH, BODY).result is Result.RETRYABLE


def test_an_empty_answer_is_a_bad_response() -> None:
    with answering({"Content-Length": "0"}, b"") as (api, _):
        assert api.post(PATH, BODY).reason == "bad_response"


def test_nothing_was_written_where_nobody_listens() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with BlockingApi(f"http://127.0.0.1:{port}", timeout=DEADLINE) as api:
        outcome = api.post(PATH, BODY)
    assert (outcome.reason, outcome.ambiguous) == ("connection", False)
    assert "refused" in outcome.message
    assert "sk_fake" not in repr(outcome)


def test_a_certificate_is_verified_and_an_own_authority_can_be_named(tmp_path: Path) -> None:
    certificates = write_certificates(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.broker, password=None)
    with Sandbox(keys={"sk_fake"}, ssl=context) as sandbox:
        with BlockingApi(sandbox.url, timeout=2) as api:
            outcome = api.post(PATH, BODY)
            assert (outcome.result, outcome.reason, outcome.ambiguous) == (Result.RETRYABLE, "connection", False)
        with BlockingApi(sandbox.url, timeout=2, ca_file=certificates.ca) as api:
            assert api.post(PATH, BODY).result is Result.DELIVERED
        assert len(sandbox.requests()) == 1


def test_a_file_without_a_certificate_is_said(tmp_path: Path) -> None:
    empty = tmp_path / "ca.pem"
    empty.write_text("no certificate\n")
    with pytest.raises(ValueError, match=r"ca\.pem"):
        CartApi("https://127.0.0.1:1", timeout=1, ca_file=empty)


@pytest.mark.parametrize("value", ["bientôt", "\xf4", "soon", ""])
def test_an_unreadable_retry_after_is_none(value: str) -> None:
    """A header that no standard allows is no reason to give up the answer, let alone the worker."""
    answer = b"HTTP/1.1 503 x\r\nRetry-After: " + value.encode("latin-1") + b"\r\nContent-Length: 0\r\n\r\n"
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection = server.accept()[0]
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        with BlockingApi(f"http://127.0.0.1:{server.getsockname()[1]}", timeout=5) as api:
            outcome = api.post(PATH, BODY)
        thread.join(5)
    assert (outcome.reason, outcome.retry_after) == ("http_5xx", None)


def test_the_key_is_in_the_body_and_nowhere_else() -> None:
    """Neither in the address nor in a header, where servers and proxies would write it down."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        received = bytearray()

        def serve() -> None:
            connection = server.accept()[0]
            with connection:
                while not received.endswith(b"key=sk_fake"):
                    received.extend(connection.recv(65536))
                connection.sendall(b"HTTP/1.1 503 x\r\nContent-Length: 0\r\n\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        with BlockingApi(f"http://127.0.0.1:{server.getsockname()[1]}", timeout=5) as api:
            api.post(PATH, BODY)
        thread.join(5)
    head, _, body = bytes(received).partition(b"\r\n\r\n")
    assert body == BODY
    assert b"sk_fake" not in head
