#!/usr/bin/env python3
"""Writes the pages that repeat what the code says. `--check` writes nothing and fails if one is stale."""

import sys
from pathlib import Path

from pydantic.fields import FieldInfo

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
  mounted secrets are used (`OPTICO_API_KEY_FILE=/run/secrets/optico_api_key`). One trailing newline is dropped. Both at
  once are an error.
- **Empty** counts as unset: `KAFKA_GROUP_ID=` gives the default.
- **Misspelt.** An unknown variable that begins with `KAFKA_`, `OPTICO_` or `WORKER_` is warned of at the start, with
  the nearest known name. Kubernetes' own service variables (such as `KAFKA_PORT_9092_TCP`) are not.
- **Secrets** are never logged, printed or exported. A key that was given as a file can be replaced while the worker
  runs: it reads the file again when the API refuses the key.
- Where a value is one of several words, capitals don't matter.

The least that is needed:

```sh
KAFKA_BOOTSTRAP_SERVERS=kafka:9092
KAFKA_TOPICS=carts,orders
OPTICO_API_KEY_FILE=/run/secrets/optico_api_key
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
    default = "**required**" if field.is_required() else "-" if field.default is None else f"`{field.default}`"
    secret = " **Secret.**" if notes(field)["secret"] else ""
    return f"| `{name}` | {default} | {allowed(field)} | {field.description}{secret} |"


PAGES = {"configuration.md": configuration}


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
