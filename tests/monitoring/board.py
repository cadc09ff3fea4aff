"""The dashboard's expressions, with values for its variables."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from tests.monitoring.rules import ROOT

FILE = ROOT / "helm" / "optico-worker" / "files" / "dashboards" / "optico-worker.json"
BOARD: Final[dict[str, Any]] = json.loads(FILE.read_text())
PANELS: Final[list[dict[str, Any]]] = [panel for panel in BOARD["panels"] if panel["type"] != "row"]
VARIABLES: Final[dict[str, dict[str, Any]]] = {variable["name"]: variable for variable in BOARD["templating"]["list"]}
#: Everything is chosen; the spans of time are those of a short run.
_VALUES = {"namespace": ".*", "job": ".*", "pod": ".*", "topic": ".*", "__rate_interval": "1m", "__range": "1h"}


@dataclass(frozen=True)
class Query:
    """`where`: for people; `legend`: its template, with labels as `{{label}}`."""

    where: str
    expr: str
    legend: str = ""


def filled_in(expr: str) -> str:
    """As Grafana sends it; KeyError for a variable that there is not."""
    return re.sub(r"\$\{?(\w+)\}?", lambda found: _VALUES[found[1]], expr)


def _queries() -> Iterator[Query]:
    for panel in PANELS:
        for target in panel["targets"]:
            where = f"{panel['title']} {target['refId']}"
            yield Query(where, filled_in(target["expr"]), target["legendFormat"])


def _variables() -> Iterator[Query]:
    """`label_values(SERIES, LABEL)`: which series of that label there are."""
    for name, variable in VARIABLES.items():
        if variable["type"] == "query":
            found = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]["query"])
            assert found is not None, variable
            yield Query(f"variable {name}", f"count by ({found[2]}) ({filled_in(found[1])})", f"{{{{{found[2]}}}}}")


QUERIES = [*_queries(), *_variables()]
