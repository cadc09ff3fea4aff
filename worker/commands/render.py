"""`optico-worker render`."""

# ruff: noqa: PLC0415 (imports inside of the command, so that `--help` answers at once)

import sys
from typing import IO

import click

from worker.commands.common import CONNECTION, load_settings, told

_DEFAULTS = "WORKER_DEFAULT_"


@click.command(
    epilog="\b\nExamples:\n"
    "  optico-worker render events.jsonl\n"
    "  my-producer --print | optico-worker render --json\n"
    "  optico-worker render --topic shop.carts --partition 3 --offset 1042 --count 5"
)
@click.argument("file", type=click.File("rb"), required=False)
@click.option("--topic", help="Reads records of this topic instead; needs KAFKA_BOOTSTRAP_SERVERS.")
@click.option("--partition", type=click.IntRange(min=0), help="With --topic.")
@click.option("--offset", type=click.IntRange(min=0), help="With --topic: the first record.")
@click.option("--count", type=click.IntRange(min=1), default=1, show_default=True, help="With --topic: how many.")
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
    as_json: bool,
) -> None:
    """Prints the request that each event would become, or why it would be rejected. Nothing is sent.

    Reads FILE, or standard input: JSON lines. Of the configuration only WORKER_DEFAULT_CURRENCY and
    WORKER_DEFAULT_ORDER_STATUS count. Exits with 1 if any event is rejected.
    """
    if topic is None and (partition is not None or offset is not None):
        raise click.UsageError("--partition and --offset belong to --topic.")
    if topic is not None and (file is not None or partition is None or offset is None):
        raise click.UsageError("--topic needs --partition and --offset, and no FILE.")
    settings = load_settings((_DEFAULTS,) if topic is None else (_DEFAULTS, *CONNECTION))
    with told():
        from worker.core.event import Defaults
        from worker.ops import render as ops

        defaults = Defaults(settings.worker.default_currency, settings.worker.default_order_status)
        if topic is None or partition is None or offset is None:
            sources = ops.lines(sys.stdin.buffer if file is None else file)
        else:
            from worker.ops.render.records import records

            sources = records(settings.kafka, topic, partition, offset, count)
        context.exit(ops.render(sources, defaults, as_json=as_json))
