"""The limit of intake: kafka-python's poll and orjson, nothing else. Prints records a second."""

import sys
import time

import orjson
from kafka import KafkaConsumer, TopicPartition

PARTITIONS = 4


def main(bootstrap: str, topic: str, records: int) -> None:
    consumer = KafkaConsumer(
        bootstrap_servers=bootstrap,
        group_id=None,
        max_poll_records=1000,
        max_partition_fetch_bytes=256 * 1024,
        fetch_max_bytes=8 * 1024 * 1024,
        metrics_enabled=False,
    )
    consumer.assign([TopicPartition(topic, partition) for partition in range(PARTITIONS)])
    consumer.seek_to_beginning()
    read, first, started = 0, 0, None
    while read < records:
        for batch in consumer.poll(timeout_ms=500).values():
            for record in batch:
                orjson.loads(record.value)
            read += len(batch)
        if started is None and read:  # connecting is not reading
            started, first = time.perf_counter(), read
    print((read - first) / (time.perf_counter() - (started or 0.0)))  # noqa: T201
    consumer.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
