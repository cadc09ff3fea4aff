"""What no well-behaved server, network or proxy does is an outcome for the HTTP client, and leaves nothing over."""

import asyncio
import os
import socket
import ssl
import struct
import threading
import time
from base64 import b64encode
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import uvloop

from tests.adapters.blocking import BlockingApi
from tests.adapters.scripted import ACCEPTED, always, request, saying, serving
from tests.brokers.certificates import write_certificates
from tests.brokers.tools import wait_until
from worker.adapters.http import CartApi, client, dialer
from worker.adapters.http.connection import Connection
from worker.core.outcome import DELIVERED, Outcome, Result

PATH, BODY = "/api/customer-cart", b"id=1&key=sk_fake"
LARGE = b"x" * 10_000_000
HEAD = b"HTTP/1.1 200 OK\r\n"


def failed(outcome: Outcome) -> tuple[str, bool]:
    assert outcome.result is Result.RETRYABLE
    return outcome.reason, outcome.ambiguous


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x15\x03\x03\x00\x02\x02\x50",
        HEAD,
        HEAD + b"Content-Length: 21\r\n\r\n" + ACCEPTED[-20:],
        HEAD + b"Content-Length: 1, 2\r\n\r\n" + ACCEPTED[-20:],
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{",
        HEAD + b"X: y\r\n" * 60_000,
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
    ],
)
def test_what_is_no_answer_is_a_failed_connection_and_the_next_request_has_another(answer: bytes) -> None:
    with serving(saying(answer)) as server, BlockingApi(server.url, timeout=5) as api:
        assert failed(api.post(PATH, BODY)) == ("connection", True)
        assert failed(api.post(PATH, BODY)) == ("connection", True)
        assert server.accepted == 2


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 503 x\r\nContent-Length: 0\r\n\r\n"])
@pytest.mark.parametrize("with_tls", [False, True])
def test_a_connection_that_is_closed_as_soon_as_it_is_open_is_a_failed_one(
    said: bytes, with_tls: bool, tmp_path: Path
) -> None:
    """As a proxy does with nobody behind it: the loop may hear of both at once."""
    certificates = write_certificates(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.broker, password=None)
    with serving(lambda peer: peer.sendall(said), context if with_tls else None) as server:
        url = f"https://localhost:{server.port}" if with_tls else server.url
        with BlockingApi(url, timeout=5, ca_file=certificates.ca) as api:
            for _ in range(100):
                assert api.post(PATH, BODY).result is Result.RETRYABLE


def test_a_handshake_that_fails_closes_no_descriptor_of_others() -> None:
    """The loop closes what it was given; a second time would hit whoever has that number by then, as Kafka's client."""
    failures: list[OSError] = []
    done = threading.Event()

    def others() -> None:
        while not done.is_set():
            try:
                one, other = socket.socketpair()
                with one, other:
                    done.wait(0.0005)
                    os.fstat(one.fileno())
                    os.fstat(other.fileno())
            except OSError as error:
                failures.append(error)

    def reset(peer: socket.socket) -> None:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    thread = threading.Thread(target=others)
    with serving(reset) as server, BlockingApi(server.url.replace("http", "https"), timeout=5) as api:
        thread.start()
        outcomes = [api.post(PATH, BODY) for _ in range(500)]
        done.set()
        thread.join(10)
    assert {failed(outcome) for outcome in outcomes} == {("connection", False)}
    assert failures == []


@pytest.mark.parametrize("after", [b"x", ACCEPTED])
def test_what_comes_after_an_answer_is_not_taken_for_the_next_one(after: bytes) -> None:
    refused = HEAD.replace(b"200 OK", b"503 x") + b"Content-Length: 0\r\n\r\n"
    with serving(always(refused + after)) as server, BlockingApi(server.url, timeout=5) as api:
        assert [api.post(PATH, BODY).reason for _ in range(3)] == ["http_5xx"] * 3
        assert server.accepted == 3


def test_what_comes_unasked_on_a_kept_connection_ends_it() -> None:
    told = threading.Event()

    def script(peer: socket.socket) -> None:
        request(peer)
        peer.sendall(ACCEPTED)
        told.wait(10)
        peer.sendall(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
        assert not peer.recv(1)

    with serving(script) as server, BlockingApi(server.url, timeout=5) as api:
        assert api.post(PATH, BODY) == DELIVERED
        told.set()
        wait_until(lambda: server.gone, "the client to hang up", 10)
        assert api.post(PATH, BODY) == DELIVERED


def test_a_connection_is_not_closed_inside_of_a_callback_of_the_loop() -> None:
    """uvloop's TLS goes on with it after the callback, and complains."""

    class Transport:
        aborted = False

        def get_extra_info(self, _: str) -> socket.socket:
            return one

        def abort(self) -> None:
            self.aborted = True

    async def unasked() -> None:
        transport: Any = Transport()
        connection = Connection(asyncio.get_running_loop())
        connection.connection_made(transport)
        connection.data_received(b"x")
        assert (connection.open, transport.aborted) == (False, False)
        await asyncio.sleep(0)
        assert transport.aborted

    one, other = socket.socketpair()
    with one, other:
        asyncio.run(unasked())


def test_a_large_request_may_be_answered_before_it_was_read() -> None:
    """A server refuses it by its length, and reads no further."""

    def script(peer: socket.socket) -> None:
        peer.recv(1000)
        peer.sendall(b"HTTP/1.1 413 x\r\nContent-Length: 0\r\n\r\n")
        peer.recv(1000)

    with serving(script) as server, BlockingApi(server.url, timeout=5) as api:
        for _ in range(2):
            outcome = api.post(PATH, LARGE)
            assert (outcome.result, outcome.reason) in {
                (Result.REJECTED, "payload_too_large"),
                (Result.RETRYABLE, "connection"),  # the reset of the server's end came before its answer was read
            }
        assert server.accepted == 2, "the rest of the first would be read as a second request"


def test_a_large_request_holds_up_nothing() -> None:
    def script(peer: socket.socket) -> None:
        while request(peer):
            peer.sendall(ACCEPTED)

    async def longest_turn(url: str) -> float:
        """Of the loop, in seconds that it computed: others may have the processor meanwhile."""
        longest = 0.0
        async with CartApi(url, timeout=60) as api:
            sending = [asyncio.get_running_loop().create_task(api.post(PATH, LARGE)) for _ in range(4)]
            while not all(task.done() for task in sending):
                before = time.thread_time()
                await asyncio.sleep(0.001)
                longest = max(longest, time.thread_time() - before)
            assert [task.result() for task in sending] == [DELIVERED] * 4
        return longest

    with serving(script) as server, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(longest_turn(server.url)) < 0.1


def test_a_request_that_is_given_up_leaves_no_connection() -> None:
    asked = threading.Event()

    def script(peer: socket.socket) -> None:
        request(peer)
        asked.set()
        assert not peer.recv(1)

    async def give_up(url: str) -> None:
        async with CartApi(url, timeout=20) as api:
            task = asyncio.get_running_loop().create_task(api.post(PATH, BODY))
            await asyncio.to_thread(asked.wait, 10)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await asyncio.to_thread(wait_until, lambda: server.gone, "the connection to end", 10)

    with serving(script) as server, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(give_up(server.url))


def test_connections_that_rest_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_IDLE_AT_MOST", 0.2)
    with serving(always(ACCEPTED)) as server, BlockingApi(server.url, timeout=5) as api:
        for number in (1, 2):
            assert api.post(PATH, BODY) == DELIVERED
            wait_until(lambda: server.gone == server.accepted == number, "the connection to end", 10)  # noqa: B023


def silent(peer: socket.socket) -> None:
    while peer.recv(65536):
        pass


def test_a_handshake_that_never_ends_is_a_time_out_of_a_request_that_was_not_written() -> None:
    def handshakes(api: BlockingApi, number: int) -> int:
        """How many files are open once these have failed and the server has seen their ends."""
        for _ in range(number):
            outcome = api.post(PATH, BODY)
            assert (*failed(outcome), outcome.message) == ("timeout", False, "no connection within the deadline")
        wait_until(lambda: server.gone == server.accepted, "the connections to end", 10)
        return len(list(Path("/proc/self/fd").iterdir()))

    with (
        serving(silent) as server,
        BlockingApi(server.url.replace("http", "https"), timeout=0.2) as api,
    ):
        before = handshakes(api, 1)
        assert handshakes(api, 3) <= before


def test_a_name_server_that_does_not_answer_is_asked_once_and_holds_up_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    answers, asked = threading.Event(), []

    with serving(always(ACCEPTED)) as server:
        resolve = dialer._resolve

        def slowly(host: str, port: int, flags: int = 0) -> Any:
            if flags:
                raise OSError("no numbers")
            asked.append(host)
            answers.wait(20)
            return resolve("127.0.0.1", port)

        monkeypatch.setattr(dialer, "_resolve", slowly)
        with BlockingApi(f"http://shop.invalid:{server.port}", timeout=0.2) as api:
            assert [failed(api.post(PATH, BODY)) for _ in range(3)] == [("timeout", False)] * 3
            assert asked == ["shop.invalid"]
            answers.set()
            wait_until(lambda: api.post(PATH, BODY) == DELIVERED, "an accepted request", 10)


def test_a_name_without_an_address_is_a_failed_connection_of_a_request_that_was_not_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def unknown(*_: object) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(dialer, "_resolve", unknown)
    with BlockingApi("http://shop.invalid", timeout=5) as api:
        outcome = api.post(PATH, BODY)
        assert (*failed(outcome), outcome.message) == ("connection", False, "Name or service not known")


def test_an_address_that_does_not_answer_gives_way_to_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """As IPv6 does where it leads nowhere: the deadline would be over before a system gives up such an address."""
    with closing(socket.create_server(("127.0.0.1", 0), backlog=0)) as full:
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(full.getsockname())
        with serving(always(ACCEPTED)) as server:
            resolve = dialer._resolve
            monkeypatch.setattr(
                dialer,
                "_resolve",
                lambda *_: [*resolve("127.0.0.1", full.getsockname()[1]), *resolve("127.0.0.1", server.port)],
            )
            with BlockingApi("http://shop.invalid", timeout=3) as api:
                assert api.post(PATH, BODY) == DELIVERED
        for each in waiting:
            each.close()


@pytest.fixture
def proxied(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    return lambda address: monkeypatch.setenv("ALL_PROXY", address)


def test_a_proxy_is_asked_for_the_whole_address(proxied: Callable[[str], None]) -> None:
    requests: list[bytes] = []

    def script(peer: socket.socket) -> None:
        while whole := request(peer):
            requests.append(whole)
            peer.sendall(ACCEPTED)

    with serving(script) as proxy:
        proxied(f"http://shop:s%20cret@127.0.0.1:{proxy.port}")
        with BlockingApi("http://optico.invalid/base", timeout=5) as api:
            assert api.post(PATH, BODY) == DELIVERED
    assert requests[0].startswith(
        b"POST http://optico.invalid/base/api/customer-cart HTTP/1.1\r\nhost: optico.invalid\r\n"
    )
    assert b"\r\nproxy-authorization: Basic " + b64encode(b"shop:s cret") + b"\r\n" in requests[0]


def test_tls_goes_through_a_tunnel_of_the_proxy(proxied: Callable[[str], None], tmp_path: Path) -> None:
    """Which sees neither the key nor anything else of the request; and the API sees nothing of the proxy's password."""
    certificates = write_certificates(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.broker, password=None)
    connects: list[bytes] = []

    with serving(always(ACCEPTED), context) as server:

        def script(peer: socket.socket) -> None:
            connects.append(request(peer))
            with socket.create_connection(("127.0.0.1", server.port)) as beyond:
                peer.sendall(b"HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n")
                back = threading.Thread(target=pump, args=(beyond, peer), daemon=True)
                back.start()
                pump(peer, beyond)
                back.join(5)

        with serving(script) as proxy:
            proxied(f"http://shop:secret@127.0.0.1:{proxy.port}")
            url = f"https://localhost:{server.port}"
            with BlockingApi(url, timeout=5, ca_file=certificates.ca) as api:
                assert [api.post(PATH, BODY) for _ in range(2)] == [DELIVERED] * 2
    assert len(connects) == 1
    assert connects[0].startswith(
        b"CONNECT localhost:%d HTTP/1.1\r\nhost: localhost:%d\r\n" % (server.port, server.port)
    )
    assert b"proxy-authorization: Basic " in connects[0]


def pump(source: socket.socket, target: socket.socket) -> None:
    try:
        while part := source.recv(65536):
            target.sendall(part)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        target.close()


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", b"x\r\n\r\n", b"x" * 99_999]
)
def test_a_proxy_that_makes_no_tunnel_is_named(proxied: Callable[[str], None], answer: bytes) -> None:
    with serving(saying(answer)) as proxy:
        proxied(f"127.0.0.1:{proxy.port}")
        with BlockingApi("https://optico.invalid", timeout=5) as api:
            outcome = api.post(PATH, BODY)
    assert failed(outcome) == ("connection", False)
    assert f"the proxy 127.0.0.1:{proxy.port}" in outcome.message
    if b"407" in answer:
        assert "407 Proxy Authentication Required" in outcome.message


def test_no_proxy_is_asked_for_a_host_that_is_excepted(
    proxied: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    proxied("http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "example.com,127.0.0.1")
    with serving(always(ACCEPTED)) as server, BlockingApi(server.url, timeout=5) as api:
        assert api.post(PATH, BODY) == DELIVERED


@pytest.mark.parametrize("address", ["socks5://127.0.0.1:9", "https://127.0.0.1:9", "http://"])
def test_a_proxy_of_another_kind_is_refused_at_the_start(proxied: Callable[[str], None], address: str) -> None:
    proxied(address)
    with pytest.raises(ValueError, match=r"_PROXY names .*; only http:// proxies are supported"):
        CartApi("https://optico.invalid", timeout=5)
