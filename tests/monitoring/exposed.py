"""What the worker exposes: names, labels and their values, from a worker's registry that owns one partition."""

from dataclasses import replace

from prometheus_client.core import Metric

from tests.monitoring.promql import Labels, labels, problems
from tests.monitoring.rules import RECORDS
from worker.adapters.metrics import Metrics
from worker.core.state import Partition
from worker.ports import PartitionState, Snapshot

#: Labels whose values are the deployment's.
_OPEN = {"topic", "partition", "version", "python"}


def _exposed() -> dict[str, Labels]:
    owned = {Partition("carts", 0): PartitionState(end=1, position=1, committed=1)}
    snapshot = replace(Snapshot.nothing(), partitions=owned)
    known: dict[str, Labels] = {}
    for family in Metrics(lambda: snapshot, topics=("carts",)).registry.collect():
        known |= _series(family)
    return known


def _series(family: Metric) -> dict[str, Labels]:
    values: dict[str, dict[str, set[str]]] = {}
    for sample in family.samples:
        found = values.setdefault(sample.name, {})
        for label, value in sample.labels.items():
            found.setdefault(label, set()).add(value)
    return {
        name: {label: None if label in _OPEN else frozenset(known) for label, known in found.items()}
        for name, found in values.items()
    }


#: What rules and pages speak of and the worker does not expose yet.
AWAITED: dict[str, Labels] = {"optico_worker_entities_in_two_partitions_total": {}}


def awaited(expr: str) -> bool:
    """Whether it asks for something that the worker does not expose yet."""
    return bool(list(problems(expr, _with_records(dict(EXPOSED)))))


def _with_records(known: dict[str, Labels]) -> dict[str, Labels]:
    """Recorded series too, in the order in which they build on each other."""
    for record in RECORDS:
        known[record.name] = dict.fromkeys(labels(record.expr, known))
    return known


#: The worker's own series, and those with what is recorded from them.
EXPOSED = _exposed()
KNOWN = _with_records(AWAITED | EXPOSED)
