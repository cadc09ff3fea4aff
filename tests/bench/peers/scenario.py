"""This worker and its peers: the same work, one after the other, in the same run."""

import secrets
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version

from tests.bench.bed import ROOT, Bed, paced, produce
from tests.bench.events import cart, zipf
from tests.bench.figures import Figure, Findings, percentile
from tests.bench.machine import cpu_seconds, usage
from tests.bench.page import number
from tests.bench.peers.judge import Event, again, ages, at_once, backwards, covered, lost, stale
from tests.bench.peers.programs import PEERS, Peer
from tests.brokers.distribution import MissingError
from tests.brokers.tools import group_members, wait_until
from tests.integration.process import KEY
from worker.sandbox.child import Child

OURS = "this worker"
PARTITIONS, CONCURRENCY, SESSION_MS = 4, 32, 6_000
#: Nobody is waited for longer than this in one piece of work (s).
PATIENCE = 15.0
#: Of Zipf's law; low, as strict order by id makes one id's changes wait for each other.
SKEW = 0.6
#: After a kill the group waits for the session to end, and this worker ten seconds more before it confirms.
QUIET = 11.0
HEADS = {
    "burst": ["", "requests", "events/s", "µs CPU an event", "memory, MB", "states sent backwards", "two at once"],
    "steady": ["", "requests", "fresh after, p50, ms", "p99, ms", "never, in time"],
    "killed": [
        "",
        "requests",
        "sent again",
        "sent backwards",
        "ids lost",
        "ids stale at the end",
        "all fresh after, s",
        "last request after, s",
    ],
}

Start = Callable[[Bed, str, str], Child]


@dataclass(frozen=True)
class Contender:
    name: str
    about: str
    versions: str
    command: list[str]
    environment: dict[str, str]


def run(bed: Bed) -> Findings:
    """One round."""
    works = {"burst": _burst, "steady": _steady, "killed": _killed}
    tables = {name: [head] for name, head in HEADS.items()}
    about = [["", "how it does the work", "version"]]
    rates: dict[str, float] = {}
    for contender in _contenders(bed):
        bed.say(f"-- {contender.name}")
        about.append([contender.name, contender.about, contender.versions])
        for name, work in works.items():
            row, rate = work(bed, contender)
            tables[name].append([contender.name, *row])
            rates[contender.name] = rates.get(contender.name) or rate
            bed.say(f"{name}: " + ", ".join(f"{h} {v}" for h, v in zip(HEADS[name][1:], row, strict=True)))
    return Findings(_figures(rates), tables={"contenders": about, **tables})


def _figures(rates: dict[str, float]) -> list[Figure]:
    ours = rates.pop(OURS)
    return [
        Figure("events a second in a burst", "events/s", (ours,), name, (rate,)) for name, rate in rates.items() if rate
    ]


def _contenders(bed: Bed) -> Iterator[Contender]:
    ours = [sys.executable, "-m", "worker", "run"]
    yield Contender(OURS, "collapses for 500 ms, ordered by id", f"kafka-python {version('kafka-python')}", ours, {})
    for peer in PEERS:
        if (command := _installed(bed, peer)) is not None:
            yield Contender(peer.name, peer.about, peer.versions(), command, peer.environment)


def _installed(bed: Bed, peer: Peer) -> list[str] | None:
    try:
        return peer.command()
    except MissingError as missing:
        bed.say(f"{peer.name} is left out: {missing}")
        return None


def _burst(bed: Bed, contender: Contender) -> tuple[list[str], float]:
    """So many changes of a tenth as many carts at once, with an API at 10 ms."""
    count = bed.size(20_000, 2_000)
    bed.api.set(latency=0.01, jitter=0.005, status=200, reset=True)
    with _running(bed, contender) as (child, topic):
        events = _changes(count, count // 10)
        cpu = cpu_seconds(child.pid)
        produce(bed.kafka.bootstrap, topic, (cart(int(each.id), each.version) for each in events))
        _until_done(bed, events, PATIENCE)
        used, memory = cpu_seconds(child.pid) - cpu, usage(child.pid).peak
    log = bed.api.log()
    done = covered(events, log)
    # What stands still at the end is not time that was needed.
    rate = done / (max((each.answered for each in log), default=time.time()) - events[0].at)
    row = [
        f"{len(log):,}",
        number(rate),
        number(used / max(1, done) * 1e6),
        number(memory),
        str(backwards(log)),
        str(at_once(log)),
    ]
    return row, rate


def _steady(bed: Bed, contender: Contender) -> tuple[list[str], float]:
    """100 events a second over 200 ids, some more often than others, with an API at 20 ms."""
    bed.api.set(latency=0.02, jitter=0.005, reset=True)
    draw = zipf(200, 1.0, seed=1)
    events: list[Event] = []

    def event(_: int, at: int) -> tuple[bytes, bytes]:
        events.append(Event(str(next(draw)), at, at / 1e6))
        return cart(int(events[-1].id), at)

    with _running(bed, contender) as (_, topic):
        paced(bed.kafka.bootstrap, topic, 100, bed.seconds(8.0, 2.0), event)
        _until_done(bed, events, 3.0)
    log = bed.api.log()
    found = [age * 1000 for age in ages(events, log, time.time())]
    missing = len(events) - covered(events, log)
    return [f"{len(log):,}", number(percentile(found, 0.5)), number(percentile(found, 0.99)), str(missing)], 0.0


def _killed(bed: Bed, contender: Contender) -> tuple[list[str], float]:
    """SIGKILL in the middle of the work, and a new start at once."""
    count = bed.size(1_500, 600)
    bed.api.set(latency=0.01, jitter=0.008, reset=True)
    events = _changes(count, count // 5)
    with _running(bed, contender) as (child, topic):
        produce(bed.kafka.bootstrap, topic, (cart(int(each.id), each.version) for each in events))
        wait_until(lambda: bed.api.requests() >= 60, "some requests", 30)
        child._signal(signal.SIGKILL)
        killed = time.time()
        wait_until(lambda: not child.running(), "its end")
        with _program(bed, contender, topic, topic):
            _until_quiet(bed, 60.0)
    log = bed.api.log()
    fresh = max(each.at + age for each, age in zip(events, ages(events, log, time.time()), strict=True))
    last = max(each.answered for each in log)
    columns = [again(log), backwards(log), lost(events, log), stale(events, log)]
    return [f"{len(log):,}", *map(str, columns), number(fresh - killed), number(last - killed)], 0.0


def _changes(count: int, ids: int) -> list[Event]:
    """Of as many ids, some more often than others, so that states of one id follow closely on each other."""
    draw, now = zipf(ids, SKEW, seed=2), time.time()
    return [Event(str(next(draw)), number + 1, now) for number in range(count)]


@contextmanager
def _running(bed: Bed, contender: Contender) -> Iterator[tuple[Child, str]]:
    """The program in a group named like its topic, once it has all partitions."""
    topic = bed.topic(PARTITIONS)
    with _program(bed, contender, topic, topic) as child:
        wait_until(lambda: _partitions(bed, topic, child) == PARTITIONS, f"{contender.name} to join", 60)
        yield child, topic


def _partitions(bed: Bed, group: str, child: Child) -> int:
    assert child.running(), f"it ended:\n{child.tail()}"
    time.sleep(0.2)
    return sum(len(member.partitions) for member in group_members(bed.kafka.bootstrap, group))


@contextmanager
def _program(bed: Bed, contender: Contender, topic: str, group: str) -> Iterator[Child]:
    environment = {
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": str(ROOT),
        "PEER_BOOTSTRAP": bed.kafka.bootstrap,
        "PEER_TOPIC": topic,
        "PEER_GROUP": group,
        "PEER_URL": bed.api.url,
        "PEER_CONCURRENCY": str(CONCURRENCY),
        "PEER_PARTITIONS": str(PARTITIONS),
        "PEER_SESSION_MS": str(SESSION_MS),
        **contender.environment,
    }
    if contender.name == OURS:
        environment |= {
            "KAFKA_BOOTSTRAP_SERVERS": bed.kafka.bootstrap,
            "KAFKA_TOPICS": topic,
            "KAFKA_GROUP_ID": group,
            "KAFKA_SESSION_TIMEOUT_MS": str(SESSION_MS),
            "OPTICO_URL": bed.api.url,
            "OPTICO_API_KEY": KEY,
            "OPTICO_MAX_REQUESTS_PER_SECOND": "0",
            "OPTICO_MAX_CONCURRENCY": str(CONCURRENCY),
            "WORKER_HTTP_HOST": "127.0.0.1",
            "WORKER_HTTP_PORT": "0",
        }
    output = bed.folder / f"peer-{secrets.token_hex(4)}"
    with Child(contender.command, folder=ROOT, output=output, environment=environment) as child:
        yield child


def _until_done(bed: Bed, events: list[Event], patience: float) -> None:
    """Until the API has accepted the newest state of each id, or patience ends. The target has better things to do
    than to tell its log, so it is asked only when no request has come for a moment."""
    until, requests = time.monotonic() + patience, 0
    while time.monotonic() < until:
        time.sleep(0.3)
        now = bed.api.requests()
        if now == requests and lost(events, bed.api.log()) == 0:
            return
        requests = now


def _until_quiet(bed: Bed, patience: float) -> None:
    """Until no request has come for as long as any of them waits for anything."""
    until, requests, since = time.monotonic() + patience, bed.api.requests(), time.monotonic()
    while time.monotonic() < until and time.monotonic() - since < QUIET:
        time.sleep(0.25)
        if (now := bed.api.requests()) != requests:
            requests, since = now, time.monotonic()
