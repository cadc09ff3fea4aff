"""The schema as other programs read it: a validator in strict mode, generated TypeScript, generated Python."""

import importlib.util
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from tests.ops.program import inside
from tests.producers import page
from tests.producers.samples import BAD, GOOD
from tests.producers.tools import HERE

_NODE_SAMPLES = """
import { cartEvent, orderEvent, visitOf } from "./events.mjs";
const lines = [{ sku: "31", name: "Belt", quantity: 1, cents: 1250, options: { Size: "L" } }];
const visitId = visitOf({ optico_visitId: "3617898c651df0f8617f70a0" });
const order = { id: 1001, cartId: 42, currency: "EUR", status: "Open", lines, visitId };
console.log(JSON.stringify([cartEvent({ id: 42, currency: "EUR", lines }, visitId), orderEvent(order)]));
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With the schema, as the command prints it."""
    (tmp_path / "events.schema.json").write_text(inside("schema").out, "utf-8")
    return tmp_path


@pytest.fixture
def packages(folder: Path, node_modules: Path) -> Path:
    (folder / "node_modules").symlink_to(node_modules)
    return folder


def run(folder: Path, *command: str) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def render(folder: Path, events: Sequence[bytes]) -> list[str]:
    """The outcomes; `render --strict` must have accepted all of them."""
    (folder / "events.jsonl").write_bytes(b"\n".join(events))
    answer = inside("render", "--strict", "--json", str(folder / "events.jsonl"))
    assert answer.code == 0, answer.out + answer.err
    return [found["outcome"] for found in answer.json_lines]


def test_the_samples_need_no_repair(tmp_path: Path) -> None:
    assert render(tmp_path, [json.dumps(event).encode() for event in GOOD]) == ["sent"] * len(GOOD)


def test_ajv_takes_the_schema_in_strict_mode(node: str, packages: Path) -> None:
    (packages / "schema.mjs").write_text((HERE / "node" / "schema.mjs").read_text("utf-8"), "utf-8")
    (packages / "events.json").write_text(json.dumps([*GOOD, *BAD.values()]), "utf-8")

    said = json.loads(run(packages, node, "schema.mjs"))

    assert said["complaints"] == []
    assert said["accepted"] == [True] * len(GOOD) + [False] * len(BAD)


def test_generated_typescript_takes_what_the_worker_takes(node: str, packages: Path) -> None:
    """One run of the compiler: what must not compile stands under a directive that fails if it does."""
    page.write(packages, "events.mjs")
    good = [*GOOD, *json.loads(run(packages, node, "--input-type=module", "--eval", _NODE_SAMPLES))]
    title = json.loads((packages / "events.schema.json").read_text("utf-8"))["title"]
    run(packages, node, "node_modules/.bin/json2ts", "events.schema.json", "events.d.ts")
    lines = [f'import type {{ {title} }} from "./events";']
    lines += [f"export const good{n}: {title} = {json.dumps(event)};" for n, event in enumerate(good)]
    for n, (what, event) in enumerate(BAD.items()):
        lines += [f"// @ts-expect-error {what}", f"export const bad{n}: {title} = {json.dumps(event)};"]
    (packages / "sample.ts").write_text("\n".join(lines), "utf-8")

    run(packages, node, "node_modules/.bin/tsc", "--strict", "--noEmit", "--target", "es2022", "sample.ts")


def test_generated_python_makes_events_that_need_no_repair(folder: Path, datamodel_codegen: Sequence[str]) -> None:
    options = ["--output-model-type", "pydantic_v2.BaseModel", "--use-annotated"]
    run(folder, *datamodel_codegen, "--input", "events.schema.json", "--output", "event_types.py", *options)
    spec = importlib.util.spec_from_file_location("event_types", folder / "event_types.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "event_types", module)  # pydantic looks there for what a name means
        spec.loader.exec_module(module)
    title = json.loads((folder / "events.schema.json").read_text("utf-8"))["title"]
    event: TypeAdapter[Any] = TypeAdapter(getattr(module, title))

    made = [event.dump_json(event.validate_python(good), exclude_unset=True) for good in GOOD]

    assert render(folder, made) == ["sent"] * len(GOOD)
    for what, bad in BAD.items():
        with pytest.raises(ValidationError):
            pytest.fail(f"{what}: {event.validate_python(bad)!r}")
