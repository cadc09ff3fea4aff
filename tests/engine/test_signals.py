"""Signals to a worker that ends, or not."""

import os
import signal
import threading

import pytest
from structlog.testing import capture_logs

from tests.integration.process import KEY
from worker import app
from worker.app import Worker
from worker.settings import load

SETTINGS = {
    "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9",
    "KAFKA_TOPICS": "carts",
    "OPTICO_API_KEY": KEY,
    "WORKER_HTTP_HOST": "127.0.0.1",
    "WORKER_HTTP_PORT": "0",
}


def test_the_first_signal_to_a_worker_that_ends_by_itself_is_not_the_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends in good order: a kubelet that sees it unwell must not cut that off."""
    ended: list[int] = []
    monkeypatch.setattr(os, "_exit", ended.append)
    worker = Worker(load(SETTINGS))
    worker._supervisor.fail("something")
    assert worker.run() == 1
    worker.on_signal(signal.SIGTERM, None)
    assert ended == []
    worker.on_signal(signal.SIGTERM, None)
    assert ended == [1]


def test_a_stop_does_not_wait_for_a_thread_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as one that writes dead letters to brokers that do not answer: the pod's grace would be over first."""
    ended: list[int] = []
    monkeypatch.setattr(os, "_exit", ended.append)
    monkeypatch.setattr(app, "LEAVE_WITHIN", -0.9)
    worker = app.Worker(load(SETTINGS))
    release = threading.Event()

    def hang() -> None:
        release.wait(60)

    worker._supervisor.start("hangs", hang)
    worker.on_signal(signal.SIGTERM, None)
    assert worker.run() == 0
    release.set()
    assert ended == [0]


def test_a_worker_that_nothing_stops_from_giving_up_everything_says_so_at_its_start() -> None:
    worker = Worker(load(SETTINGS | {"WORKER_REJECTION_LIMIT": "0"}))
    worker._supervisor.fail("enough")
    with capture_logs() as lines:
        worker.run()
    assert any("WORKER_REJECTION_LIMIT is 0" in line["event"] for line in lines)
