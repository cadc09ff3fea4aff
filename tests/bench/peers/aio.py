"""aiokafka and aiohttp: what `getmany` brings is sent at once, so many at a time, then committed."""

import asyncio
from itertools import chain
from typing import Any

import aiohttp
from aiokafka import AIOKafkaConsumer  # type: ignore[import-not-found]

from tests.bench.peers.work import BOOTSTRAP, CONCURRENCY, GROUP, HEADERS, SESSION_MS, TIMEOUT, TOPIC, URL, body


async def main() -> None:
    consumer = AIOKafkaConsumer(
        TOPIC,
        bootstrap_servers=BOOTSTRAP,
        group_id=GROUP,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        session_timeout_ms=SESSION_MS,
    )
    await consumer.start()
    connector = aiohttp.TCPConnector(limit=CONCURRENCY)
    patience = aiohttp.ClientTimeout(sock_read=TIMEOUT)
    async with aiohttp.ClientSession(connector=connector, timeout=patience, raise_for_status=True) as session:

        async def send(record: Any) -> None:
            async with session.post(URL, data=body(record.value), headers=HEADERS) as answer:
                await answer.read()

        try:
            while True:
                batches = await consumer.getmany(timeout_ms=500, max_records=500)
                if batches:
                    await asyncio.gather(*map(send, chain.from_iterable(batches.values())))
                    await consumer.commit()
        finally:
            await consumer.stop()


if __name__ == "__main__":
    asyncio.run(main())
