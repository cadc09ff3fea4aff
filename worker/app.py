"""The worker put together: what runs, how it starts, and how it stops."""

import gc
import os
import signal
import sys
import threading
from types import FrameType

import structlog

from worker.adapters.allocator import give_large_blocks_back
from worker.adapters.health import HealthServer
from worker.adapters.http import CartApi
from worker.adapters.kafka import DeadLetterTopic, GroupConsumer, rebalance_timeout
from worker.adapters.logs import Mask, RateLimited
from worker.adapters.metrics import Metrics
from worker.core.delivery_config import DeliveryConfig
from worker.core.delivery_queue import DeliveryQueue
from worker.core.event import Invalid
from worker.core.large import at_once
from worker.core.state import Partition
from worker.engine.commits import Commits
from worker.engine.dead_letter_writer import DeadLetterWriter
from worker.engine.intake import Intake
from worker.engine.poll_status import PollStatus
from worker.engine.rebalance import Rebalancer
from worker.engine.retry import delays
from worker.engine.sender import Sender, encoder
from worker.engine.shared_queue import SharedQueue
from worker.engine.status import Status
from worker.engine.supervisor import Supervisor
from worker.formats import read
from worker.ports import Consumer, FatalError, Membership, Record, UnavailableError
from worker.settings import Settings

log = structlog.get_logger(__name__)

DONE, FAILED = 0, 1
#: What a revocation waits beyond a request's deadline (s), and the time that leaving the group may take.
REVOKE_MARGIN = 1.0
LEAVE_WITHIN = 5.0
#: Dead letters in one batch for their topic.
LETTERS_AT_ONCE = 100
#: The time between two accounts of the warnings that were held back (s).
COUNT_INTERVAL = 10.0
#: How long a thread may keep the interpreter from the others (s). At Python's 5 ms the intake, with a backlog to read,
#: keeps the client's thread from reading on, and the sending loop from what has been answered.
SWITCH_INTERVAL = 0.001
#: The wait between two attempts to connect at the start (s).
_LONGEST_CONNECT_WAIT = 10.0


def main(settings: Settings) -> int:
    """Runs the worker until SIGTERM or SIGINT; returns the exit code. To be called from the main thread."""
    give_large_blocks_back()
    try:
        worker = Worker(settings)
    except (OSError, ValueError) as error:
        log.critical("the worker can't start", error=str(error))
        return FAILED
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, worker.on_signal)
    # Nearly nothing here is cyclic, and the intake would pay for looking after every 700 allocations.
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    sys.setswitchinterval(SWITCH_INTERVAL)
    return worker.run()


class Worker:
    """Raises OSError or ValueError where something that it needs can't be had: the port, a file."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        optico, kafka, own = settings.optico, settings.kafka, settings.worker
        reading = settings.reading()
        rules = DeliveryConfig(
            delays(),
            window=own.collapse_window_ms / 1000,
            call_window=own.call_collapse_window_ms / 1000,
            max_pending=own.max_pending,
            max_pending_bytes=own.max_pending_bytes,
            large_at_once=at_once(optico.max_concurrency),
            max_attempts=own.max_attempts,
            rejection_limit=own.rejection_limit,
            dead_letters=kafka.dlq_topic is not None,
        )
        self._queue = queue = SharedQueue(
            DeliveryQueue(rules), letters_at_once=LETTERS_AT_ONCE if rules.dead_letters else 0
        )
        self._view = view = PollStatus(heartbeat_at=queue.clock(), last_events=dict.fromkeys(kafka.topics, 0.0))
        self._stop = threading.Event()
        self._told_to_stop = False
        self._supervisor = Supervisor(queue, view, optico.timeout_seconds, rebalance_timeout(kafka))
        status = Status(queue, view, self._supervisor.stalled, self._stop.is_set)
        metrics = Metrics(status.snapshot, kafka.topics)
        self._commits = Commits(queue, view)
        self._limited = RateLimited(limit=5, interval=10.0)
        self._next_count = 0.0
        self._intake = Intake(
            queue, view, self._commits, read, reading, optico.max_requests_per_second, self._rejected, self._warn
        )
        api = CartApi(
            optico.url,
            timeout=optico.timeout_seconds,
            ca_file=optico.ca_file,
            max_connection_age=optico.max_connection_age_seconds,
        )
        self._sender = Sender(
            queue,
            api,
            optico.api_key,
            encoder(reading),
            metrics,
            self._warn,
            optico.max_concurrency,
            None if kafka.dlq_topic is None else self._letter_writer(kafka.dlq_topic),
            patience=LEAVE_WITHIN,
        )
        self._http = HealthServer(
            own.http_host,
            own.http_port,
            metrics=metrics.exposition,
            healthz=status.healthz,
            readyz=status.readyz,
        )

    def on_signal(self, _: int, __: FrameType | None) -> None:
        """The first one drains, the second one ends the process at once."""
        if self._told_to_stop:
            os._exit(FAILED)
        self._told_to_stop = True
        self._stop.set()

    def run(self) -> int:
        """Blocks until the worker has stopped."""
        log.info(
            "the worker starts",
            topics=self._settings.kafka.topics,
            group=self._settings.kafka.group_id,
            url=self._settings.optico.url,
            http_port=self._http.port,
        )
        if self._settings.worker.rejection_limit == 0:
            log.warning("WORKER_REJECTION_LIMIT is 0: sending goes on though the API rejects everything")
        self._supervisor.start("sender", self._sender.run)
        intake = self._supervisor.start("intake", self._take_in)
        while intake.is_alive() and not self._supervisor.failed.wait(0.5):
            self._supervisor.check()
            if self._queue.clock() >= self._next_count:
                self._next_count = self._queue.clock() + COUNT_INTERVAL
                self._tell_what_was_left_out()
        self._tell_what_was_left_out()
        return self._end(intake)

    def _tell_what_was_left_out(self) -> None:
        """A burst of warnings that has ended must not hide how many there were."""
        for key, count in self._limited.left_out().items():
            event, per = key if isinstance(key, tuple) else (key, None)
            log.warning("more of the same was not logged line by line", of=event, kind=per, suppressed=count)

    def _end(self, intake: threading.Thread) -> int:
        """After a failure the worker still stops in good order if it can, so that others take over at once."""
        self._stop.set()
        if self._supervisor.failure is not None:
            intake.join(self._settings.worker.drain_timeout_seconds + LEAVE_WITHIN)
        self._queue.close()
        left = self._supervisor.join(LEAVE_WITHIN + 1.0)
        self._http.close()
        failure = self._supervisor.failure
        if failure is None:
            log.info("the worker has stopped", threads_left=left)
        else:
            log.critical("the worker ends with a failure", reason=failure, threads_left=left)
        code = DONE if failure is None else FAILED
        sys.stderr.flush()
        if left:
            os._exit(code)  # what hangs must not keep the process
        return code

    # The intake's thread.

    def _take_in(self) -> None:
        consumer = self._connect()
        if consumer is None:
            self._supervisor.allow_exit()
            return
        try:
            while not self._stop.is_set():
                self._intake.turn(consumer)
            self._drain(consumer)
        except FatalError as error:
            self._supervisor.fail(str(error))
        finally:
            self._supervisor.allow_exit()
            self._queue.close()
            consumer.close(LEAVE_WITHIN)

    def _connect(self) -> Consumer | None:
        """Tries until the brokers answer; None: told to stop before."""
        rebalancer = Rebalancer(self._queue, self._count_rebalance, self._commits.count)
        wait = 1.0
        while not self._stop.is_set():
            self._view.heartbeat_at = self._queue.clock()
            try:
                return GroupConsumer(
                    self._settings.kafka,
                    rebalancer,
                    in_flight_at_most=self._settings.optico.timeout_seconds + REVOKE_MARGIN,
                )
            except UnavailableError as error:
                log.warning("Kafka can't be reached; trying again", error=str(error), retry_in=wait)
                self._stop.wait(wait)
                wait = min(2 * wait, _LONGEST_CONNECT_WAIT)
            except FatalError as error:
                self._supervisor.fail(str(error))
                return None
        return None

    def _drain(self, consumer: Consumer) -> None:
        """Sends pending events, commits, and logs what was left."""
        started = self._queue.clock()
        deadline = started + self._settings.worker.drain_timeout_seconds
        with self._queue.locked() as deliveries:
            deliveries.drain(started, deadline - self._settings.optico.timeout_seconds)
            log.info("draining", pending=deliveries.pending, in_flight=deliveries.in_flight)
        while self._queue.clock() < deadline and self._supervisor.failure is None:
            with self._queue.locked() as deliveries:
                if deliveries.drained(self._queue.clock()):
                    break
            self._intake.turn(consumer, draining=True)
        self._supervisor.allow_exit()
        self._queue.close()
        failure = self._commit_last(consumer, deadline)
        if failure is not None:
            log.warning("the last offsets can't be committed; their next owner reads on before", error=str(failure))
        with self._queue.locked() as deliveries:
            left = deliveries.uncommitted()
            deliveries.release(list(deliveries.owned), "shutdown", self._queue.clock())
        log.info(
            "drained",
            seconds=round(self._queue.clock() - started, 3),
            left_uncommitted=left,
            committed=failure is None,
            longest_poll_gap_seconds=round(self._view.longest_gap, 3),
            next="nothing is left" if failure is None and not left else "their next owner reads them again",
        )

    def _commit_last(self, consumer: Consumer, deadline: float) -> UnavailableError | None:
        """While a member is waited for, the brokers take no commit: then again, until `deadline`."""
        failure = self._commits.now(consumer, LEAVE_WITHIN)
        while failure is not None and self._view.membership is Membership.JOINING and self._queue.clock() < deadline:
            self._intake.turn(consumer, draining=True)
            failure = self._commits.now(consumer, LEAVE_WITHIN)
        return failure

    def _letter_writer(self, topic: str) -> DeadLetterWriter:
        return DeadLetterWriter(self._queue, DeadLetterTopic(self._settings.kafka, topic, Mask(self._settings.secrets)))

    # What is told.

    def _warn(self, event: str, *, per: str, **fields: object) -> None:
        self._limited(log.warning, event, per=per, **fields)

    def _rejected(self, partition: Partition, record: Record, invalid: Invalid) -> None:
        self._warn(
            "a record was rejected; it is not sent",
            per=invalid.reason,
            reason=invalid.reason,
            topic=partition.topic,
            partition=partition.partition,
            offset=record.offset,
            entity=invalid.kind,
            path=invalid.path,
            problem=invalid.problem,
        )

    def _count_rebalance(self, kind: str) -> None:
        self._view.rebalances[kind] += 1
