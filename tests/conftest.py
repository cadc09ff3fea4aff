"""Brokers for the tests, started when the first test asks for one.

A real Kafka is fetched once (`tests.programs`). Where it can't be had, the tests that want one are skipped on a
developer's machine and fail in CI, where a skipped test would prove nothing.
"""

import logging
import os
import secrets
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, NoReturn, Protocol

import pytest
import structlog
from hypothesis import HealthCheck, is_hypothesis_test, settings

from tests.brokers.distribution import MissingError
from tests.brokers.kafka import ExternalCluster, KafkaCluster
from tests.scheduling import FromBothEnds
from worker.sandbox.broker import EmbeddedBroker

_REAL = {"kafka", "kafka_cluster", "topic"}


# How long an input takes to be drawn says how busy the machine is, not whether the test is right.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")


class TopicFactory(Protocol):
    """Creates a topic with a name of its own and returns the name."""

    def __call__(self, partitions: int = 1, replication: int = -1, **config: str) -> str: ...


class ClusterFactory(Protocol):
    """Starts a cluster for one test, with KafkaCluster's arguments; it is gone at the test's end."""

    def __call__(self, brokers: int = 1, **options: Any) -> KafkaCluster: ...


def pytest_configure(config: pytest.Config) -> None:
    # With --no-cov pytest-cov trips over the marker no_cover.
    if config.getoption("no_cov", default=False) and config.pluginmanager.has_plugin("_cov"):
        config.pluginmanager.unregister(name="_cov")
    # kafka-python reads its schemas with a function that Python 3.11 and 3.12 call deprecated.
    for name in ("read_text", "open_text"):
        config.addinivalue_line("filterwarnings", f"ignore:{name} is deprecated:DeprecationWarning")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Who asks for a real broker is an integration test, said or not.

    Coverage counts what examples reach, not what chance did: so the figure is the same each time, and thousands of
    random inputs take half the time.
    """
    for item in items:
        if _REAL & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.integration)
        if is_hypothesis_test(getattr(item, "obj", None)):
            item.add_marker(pytest.mark.no_cover)


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """Commands that run in the test's process set up logging for good; whatever test comes next must not see it."""
    loggers = [logging.getLogger(), logging.getLogger("kafka"), *_loggers_below("kafka.")]
    before = [(logger, logger.level, logger.propagate, list(logger.handlers)) for logger in loggers]
    configured = structlog.get_config()
    yield
    for logger in _loggers_below("kafka."):
        logger.setLevel(logging.NOTSET)
    for logger, level, propagate, handlers in before:
        logger.setLevel(level)
        logger.propagate, logger.handlers = propagate, handlers
    structlog.configure(**configured)


def _loggers_below(prefix: str) -> list[logging.Logger]:
    known = logging.getLogger().manager.loggerDict
    return [one for name, one in known.items() if name.startswith(prefix) and isinstance(one, logging.Logger)]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> FromBothEnds:
    return FromBothEnds(config, log)


@pytest.fixture(scope="session")
def kafka() -> Iterator[KafkaCluster | ExternalCluster]:
    """One broker for all tests: KAFKA_TEST_BOOTSTRAP_SERVERS, or one of our own. Not to be stopped."""
    external = ExternalCluster.from_environment()
    if external is not None:
        yield external
        return
    with ExitStack() as stack:
        yield _start(stack, KafkaCluster())


@pytest.fixture
def topic(kafka: KafkaCluster | ExternalCluster) -> Iterator[TopicFactory]:
    """A factory of topics on `kafka`, which are deleted at the test's end."""
    with ExitStack() as stack:

        def create(partitions: int = 1, replication: int = -1, **config: str) -> str:
            name = f"test-{secrets.token_hex(6)}"
            kafka.create_topic(name, partitions, replication, {key.replace("_", "."): config[key] for key in config})
            stack.callback(kafka.delete_topic, name)
            return name

        yield create


@pytest.fixture
def group() -> str:
    """The name of a consumer group that nobody else uses."""
    return f"test-{secrets.token_hex(6)}"


@pytest.fixture
def kafka_cluster() -> Iterator[ClusterFactory]:
    """A factory of clusters whose brokers the test may stop and kill."""
    if ExternalCluster.from_environment() is not None:
        absent("this test stops brokers, which those of KAFKA_TEST_BOOTSTRAP_SERVERS are not for")
    with ExitStack() as stack:

        def start(brokers: int = 1, **options: Any) -> KafkaCluster:
            return _start(stack, KafkaCluster(brokers, **options))

        yield start


@pytest.fixture(scope="session")
def embedded() -> Iterator[EmbeddedBroker]:
    """The demo's broker, for all tests: quick, but not quite Kafka."""
    with EmbeddedBroker() as broker:
        yield broker


def _start(stack: ExitStack, cluster: KafkaCluster) -> KafkaCluster:
    try:
        return stack.enter_context(cluster)
    except MissingError as missing:
        absent(str(missing))


def absent(reason: str) -> NoReturn:
    if os.environ.get("CI"):
        pytest.fail(f"in CI nothing may be skipped: {reason}", pytrace=False)
    pytest.skip(reason)
