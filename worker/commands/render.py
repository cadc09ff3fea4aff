"""`optico-worker render`."""

# ruff: noqa: PLC0415 (imports inside of the command, so that `--help` answers at once)

import os
import sys
from dataclasses import replace
from typing import IO, TYPE_CHECKING

import click

from worker.commands.common import CONNECTION, READING, load_settings, told

if TYPE_CHECKING:
    from worker.formats import ReadConfig
    from worker.settings import Settings

_KEY = "OPTICO_API_KEY"


@click.command(
    epilog="\b\nExamples:\n"
    "  optico-worker render events.jsonl\n"
    "  my-producer --print | optico-worker render --strict\n"
    "  optico-worker render --topic shop.carts --partition 3 --offset 1042 --count 5"
)
@click.argument("file", type=click.File("rb"), required=False)
@click.option("--topic", help="Events of this topic, whose prefix ids get (WORKER_ID_PREFIXES).")
@click.option("--partition", type=click.IntRange(min=0), help="With --topic: reads its records instead of FILE.")
@click.option("--offset", type=click.IntRange(min=0), help="With --partition: the first record.")
@click.option("--count", type=click.IntRange(min=1), default=1, show_default=True, help="With --partition: how many.")
@click.option("--strict", is_flag=True, help="What the worker would have to repair is an error, too.")
@click.option("--json", "as_json", is_flag=True, help="A JSON object for each event, one a line.")
@click.pass_context
def render(
    context: click.Context,
    *,
    file: IO[bytes] | None,
    topic: str | None,
    partition: int | None,
    offset: int | None,
    count: int,
    strict: bool,
    as_json: bool,
) -> None:
    """Prints the request that each event would become, or why it would be rejected. Nothing is sent.

    Reads FILE, or standard input: JSON lines, one object over several lines, or an array. With --partition and --offset
    it reads records of a topic instead, which needs KAFKA_BOOTSTRAP_SERVERS. Of the configuration only what concerns
    reading counts. Exits with 1 if any event is rejected, or with --strict needs a repair.
    """
    if topic is None and (partition is not None or offset is not None):
        raise click.UsageError("--partition and --offset belong to --topic.")
    if (partition is None) != (offset is None):
        raise click.UsageError("--partition and --offset belong together.")
    if partition is not None and file is not None:
        raise click.UsageError("--partition reads records of the topic: leave FILE out.")
    has_key = any(name in os.environ for name in (_KEY, f"{_KEY}_FILE"))
    reads = (*READING, *((_KEY,) if has_key else ()), *(CONNECTION if partition is not None else ()))
    settings = load_settings(reads)
    with told():
        from worker.ops import render as ops
        from worker.ops.render.values import values

        config = _config(settings, topic, has_key=has_key)
        if topic is None or partition is None or offset is None:
            sources = values(sys.stdin.buffer if file is None else file)
        else:
            from worker.ops.render.records import records

            sources = records(settings.kafka, topic, partition, offset, count)
        context.exit(ops.render(sources, config, strict=strict, as_json=as_json))


def _config(settings: "Settings", topic: str | None, *, has_key: bool) -> "ReadConfig":
    """How events of the topic are read. Without a topic the prefix must be the same for all."""
    from worker.formats.config import KEY_LENGTH

    config = settings.reading()
    if not has_key:
        config = replace(config, limits=replace(config.limits, key_bytes=KEY_LENGTH))
    if topic is not None:
        return config.for_topic(topic)
    topics = {name.strip() for name in os.environ.get("KAFKA_TOPICS", "").split(",") if name.strip()}
    prefixes = {config.id_prefixes.get(name, "") for name in topics or config.id_prefixes}
    if len(prefixes) > 1:
        raise click.UsageError("the topics' prefixes differ (WORKER_ID_PREFIXES): say which topic with --topic.")
    return replace(config, id_prefix=next(iter(prefixes), ""))
