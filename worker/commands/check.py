"""`optico-worker check`."""

# ruff: noqa: PLC0415 (imports inside of the command, so that `--help` answers at once)

import os

import click

from worker.commands.common import load_settings, told


@click.command(epilog="\b\nExamples:\n  optico-worker check\n  optico-worker check --key\n  optico-worker check --json")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
@click.option("--key", "try_key", is_flag=True, help="Also post the key, and nothing else, to the API.")
@click.pass_context
def check(context: click.Context, as_json: bool, try_key: bool) -> None:
    """Looks at everything that the worker needs: configuration, Kafka, rights, dead-letter topic, API, clock.

    Sends no event, commits nothing, joins no group, prints no secret. Exits with 1 if anything is red.
    """
    settings = load_settings(warn=False)
    with told():
        from worker.ops.check import run

        context.exit(run(settings, os.environ, as_json=as_json, try_key=try_key))
