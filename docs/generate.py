#!/usr/bin/env python3
"""Writes the pages that repeat what the code says. `--check` writes nothing and fails if one is stale."""

import sys
from collections.abc import Iterable
from pathlib import Path

from prometheus_client.core import Metric
from pydantic.fields import FieldInfo

from worker.adapters.metrics import LABELS, PREFIX, Metrics
from worker.formats import REPAIRS
from worker.ports import Snapshot
from worker.settings import GROUPS
from worker.settings.fields import allowed, notes

DOCS = Path(__file__).parent
RENEW = "python docs/generate.py"

CONFIGURATION = f"""\
<!-- Generated from worker/settings by `{RENEW}`: change it there. -->

# Configuration

The worker is configured by environment variables alone. `optico-worker run` names everything that is wrong with them at
once and exits with 2.

- **Files.** Every variable can be read from a file instead: `NAME_FILE=/path` in place of `NAME=value`, which is how
  mounted secrets are used (`OPTICO_API_KEY_FILE=/run/secrets/optico-api-key`). One trailing newline is dropped. Both at
  once are an error.
- **Empty** counts as unset: `KAFKA_GROUP_ID=` gives the default.
- **Misspelt.** An unknown variable that begins with `KAFKA_`, `OPTICO_` or `WORKER_` is warned of at the start, with
  the nearest known name if one is near. Kubernetes' own service variables (such as `KAFKA_PORT_9092_TCP`) are not.
- **Secrets** are never logged, printed or exported. A key that was given as a file can be replaced while the worker
  runs: it reads the file again when the API refuses the key.
- Where a value is one of several words, capitals don't matter.
- **Proxies.** `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` are obeyed for requests to the API, as by most
  programs, where they name an `http://` proxy; another one is refused at the start. The key passes through a proxy in
  clear if `OPTICO_URL` is not https.
- **Refused by Kafka.** A wrong user or password ends the process with a reason, because waiting would not help. If the
  broker closes the connection before its reason is read, the log says what that may mean, and the worker tries again.
  The worker waits for brokers that are away.

The least that is needed:

```sh
export KAFKA_BOOTSTRAP_SERVERS=kafka-1:9092,kafka-2:9092
export KAFKA_TOPICS=shop.carts
export OPTICO_API_KEY_FILE=/run/secrets/optico-api-key
optico-worker run
```
"""
HEAD = ("| name | default | allowed | what it does |", "|---|---|---|---|")


def configuration() -> str:
    """The page on the variables, a table for each prefix."""
    sections = [CONFIGURATION]
    for group, model in GROUPS.items():
        rows = [_row(f"{group}_{name}".upper(), field) for name, field in model.model_fields.items()]
        sections.append("\n".join([f"## `{group.upper()}_`\n\n{model.__doc__}\n", *HEAD, *rows, ""]))
    return "\n".join(sections)


def _row(name: str, field: FieldInfo) -> str:
    default = "**required**" if field.is_required() else "-" if field.default in (None, "") else f"`{field.default}`"
    secret = " **Secret.**" if notes(field)["secret"] else ""
    return f"| `{name}` | {default} | {allowed(field)} | {field.description}{secret} |"


METRICS = f"""\
<!-- Generated from worker/adapters/metrics.py by `{RENEW}`: change it there. -->

# Metrics

Served at `/metrics` in Prometheus' text format, from the first moment on; every series whose labels are known starts at
zero. Durations are in seconds, points in time in UNIX seconds (0: never). No label holds an id. Series of a partition
exist only on the worker that owns it.

| metric | type | labels | what it says |
|---|---|---|---|
"""


def metrics() -> str:
    """The page on the metrics: one scrape of a worker that has done nothing."""
    nothing = Snapshot.nothing()
    families = Metrics(lambda: nothing, topics=("carts",)).registry.collect()
    return METRICS + "".join(sorted(_metric(family) for family in families))


def _metric(family: Metric) -> str:
    name = family.name + ("_total" if family.type == "counter" else "")
    labels: dict[str, dict[str, None]] = {label: {} for label in LABELS.get(name.removeprefix(PREFIX), ())}
    for sample in family.samples:
        for label, value in sample.labels.items():
            if label != "le":
                labels.setdefault(label, {})[value] = None
    told = "; ".join(_label(name, values) for name, values in labels.items()) or "-"
    return f"| `{name}` | {family.type} | {told} | {family.documentation} |\n"


def _label(name: str, values: Iterable[str]) -> str:
    fixed = [] if name in ("topic", "partition", "version", "python") else [f"`{value}`" for value in values]
    return f"`{name}`: {', '.join(fixed)}" if fixed else f"`{name}`"


REPAIRS_BEGIN = f"<!-- Generated from worker/formats/repairs.py by `{RENEW}`: change it there. -->"
REPAIRS_END = "<!-- End of the generated table. -->"


def events() -> str:
    """The page on events with its table of repairs."""
    page = (DOCS / "events.md").read_text(encoding="utf-8")
    before, _, rest = page.partition(REPAIRS_BEGIN)
    after = rest.partition(REPAIRS_END)[2]
    rows = [f"| `{repair.label}` | {repair.found} | {repair.result} |" for repair in REPAIRS]
    table = "\n".join(["", "", "| repair | a record holds | what is sent |", "|---|---|---|", *rows, "", ""])
    return f"{before}{REPAIRS_BEGIN}{table}{REPAIRS_END}{after}"


PAGES = {"configuration.md": configuration, "events.md": events, "metrics.md": metrics}


def main(arguments: list[str]) -> int:
    stale = {name: text for name, page in PAGES.items() if not _is(DOCS / name, text := page())}
    if "--check" in arguments:
        for name in stale:
            print(f"docs/{name} is stale; renew it with: {RENEW}", file=sys.stderr)  # noqa: T201
        return 1 if stale else 0
    for name, text in stale.items():
        (DOCS / name).write_text(text, encoding="utf-8")
    return 0


def _is(path: Path, text: str) -> bool:
    return path.exists() and path.read_text(encoding="utf-8") == text


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
