#!/usr/bin/env python3
"""Writes what repeats values.yaml: the table in the chart's README and the descriptions in its schema.

`--check` writes nothing and fails if one is stale.
"""

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).parent / "optico-worker"
RENEW = "python helm/generate.py"
BEGIN, END = f"<!-- Generated from values.yaml by `{RENEW}`: change it there. -->", "<!-- End of what is generated. -->"


class UndescribedError(Exception):
    """A value has no comment that begins with `# --`. The message names it."""


@dataclass(frozen=True)
class Value:
    """One row: a value that is described as a whole."""

    path: tuple[str, ...]
    section: str
    description: str
    default: Any


def values(text: str) -> list[Value]:
    """Every described value, in order. Raises UndescribedError."""
    return list(_values(yaml.compose(text, yaml.SafeLoader), yaml.safe_load(text), text.splitlines(), ()))


def _values(node: yaml.Node, defaults: Any, lines: list[str], path: tuple[str, ...]) -> Iterator[Value]:
    for key, value in node.value:
        here = (*path, key.value)
        described = _comment(lines, key.start_mark.line)
        if described is not None:
            yield Value(here, _section(lines, key.start_mark.line), described, defaults[key.value])
        elif isinstance(value, yaml.MappingNode) and value.value:
            yield from _values(value, defaults[key.value], lines, here)
        else:
            raise UndescribedError(f"values.yaml: {'.'.join(here)} has no comment that begins with '# --'")


def _comment(lines: list[str], line: int) -> str | None:
    """The lines above that begin with `#`, from the one with `# --` on."""
    found: list[str] = []
    for text in map(str.strip, reversed(lines[:line])):
        if text.startswith("# -- "):
            return " ".join([text.removeprefix("# -- "), *found])
        if not text.startswith("# "):
            return None
        found.insert(0, text.removeprefix("# "))
    return None


def _section(lines: list[str], line: int) -> str:
    return next(text.removeprefix("## ") for text in reversed(lines[:line]) if text.startswith("## "))


def schema(described: list[Value], text: str) -> str:
    """The schema with the descriptions filled in."""
    document = json.loads(text)
    for value in described:
        _property(document, value.path)["description"] = value.description.replace("**Required.** ", "Required. ")
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _property(document: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    found = document
    for part in path:
        found = found["properties"][part]
    return found


def table(described: list[Value], document: dict[str, Any]) -> str:
    """The values as Markdown, a table for each section."""
    parts: list[str] = []
    section = None
    for value in described:
        if value.section != section:
            section = value.section
            parts.append(f"\n### {section}\n\n| value | type | default | what it does |\n|---|---|---|---|")
        kind = _kind(_property(document, value.path), document)
        parts.append(f"| `{'.'.join(value.path)}` | {kind} | {_default(value.default)} | {value.description} |")
    return "\n".join(parts) + "\n"


def _kind(schema: dict[str, Any], document: dict[str, Any]) -> str:
    if "$ref" in schema:
        schema = {**document["definitions"][schema["$ref"].rsplit("/", 1)[1]], **schema}
    if "enum" in schema:
        return ", ".join(f"`{word}`" for word in schema["enum"] if word)
    types = [option["type"] for option in schema.get("anyOf", [schema])]
    flat = [name for kind in types for name in (kind if isinstance(kind, list) else [kind])]
    return " or ".join(name for name in flat if name != "null")


def _default(value: Any) -> str:
    if value is None or value in ("", [], {}):
        return "-"
    return f"`{value if isinstance(value, str) else json.dumps(value)}`"


def readme(described: list[Value], document: dict[str, Any], text: str) -> str:
    """The README with its table renewed."""
    pattern = re.compile(f"{re.escape(BEGIN)}.*{re.escape(END)}", re.DOTALL)
    new = f"{BEGIN}\n{table(described, document)}\n{END}"
    return pattern.sub(lambda _: new, text)


def main(arguments: list[str], chart: Path = CHART) -> int:
    """Renews the files, or with `--check` says which are stale; returns the exit code."""
    paths = {name: chart / name for name in ("values.yaml", "values.schema.json", "README.md")}
    texts = {name: path.read_text(encoding="utf-8") for name, path in paths.items()}
    described = values(texts["values.yaml"])
    new_schema = schema(described, texts["values.schema.json"])
    new = {
        "values.schema.json": new_schema,
        "README.md": readme(described, json.loads(new_schema), texts["README.md"]),
    }
    stale = [name for name, text in new.items() if text != texts[name]]
    for name in stale:
        if "--check" in arguments:
            print(f"{paths[name]} is stale; renew it with: {RENEW}", file=sys.stderr)  # noqa: T201
        else:
            paths[name].write_text(new[name], encoding="utf-8")
    return 1 if stale and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
