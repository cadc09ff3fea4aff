"""What the brokers answer in passing is asked again; what they refuse is not."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.brokers.kafka import ExternalCluster, KafkaCluster
from tests.conftest import TopicFactory
from worker.adapters.kafka.admin import KafkaAdmin
from worker.core.state import Partition
from worker.ports import FatalError, UnavailableError
from worker.settings import load

LOADING, NOT_AVAILABLE, MOVED, TIMED_OUT, NO_LEADER, REFUSED = 14, 15, 16, 7, 5, 30
PATIENCE = 1.5


class Muddled:
    """The brokers' true answers to one kind of request, with these error codes in the first of them."""

    def __init__(self, admin: KafkaAdmin, request: str, codes: list[int]) -> None:
        self._codes = codes
        self._request = request
        self._send = admin._client._manager.send
        self.asked: list[float] = []
        admin._client._manager.send = self

    async def __call__(self, request: Any, *arguments: Any, **options: Any) -> Any:
        answer = await self._send(request, *arguments, **options)
        if type(request).__name__.startswith(self._request):
            self.asked.append(time.monotonic())
            if self._codes:
                self._spoil(answer, self._codes.pop(0))
        return answer

    @staticmethod
    def _spoil(answer: Any, code: int) -> None:
        if hasattr(answer, "groups"):
            answer.groups[0].error_code = code
        elif hasattr(answer.topics[0], "error_code"):
            answer.topics[0].error_code = code
        else:
            answer.topics[0].partitions[0].error_code = code


@pytest.fixture
def admin(kafka: KafkaCluster | ExternalCluster) -> Iterator[KafkaAdmin]:
    settings = load({"KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap, "KAFKA_TOPICS": "carts", "OPTICO_API_KEY": "fake"})
    with KafkaAdmin(settings.kafka, PATIENCE) as admin:
        yield admin


@pytest.mark.parametrize("code", [LOADING, NOT_AVAILABLE, MOVED, TIMED_OUT])
def test_a_group_whose_coordinator_is_not_ready_is_asked_for_again(admin: KafkaAdmin, group: str, code: int) -> None:
    brokers = Muddled(admin, "DescribeGroups", [code, code])

    assert admin.group(group).state == "Dead"
    assert len(brokers.asked) == 3


def test_the_questions_come_further_and_further_apart(admin: KafkaAdmin, group: str) -> None:
    brokers = Muddled(admin, "DescribeGroups", [LOADING] * 3)

    admin.group(group)

    first, *_, last = (after - before for before, after in zip(brokers.asked, brokers.asked[1:], strict=False))
    assert 0.05 < first < last


def test_a_coordinator_that_never_gets_ready_is_given_up_in_time_and_in_words(admin: KafkaAdmin, group: str) -> None:
    Muddled(admin, "DescribeGroups", [LOADING] * 1000)
    started = time.monotonic()

    with pytest.raises(UnavailableError, match=f"describing group {group}: .*CoordinatorLoadInProgress"):
        admin.group(group)

    assert PATIENCE * 0.9 < time.monotonic() - started < PATIENCE + 1


def test_a_group_that_is_refused_is_not_asked_for_again(admin: KafkaAdmin, group: str) -> None:
    brokers = Muddled(admin, "DescribeGroups", [REFUSED])

    with pytest.raises(FatalError, match=f"describing group {group}: .*GroupAuthorizationFailed"):
        admin.group(group)

    assert len(brokers.asked) == 1


def test_offsets_are_read_and_set_though_the_coordinator_moves(
    admin: KafkaAdmin, topic: TopicFactory, group: str
) -> None:
    at = Partition(topic(), 0)
    written = Muddled(admin, "OffsetCommit", [MOVED])
    read = Muddled(admin, "OffsetFetch", [LOADING])

    admin.commit(group, {at: 0})

    assert admin.committed(group) == {at: 0}
    assert (len(written.asked), len(read.asked)) == (2, 2)


def test_a_topic_without_a_leader_for_a_moment_is_looked_at_again(admin: KafkaAdmin, topic: TopicFactory) -> None:
    name = topic()
    brokers = Muddled(admin, "Metadata", [NO_LEADER])

    assert admin.topics([name])[name].problem is None
    assert len(brokers.asked) == 2


def test_a_topic_that_stays_without_a_leader_is_told_as_it_is(admin: KafkaAdmin, topic: TopicFactory) -> None:
    name = topic()
    Muddled(admin, "Metadata", [NO_LEADER] * 1000)

    assert admin.topics([name])[name].problem == "LeaderNotAvailableError"


def test_a_topic_that_does_not_exist_is_told_at_once(admin: KafkaAdmin) -> None:
    brokers = Muddled(admin, "Metadata", [])

    assert not admin.topics(["nowhere-carts"])["nowhere-carts"].exists
    assert len(brokers.asked) == 1
