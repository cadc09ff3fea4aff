"""Is an object what the API server would take? Unknown fields, and kinds that nobody knows, are errors."""

import functools
import json
from pathlib import Path
from typing import Any

from tests.chart.rendering import Document
from tests.chart.tools import library

#: Small strict schemas of our own for the operators' kinds: what the chart may write, by the operators' Go types
#: (KEDA 2.18, Prometheus operator 0.85).
_SCHEMAS = Path(__file__).parent / "schemas"
#: Kubernetes' versions that the chart is for.
VERSIONS = tuple(f"1.{minor}.0" for minor in range(28, 38))


class Validator:
    """Knows the schemas of every version; remembers what it has seen."""

    def __init__(self, kubernetes_validate: Any) -> None:
        self._library = kubernetes_validate
        self._seen: set[tuple[str, str]] = set()

    def __call__(self, document: Document, version: str) -> None:
        """Fails with the path and what is wrong there."""
        text = json.dumps(document, sort_keys=True)
        if (text, version) in self._seen:
            return
        if "." in document["apiVersion"] and not document["apiVersion"].split("/")[0].endswith(".k8s.io"):
            problem = self._custom(document)
        else:
            problem = self._known(document, version)
        where = f"{document['kind']}/{document['metadata']['name']} on Kubernetes {version}"
        assert problem is None, f"{where}: {problem}"
        self._seen.add((text, version))

    def _known(self, document: Document, version: str) -> str | None:
        errors = (self._library.ValidationError, self._library.SchemaNotFoundError)
        try:
            checked: str = self._library.validate(document, version, strict=True)
        except errors as error:
            return f"{list(getattr(error, 'path', ()))} {error.message}"
        return None if version.startswith(checked) else f"was checked against {checked}"

    def _custom(self, document: Document) -> str | None:
        error = next(_custom(document["kind"].lower()).iter_errors(document), None)
        return None if error is None else f"{error.json_path} {error.message}"


@functools.cache
def _custom(kind: str) -> Any:
    path = _SCHEMAS / f"{kind}.json"
    assert path.exists(), f"no schema of ours for {kind}"
    return library("jsonschema").Draft202012Validator(json.loads(path.read_text(encoding="utf-8")))
