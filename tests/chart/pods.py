"""A rendered pod, looked at as its container will see it: variables, files, command."""

import base64
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.chart.rendering import Document

#: What a Secret or ConfigMap of the user's own holds, and where it is certificates.
FAKE = "fake-0123456789"
AUTHORITY = Path(__file__).with_name("authority.pem").read_text(encoding="utf-8")


def pod_specs(found: Sequence[Document]) -> Iterator[tuple[str, Document]]:
    """Every pod that comes of these objects, with the name of the object."""
    for each in found:
        name = f"{each['kind']}/{each['metadata']['name']}"
        if each["kind"] == "Pod":
            yield name, each["spec"]
        elif each["kind"] in {"Deployment", "StatefulSet", "Job"}:
            yield name, each["spec"]["template"]["spec"]


def own_container(pod: Document) -> Document:
    """The one that runs our program."""
    found: list[Document] = [each for each in pod["containers"] if each.get("command") == ["optico-worker"]]
    assert len(found) == 1
    return found[0]


def variables(found: Sequence[Document], container: Document) -> list[tuple[str, str]]:
    """The environment in order, with what occurs twice; a field's value is the field's path in angle brackets."""
    result: list[tuple[str, str]] = []
    for source in container.get("envFrom", ()):
        if "configMapRef" in source:
            result += _data(found, "ConfigMap", source["configMapRef"]["name"]).items()
    for each in container.get("env", ()):
        result.append((each["name"], each["value"] if "value" in each else f"<{_field(each)}>"))
    return result


def _field(variable: Document) -> str:
    ((kind, reference),) = variable["valueFrom"].items()
    return str(reference.get("fieldPath", kind))


def environment(found: Sequence[Document], pod: Document, folder: Path) -> dict[str, str]:
    """The environment of our container, whose mounted files are laid down in `folder`."""
    container = own_container(pod)
    mounts = {each["name"]: each["mountPath"] for each in container["volumeMounts"]}
    _lay_down(found, pod, folder)
    result = {}
    for name, value in variables(found, container):
        inside = value.startswith(f"{mounts['files']}/")
        result[name] = str(folder / value.removeprefix(f"{mounts['files']}/")) if inside else value.strip("<>")
    return result


def _lay_down(found: Sequence[Document], pod: Document, folder: Path) -> None:
    (volume,) = [each for each in pod["volumes"] if each["name"] == "files"]
    for source in volume["projected"]["sources"]:
        ((kind, reference),) = source.items()
        data = _data(found, {"secret": "Secret", "configMap": "ConfigMap"}[kind], reference["name"])
        for item in reference["items"]:
            path = folder / item["path"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(data[item["key"]], encoding="utf-8")


class _Foreign(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return AUTHORITY if key.endswith(".crt") else FAKE


def _data(found: Sequence[Document], kind: str, name: str) -> Mapping[str, str]:
    """The data of an object; one that is not ours holds something fake under every key."""
    for each in found:
        if (each["kind"], each["metadata"]["name"]) == (kind, name):
            return {key: _text(kind, value) for key, value in each["data"].items()}
    assert not name.startswith("rel-optico-worker"), f"{kind} {name} is ours by its name, but is not there"
    return _Foreign()


def _text(kind: str, value: Any) -> str:
    return base64.b64decode(value).decode() if kind == "Secret" else str(value)
