"""FastStream, with aiohttp: at least once, one worker for each partition, which is what keeps its order."""

import asyncio

import aiohttp
from faststream import AckPolicy, FastStream  # type: ignore[import-not-found]
from faststream.kafka import KafkaBroker  # type: ignore[import-not-found]
from faststream.kafka.annotations import KafkaMessage  # type: ignore[import-not-found]

from tests.bench.peers.work import BOOTSTRAP, CONCURRENCY, GROUP, HEADERS, PARTITIONS, SESSION_MS, TIMEOUT, TOPIC, URL
from tests.bench.peers.work import body as form

broker = KafkaBroker(BOOTSTRAP, logger=None)
app = FastStream(broker, logger=None)
sessions: list[aiohttp.ClientSession] = []


@app.on_startup  # type: ignore[untyped-decorator]
async def connect() -> None:
    patience = aiohttp.ClientTimeout(sock_read=TIMEOUT)
    connector = aiohttp.TCPConnector(limit=CONCURRENCY)
    sessions.append(aiohttp.ClientSession(connector=connector, timeout=patience, raise_for_status=True))


@broker.subscriber(  # type: ignore[untyped-decorator]
    TOPIC,
    group_id=GROUP,
    auto_offset_reset="earliest",
    ack_policy=AckPolicy.NACK_ON_ERROR,
    max_workers=PARTITIONS,
    session_timeout_ms=SESSION_MS,
)
async def send(_: bytes, message: KafkaMessage) -> None:
    async with sessions[0].post(URL, data=form(message.body), headers=HEADERS) as answer:
        await answer.read()


if __name__ == "__main__":
    asyncio.run(app.run())
