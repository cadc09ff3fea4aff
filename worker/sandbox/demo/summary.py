"""The end of the demo in plain words."""

from collections import Counter
from collections.abc import Iterator, Sequence

from worker.sandbox.demo.check import Check, Evidence
from worker.sandbox.demo.figures import Change, changes, percentile


def summary(evidence: Evidence, checks: Sequence[Check], seconds: float) -> Iterator[str]:
    """Lines. `seconds`: how long it took."""
    yield "What happened"
    yield from (f"  {name:<22}{text}" for name, text in _facts(evidence))
    yield ""
    yield "What was checked against the API's own records"
    yield from (f"  {check}" for check in checks)
    yield ""
    broken = [check.promise for check in checks if not check.holds]
    if broken:
        yield f"FAILED after {seconds:.0f} s. Not kept: {'; '.join(broken)}."
    else:
        yield f"All is well after {seconds:.0f} s: the API holds every cart and order as it is now."


def _facts(evidence: Evidence) -> Iterator[tuple[str, str]]:
    history, readings = evidence.history, evidence.readings
    kinds = Counter(entity.kind for entity in history.states)
    sendable = sum(map(len, history.states.values()))
    requests = readings.total("requests_total")
    yield "events", f"{len(history.values):,} of {kinds['cart']:,} carts and {kinds['order']:,} orders"
    yield "requests", f"{requests:,}, of which {readings.total('requests_total', 'retryable'):,} had to be repeated"
    if sendable:
        saved = 1 - requests / sendable
        yield (
            "saved by collapsing",
            f"{saved:.0%} of the {sendable:,} requests that one for each change would have been",
        )
    yield from _freshness(list(changes(history, evidence.requests)), evidence)
    yield from _troubles(evidence)


def _freshness(known: Sequence[Change], evidence: Evidence) -> Iterator[tuple[str, str]]:
    yield "from change to API", _within(known)
    outage = evidence.outage
    if outage is not None and outage.resumed is not None:
        calm = [change for change in known if change.known_at < outage.began or change.at > outage.resumed]
        yield "  but for the outage", _within(calm)


def _within(known: Sequence[Change]) -> str:
    seconds = [change.seconds for change in known]
    return f"half within {percentile(seconds, 0.5):.1f} s, 95 % within {percentile(seconds, 0.95):.1f} s"


def _troubles(evidence: Evidence) -> Iterator[tuple[str, str]]:
    history, outage = evidence.history, evidence.outage
    if outage is None:
        yield "outage", "left out: there are too few events for it"
    else:
        resumed = (
            f"sending went on {max(0.0, outage.resumed - outage.ended):.1f} s after the API was back"
            if outage.resumed is not None
            else "the worker did not notice"
        )
        yield "outage", f"{outage.ended - outage.began:.1f} s; {resumed}"
    refused = len({(letter.partition, letter.offset) for letter in evidence.letters} - history.invalid)
    yield "skipped", f"{len(history.skipped):,} emptied carts, events without a visit, and tombstones"
    yield "rejected", f"{len(history.invalid):,} broken events here, {refused:,} of unknown visits by the API"
