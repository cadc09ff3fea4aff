import gc
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pyreqwest.client import SyncClientBuilder

from tests.sandbox.support import KEY, SUCCESS, cart, eventually, post, read_all, sent
from worker.sandbox.api import Sandbox, SandboxControl, SandboxError, server_tls


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_a_sandbox_leaves_no_thread_and_no_socket() -> None:
    threads, files = threading.active_count(), open_files()
    for _ in range(3):
        with Sandbox(keys={KEY}) as sandbox, sent(sandbox.url, cart()) as kept:
            assert kept.recv(1)
        with pytest.raises(ConnectionRefusedError):
            post(sandbox.url, cart())
    assert (threads, files) == (threading.active_count(), open_files())


def test_stopping_is_quick_whatever_hangs_and_cuts_it_off(sandbox: Sandbox) -> None:
    sandbox.set_faults([{"id": "1", "hang": True}, {"id": "2", "latency": 60_000}, {"id": "3", "drip": 60_000}])
    with ExitStack() as stack:
        opened = [stack.enter_context(sent(sandbox.url, cart(id=str(n % 4)))) for n in range(40)]
        eventually(lambda: (s := sandbox.state()).requests == 40 and s.in_flight == 30)
        started = time.monotonic()
        sandbox.stop()
        assert time.monotonic() - started < 2
        assert read_all(opened[1]) == b""
    assert (sandbox.state().in_flight, sandbox.state().landing) == (0, 0)


def test_clients_that_connect_while_it_stops_leave_nothing_behind() -> None:
    gc.collect()  # what other tests left is not to be counted
    files = open_files()
    for _ in range(20):
        with Sandbox(keys={KEY}) as sandbox, ExitStack() as stack:
            for _ in range(20):
                stack.enter_context(sent(sandbox.url, cart()))
            sandbox.stop()
    gc.collect()
    assert open_files() <= files


def test_what_it_saw_can_be_read_after_it_has_stopped(sandbox: Sandbox) -> None:
    post(sandbox.url, cart())
    sandbox.stop()
    sandbox.stop()
    assert (len(sandbox.requests()), len(sandbox.records()), sandbox.state().requests) == (1, 1, 1)


def test_a_sandbox_can_be_started_again_with_what_it_held(sandbox: Sandbox) -> None:
    post(sandbox.url, cart())
    sandbox.stop()
    sandbox.start()
    assert post(sandbox.url, cart()).json == SUCCESS
    assert sandbox.records()[0].versions == 2
    with pytest.raises(SandboxError, match="running"):
        sandbox.start()


def test_a_port_that_is_taken_is_an_error_at_the_start() -> None:
    threads = threading.active_count()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        sandbox = Sandbox(port=taken.getsockname()[1])
        with pytest.raises(OSError, match="address already in use"):
            sandbox.start()
        with pytest.raises(SandboxError, match="not been started"):
            _ = sandbox.url
    assert threads == threading.active_count()


def test_calls_from_many_threads_while_it_stops_all_return(sandbox: Sandbox) -> None:
    results: list[int] = []

    def call() -> None:
        results.extend(sandbox.state().requests for _ in range(200))

    callers = [threading.Thread(target=call) for _ in range(8)]
    for caller in callers:
        caller.start()
    sandbox.stop()
    for caller in callers:
        caller.join(30)
    assert len(results) == 1600


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sandbox")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("tls")
    files = folder / "cert.pem", folder / "key.pem"
    files[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return str(files[0]), str(files[1])


def test_it_speaks_tls_with_faults_and_stops_quickly(certificate: tuple[str, str]) -> None:
    trusting = ssl.create_default_context(cafile=certificate[0])
    form = list(cart().items())
    with (
        Sandbox(keys={KEY}, ssl=server_tls(*certificate)) as sandbox,
        SyncClientBuilder().add_root_certificate_pem(Path(certificate[0]).read_bytes()).build() as client,
    ):
        assert sandbox.url.startswith("https://127.0.0.1:")
        request = client.post(f"{sandbox.url}/api/customer-cart").form(form)
        assert request.build().send().json() == SUCCESS
        control = SandboxControl(sandbox.url, ssl=trusting)
        control.set_faults([{"count": 1, "reset": "after"}, {"hang": True}])
        port = int(sandbox.url.rpartition(":")[2])
        with hello(port, trusting) as opened, pytest.raises(OSError, match=r"EOF|reset"):
            opened.recv(1)
        # The second connection never shakes hands.
        with hello(port, trusting), socket.create_connection(("127.0.0.1", port)):
            eventually(lambda: control.state().in_flight == 1)
            started = time.monotonic()
            sandbox.stop()
            assert time.monotonic() - started < 2


@contextmanager
def hello(port: int, trusting: ssl.SSLContext) -> Iterator[ssl.SSLSocket]:
    body = b"key=sk_fake"
    with (
        socket.create_connection(("127.0.0.1", port), timeout=60) as plain,
        trusting.wrap_socket(plain, server_hostname="127.0.0.1", suppress_ragged_eofs=False) as opened,
    ):
        opened.sendall(b"POST /api/customer-cart HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        yield opened


SERVE = """
import sys
from worker.sandbox.api import serve
serve(port=0, keys={"sk_fake"}, faults=[{"id": "1", "hang": True}])
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_in_the_foreground_it_says_where_it_listens_and_ends_at_a_signal(number: signal.Signals) -> None:
    command = [sys.executable, "-W", "error", "-X", "dev", "-c", SERVE]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            found = re.fullmatch(r"sandbox listening on (http://127\.0\.0\.1:\d+)\n", line)
            assert found is not None, line
            control = SandboxControl(found[1])
            with sent(found[1], cart()):
                eventually(lambda: control.state().in_flight == 1)
                process.send_signal(number)
                rest, complaints = process.communicate(timeout=60)
        finally:
            process.kill()
    assert (process.returncode, rest, complaints) == (0, "", "")


def test_without_the_server_library_it_says_what_to_install() -> None:
    program = """
import sys
sys.modules["aiohttp"] = None
import worker
from worker.sandbox.api import Sandbox, SandboxControl, SandboxUnavailableError
try:
    Sandbox().start()
except SandboxUnavailableError as error:
    print(error)
"""
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout == "the sandbox needs: pip install 'optico-worker[sandbox]'\n"


def test_importing_the_package_does_not_import_the_server_library() -> None:
    program = "import sys, worker.sandbox.api; sys.exit('aiohttp' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)
