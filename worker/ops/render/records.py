"""Events to render from a topic. A module of its own, as lines of a file need no client of Kafka."""

from collections.abc import Iterator
from itertools import islice

from worker.adapters.kafka.admin import open_admin
from worker.adapters.kafka.reader import Reader
from worker.core.state import Partition
from worker.ops.render import Source
from worker.ops.terminal import CommandError
from worker.settings import Kafka


def records(settings: Kafka, name: str, number: int, offset: int, count: int) -> Iterator[Source]:
    """Up to `count` records from the offset on, as far as the log goes. Blocks.

    Raises CommandError where there is nothing at that offset, UnavailableError and FatalError as Kafka does.
    """
    partition = Partition(name, number)
    with open_admin(settings) as admin:
        topic = admin.topics([name])[name]
        if topic.problem is not None:
            raise CommandError(f"topic {name}: {topic.problem}; is --topic right?")
        if partition not in topic.partitions:
            raise CommandError(f"{partition}: no such partition; the topic has {len(topic.partitions)}")
        begin, end = admin.begins([partition])[partition], admin.ends([partition])[partition]
    if not begin <= offset < end:
        raise CommandError(f"{partition}: nothing at offset {offset}; it holds {begin} up to {end - 1}")
    with Reader(settings) as reader:
        for at, record in islice(reader.read({partition: (offset, end)}), count):
            yield Source(f"{at}-{record.offset}", record.value, record.key, record.timestamp, has_key=True)
