"""The worker on every path, at its most talkative, with marked secrets: they are found in the requests alone."""

import base64
import copy
import pickle
import pprint
import ssl
import subprocess
import sys
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from urllib.parse import quote_plus

import pytest

from tests.brokers import certificates, security
from tests.brokers.kafka import KafkaCluster
from tests.brokers.tools import Record, produce, read_all, wait_until
from tests.conftest import ClusterFactory
from tests.integration.events import cart
from tests.integration.process import worker
from tests.ops.program import command, environment
from worker.sandbox.api import Sandbox
from worker.settings import Settings, load

#: Each has a core of letters and digits, which no encoding but base64 and hexadecimal changes, and characters that a
#: form, JSON, a shell or Python writes in their own ways.
KEY = "sk_fake+MARKEDKEY1/é\"'\\%"
NEXT_KEY = "sk_fake_MARKEDKEY2&= x"
ECHOED_KEY = "sk_fake_MARKEDKEY3"
PASSWORD = "fake-MARKEDSASL4"
KEY_PASSWORD = "fake-MARKEDTLS5"
SECRETS = (KEY, NEXT_KEY, ECHOED_KEY, PASSWORD, KEY_PASSWORD)

#: What is done to one request of the cart of that id, or to all of them.
FAULTS: dict[str, dict[str, object]] = {
    "rejected": {"envelope": "Unknown visit_id"},
    "echo": {"envelope": f"The key {KEY} may not do this"},
    "echo-cut-short": {"envelope": "x" * 182 + KEY},  # after its first 200 characters
    "echo-in-body": {"status": 400, "body": f"<html>{quote_plus(KEY)} {KEY}</html>", "count": 1},
    "echo-in-header": {"status": 503, "headers": {"Retry-After": "MARKEDKEY1", "X-Key": "MARKEDKEY1"}, "count": 1},
    "redirect": {"redirect": f"/login?key={quote_plus(KEY)}", "count": 1},
    "silence": {"hang": True, "count": 1},
    "reset": {"reset": "after", "count": 1},
    "garbage": {"garbage": True, "count": 1},
    "cut-off": {"truncated": True, "count": 1},
    "broken": {"status": 500, "body": KEY, "count": 1},
    "too-large": {"status": 413, "body": KEY},
    "later": {"status": 429, "headers": {"Retry-After": "1"}, "body": KEY, "count": 1},
}


@dataclass
class Seen:
    """All that the worker showed to anybody but the API, by where it was seen."""

    texts: dict[str, str] = field(default_factory=dict)

    def add(self, where: str, text: object) -> None:
        self.texts[where] = self.texts.get(where, "") + str(text)

    def leaks(self) -> list[str]:
        """Where a secret is, and what is around it."""
        found = []
        for where, text in self.texts.items():
            for mark in _marks():
                at = text.find(mark)
                if at >= 0:
                    found.append(f"{where}: ...{text[max(0, at - 200) : at + 60]}...")
        return found


def _marks() -> Iterator[str]:
    for secret in SECRETS:
        yield next(
            part for part in ("MARKEDKEY1", "MARKEDKEY2", "MARKEDKEY3", "MARKEDSASL4", "MARKEDTLS5") if part in secret
        )
        yield secret.encode().hex()
        for shift in range(3):  # base64 of it, wherever it begins in a longer text
            yield base64.b64encode(b" " * shift + secret.encode())[4 * (shift > 0) : -4].decode()


@pytest.fixture
def cluster(kafka_cluster: ClusterFactory, monkeypatch: pytest.MonkeyPatch) -> KafkaCluster:
    monkeypatch.setattr(security, "PASSWORD", PASSWORD)
    for module in (security, certificates):
        monkeypatch.setattr(module, "KEY_PASSWORD", KEY_PASSWORD)
    cluster = kafka_cluster(1, security="SASL_SSL", client_certificate_required=True)
    for topic in ("carts", "letters"):
        cluster.create_topic(topic)
    return cluster


@pytest.fixture
def api(cluster: KafkaCluster) -> Iterator[Sandbox]:
    assert cluster.security.certificates is not None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cluster.security.certificates.broker)
    with Sandbox(keys={KEY}, ssl=context) as sandbox:
        yield sandbox


@pytest.fixture
def variables(cluster: KafkaCluster, api: Sandbox) -> dict[str, str]:
    assert cluster.security.certificates is not None
    return cluster.security.variables() | {
        "KAFKA_BOOTSTRAP_SERVERS": cluster.bootstrap,
        "KAFKA_TOPICS": "carts",
        "KAFKA_DLQ_TOPIC": "letters",
        "OPTICO_URL": api.url,
        "OPTICO_CA_FILE": str(cluster.security.certificates.ca),
        "OPTICO_API_KEY": KEY,
        "OPTICO_TIMEOUT_SECONDS": "1",
        "WORKER_LOG_LEVEL": "debug",
    }


def test_secrets_are_found_in_requests_alone(
    cluster: KafkaCluster, api: Sandbox, variables: dict[str, str], tmp_path: Path
) -> None:
    seen = Seen()
    _every_answer(seen, cluster, api, variables, tmp_path / "key")
    _refusals(seen, variables)
    _crashes(seen, cluster, variables)
    _commands(seen, variables)
    assert seen.leaks() == []


def _every_answer(seen: Seen, cluster: KafkaCluster, api: Sandbox, variables: dict[str, str], key_file: Path) -> None:
    """All outcomes of a request, a record that breaks the contract, and a key that is refused, lost and renewed."""
    key_file.write_text(KEY)
    api.set_faults([{"id": id_, **fault} for id_, fault in FAULTS.items()])
    records = [cart(id_) for id_ in FAULTS] + [cart(f"good-{n}") for n in range(5)]
    broken = [Record(b"broken", b'{"type":"cart","visit_id":"1"}', (("trace", b"1"),)), Record(b"no JSON", b"{")]
    produce(cluster.bootstrap, "carts", [*records, *broken], **cluster.security.client())
    with worker(**variables | {"OPTICO_API_KEY": "", "OPTICO_API_KEY_FILE": str(key_file)}) as w:
        wait_until(lambda: len(api.records()) == len(records) - 4, "all that can be delivered", 60)
        api.set_keys([NEXT_KEY])
        produce(cluster.bootstrap, "carts", [cart(f"next-{n}") for n in range(3)], **cluster.security.client())
        wait_until(lambda: w.get("/readyz")[0] == 503, "the key to be refused", 20)
        for page in ("/metrics", "/healthz", "/readyz", f"/?{quote_plus('a')}"):
            seen.add(page, w.get(page))
        for content in (b"\xff" + ECHOED_KEY.encode(), ECHOED_KEY.encode() + b"\n" + KEY.encode()):
            key_file.write_bytes(content)
            problem = "UTF-8" if content.startswith(b"\xff") else "line breaks"
            wait_until(lambda p=problem: p in w.log_text(), f"a warning of {problem}", 40)  # type: ignore[misc]
        key_file.write_text(NEXT_KEY)
        wait_until(lambda: len(api.records()) == len(records) - 1, "the rest", 60)
        seen.add("/metrics", w.get("/metrics"))
        assert w.stop() == 0
        seen.add("log", w.log_text())
        events = {line["event"] for line in w.log()}
    assert "the API rejected an event; it is not sent again" in events
    assert "sending is paused: the API refuses the key; the key file is read again before each probe" in events
    assert api.state().elsewhere == 0, "redirects are not followed"
    letters = read_all(cluster.bootstrap, "letters", **cluster.security.client())
    assert {dict(letter.headers)["dlq.reason"] for letter in letters} == {
        *(b"unknown_visit_id", b"other_error", b"payload_too_large", b"invalid_event", b"malformed_json"),
    }
    seen.add("dead letters", letters)


def _refusals(seen: Seen, variables: dict[str, str]) -> None:
    """An authority that is unknown, a password that is wrong, one that does not open the key, wrong settings."""
    unknown = {name: value for name, value in variables.items() if name != "OPTICO_CA_FILE"}
    with worker(**unknown | {"KAFKA_GROUP_ID": "unknown-authority"}) as w:
        wait_until(lambda: w.total("retries_total") > 0, "a refused certificate", 30)
        w.kill()
        seen.add("log: unknown authority", w.log_text())
    with worker(**variables | {"KAFKA_SASL_PASSWORD": f"wrong-{PASSWORD}"}) as w:
        told = ("Authentication failed", "wrong user, password or mechanism")
        wait_until(lambda: any(words in w.log_text() for words in told), "a refused password", 40)
        w.kill()
        seen.add("log: wrong password", w.log_text())
    with worker(**variables | {"KAFKA_SSL_KEY_PASSWORD": f"wrong-{KEY_PASSWORD}"}) as w:
        assert w.exit_code(30) == 1
        assert "KAFKA_SSL_KEY_PASSWORD" in w.log_text()
        seen.add("log: key not opened", w.log_text())
    wrong = {"OPTICO_API_KEY": f"{KEY}\n{KEY}", "OPTICO_URL": f"https://{ECHOED_KEY}@optico.fr?key={ECHOED_KEY}"}
    wrong |= {"KAFKA_SASL_PASSWORD": "", "OPTICO_MAX_CONCURRENCY": "many"}
    seen.add("settings", _run(["run"], 2, variables | wrong))


_CRASH = """
import sys
from worker.adapters.http import CartApi
from worker.cli import cli
async def post(self, path, body):
    self.body = body
    raise RuntimeError("crashed with", path, body)
CartApi.post = post
sys.argv[1:] = ["run"]
cli()
"""


def _crashes(seen: Seen, cluster: KafkaCluster, variables: dict[str, str]) -> None:
    """The sending loop dies of an exception that quotes the whole request."""
    produce(cluster.bootstrap, "carts", [cart("crash")], **cluster.security.client())
    quick = {"WORKER_HTTP_HOST": "127.0.0.1", "WORKER_HTTP_PORT": "0"}
    for log_format in ("json", "console"):
        more = quick | {"WORKER_LOG_FORMAT": log_format, "KAFKA_GROUP_ID": f"crash-{log_format}"}
        said = _finish([sys.executable, "-c", _CRASH], variables | more)
        assert said.returncode == 1
        assert "Traceback" in said.stderr
        assert "crashed with" in said.stderr
        seen.add(f"crash, {log_format}", said.stdout + said.stderr)


def _commands(seen: Seen, variables: dict[str, str]) -> None:
    for code, arguments in (
        (0, ["--help"]),
        (0, ["run", "--help"]),
        (0, ["check"]),
        (0, ["check", "--json"]),
        (0, ["dlq", "list", "--json"]),
        (0, ["replay", "--to-earliest"]),
        (1, ["render"]),
        (1, ["render", "--json"]),
    ):
        seen.add(" ".join(arguments), _run(arguments, code, variables))


def _run(arguments: list[str], code: int, variables: dict[str, str]) -> str:
    said = _finish(command(*arguments), variables)
    assert said.returncode == code, (arguments, said)
    assert "Traceback" not in said.stderr
    return said.stdout + said.stderr


def _finish(program: list[str], variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    event = cart("1").value or b""
    return subprocess.run(
        program,
        env=environment(variables),
        input=(event + b"\n{\n").decode(),
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def test_settings_show_no_secret_whoever_looks() -> None:
    """As text, in a dump, in a traceback with its variables; and they can't be pickled as they are."""
    settings = load(
        {
            "KAFKA_BOOTSTRAP_SERVERS": "kafka:9092",
            "KAFKA_TOPICS": "carts",
            "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "KAFKA_SASL_MECHANISM": "PLAIN",
            "KAFKA_SASL_USERNAME": "worker",
            "KAFKA_SASL_PASSWORD": PASSWORD,
            "KAFKA_SSL_KEY_PASSWORD": KEY_PASSWORD,
            "OPTICO_API_KEY": KEY,
        }
    )
    seen = Seen()
    parts = (settings, settings.kafka, settings.optico, settings.optico.api_key, settings.kafka.sasl_password)
    for part in (*parts, copy.deepcopy(settings.kafka)):
        for text in (repr(part), str(part), f"{part}", f"{part!r:>5}", pprint.pformat(part), str([part])):
            seen.add(type(part).__name__, text)
    for group in (settings.kafka, settings.optico):
        seen.add("dump", group.model_dump())
        seen.add("as JSON", group.model_dump_json(fallback=str))
    try:
        _fail(settings)
    except RuntimeError as error:
        seen.add("traceback", "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format()))
    assert "Kafka(" in seen.texts["traceback"], "the variables are shown, but for their secrets"
    assert seen.leaks() == []
    with pytest.raises(TypeError):
        pickle.dumps(settings.optico)


def _fail(settings: Settings) -> None:
    raise RuntimeError("with its variables", settings)


@pytest.mark.parametrize("leak", [KEY, quote_plus(KEY), repr(KEY), KEY.encode().hex(), PASSWORD, KEY_PASSWORD])
def test_a_leak_is_seen(leak: str) -> None:
    seen = Seen(dict(MappingProxyType({"log": f"something {leak} else", "metrics": "nothing"})))
    assert len(seen.leaks()) == 1


@pytest.mark.parametrize("before", range(3))
def test_a_leak_in_base64_is_seen(before: int) -> None:
    seen = Seen({"header": base64.b64encode(b"x" * before + KEY.encode() + b"rest").decode()})
    assert seen.leaks()
