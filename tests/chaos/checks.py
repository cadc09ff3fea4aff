"""What must hold once all is at rest. Each check yields what contradicts it, in words."""

from collections import defaultdict
from collections.abc import Callable, Iterator

from tests.chaos.ledger import Ledger, Request
from tests.chaos.offsets import Commit
from tests.chaos.traffic import Written

#: A client that gives up and connects again at once can be seen to overlap with itself for a moment (s).
OVERLAP = 0.3
#: The coordinator's and the sandbox's clocks are the machine's, rounded (s).
CLOCKS = 0.05
#: Seconds from a request that another owner gave up to the confirmation of what was delivered after it: it hands over,
#: the next one delivers, and confirms, each up to ten seconds later.
LONGEST_DOUBT = 45.0


def nothing_lost_nothing_stale(ledger: Ledger) -> Iterator[str]:
    """The last state answered, and the record that results, is each entity's newest deliverable one."""
    requests = ledger.of_entity()
    for entity, newest in ledger.newest("deliverable").items():
        answered = [r for r in requests.get(entity, ()) if r.success]
        if not answered:
            yield f"lost: {entity} was never delivered; its newest is {_at(newest)}"
            continue
        last = max(answered, key=lambda r: r.finished or 0)
        if last.version != newest.version:
            yield f"stale: {entity} was last answered v{last.version}, newest is {_at(newest)}: {_history(answered)}"
        elif ledger.records.get(entity) != newest.version:
            yield f"stale: the API holds v{ledger.records.get(entity)} of {entity}, its newest is {_at(newest)}"


def every_rejection_was_answered(ledger: Ledger) -> Iterator[str]:
    """The last event of an entity that the API refuses was sent, and refused."""
    requests = ledger.of_entity()
    for entity, newest in ledger.newest("refused").items():
        versions = {r.version for r in requests.get(entity, ()) if r.answered}
        if newest.version not in versions:
            yield f"lost: {entity} {_at(newest)} was never refused; answered: {sorted(versions)}"


def no_older_state_after_a_newer_one(ledger: Ledger) -> Iterator[str]:
    """Within one assignment of a partition an entity's states are sent in log order."""
    known = ledger.by_version()
    for entity, requests in ledger.of_entity().items():
        newest: dict[tuple[str, str, int], int] = {}
        for request in requests:
            written = known.get(request.version)
            if written is None:
                if request.version != -1:
                    yield f"unheard of: {entity} was sent as v{request.version}, which nobody wrote"
                continue
            partition = f"{written.topic}-{written.partition}"
            if ledger.ambiguous(request, partition):
                continue
            under = request.worker, partition, ledger.ownership(request, partition)
            if request.version < newest.get(under, 0):
                yield f"back: {entity} v{request.version} after v{newest[under]} under {under}: {_history(requests)}"
            newest[under] = max(request.version, newest.get(under, 0))


def one_request_in_flight(ledger: Ledger) -> Iterator[str]:
    """Per entity, one at most in a process; and none while a process that went in good order has one of its own."""
    for entity, requests in ledger.of_entity().items():
        for number, earlier in enumerate(requests):
            until = earlier.finished or float("inf")
            for later in requests[number + 1 :]:
                if later.arrived >= until - OVERLAP:
                    break
                if later.worker == earlier.worker:
                    yield f"twice in flight: {entity} v{later.version} within v{earlier.version} of {later.worker}"
                elif _handed_over(ledger, earlier, later):
                    yield (
                        f"not waited for: {entity} v{later.version} of {later.worker} while v{earlier.version} of"
                        f" {earlier.worker} was in flight"
                    )


def _handed_over(ledger: Ledger, earlier: Request, later: Request) -> bool:
    """Whether both were in the group in good order all the time, so that the partition must have been handed over."""
    return {earlier.worker, later.worker} <= ledger.orderly


def repetitions_have_a_reason(ledger: Ledger) -> Iterator[str]:
    """A state succeeds again only in another assignment, or after a request that failed: of its entity, or of its
    partition, which may have come with a note of that, as it does from an owner that died. An answer that was not heard
    is asked for once more, and what overtakes it confirmed.
    """
    known = ledger.by_version()
    unheard = {worker: ledger.unheard(worker) for worker in {request.worker for request in ledger.requests}}
    unanswered: dict[str, list[Request]] = defaultdict(list)
    for request in ledger.requests:
        written = known.get(request.version)
        if written is not None and not request.answered:
            unanswered[f"{written.topic}-{written.partition}"].append(request)
    for entity, requests in ledger.of_entity().items():
        failed: dict[str, int] = defaultdict(int)
        times: dict[tuple[str, int, int], int] = defaultdict(int)
        for request in requests:
            written = known.get(request.version)
            if not request.answered or written is None:
                failed[request.worker] += 1
                continue
            partition = f"{written.topic}-{written.partition}"
            if ledger.ambiguous(request, partition):
                continue
            state = request.worker, request.version, ledger.ownership(request, partition)
            times[state] += 1
            inherited = ledger.took_over_unclear(request, partition, LONGEST_DOUBT) or any(
                each.arrived < request.arrived < each.arrived + LONGEST_DOUBT for each in unanswered[partition]
            )
            if times[state] > 1 + failed[request.worker] + inherited:
                unheard[request.worker] -= 1
                if unheard[request.worker] >= 0:
                    continue
                yield f"repeated: {entity} v{request.version} {times[state]} times under {state}: {_history(requests)}"


def nothing_is_sent_without_a_note(ledger: Ledger) -> Iterator[str]:
    """When a request starts, it stands beside the partition's committed offset that this may be: for who comes next."""
    known = ledger.by_version()
    for request in ledger.requests:
        written = known.get(request.version)
        if written is None or request.worker not in ledger.orderly:
            continue
        partition = f"{written.topic}-{written.partition}"
        if not any(ledger.dirty(partition, request.arrived + at) for at in (-CLOCKS, CLOCKS)):
            yield f"without a note: {request.entity} v{request.version} of {_at(written)} by {request.worker}"


def letters_are_exactly_the_rejected(ledger: Ledger, *, lossy: bool = False) -> Iterator[str]:
    """A dead letter for each record that was rejected for good, and for no other.

    A refusal whose owner went before the letter was written may be followed by a newer event's, which replaced it; and
    so may one that was not heard, where answers get lost (`lossy`).
    """
    moved = ledger.moved() or lossy
    newest = {written.coordinates for written in ledger.newest("refused").values()}
    refused = {r.version for r in ledger.requests if r.outcome == "unknown_visit_id"}
    for at, written in ledger.written.items():
        answered = written.fate == "refused" and written.version in refused and (at in newest or not moved)
        if (answered or written.fate == "invalid") and at not in ledger.letters and at not in ledger.removed:
            yield f"no letter: {written.fate} {_at(written)}"
    for at in ledger.letters:
        about = ledger.written.get(at)
        if about is not None and about.fate not in ("invalid", "refused"):
            yield f"a letter for a good record: {_at(about)}"


def commits_pass_only_what_is_settled(ledger: Ledger, *, letters: bool) -> Iterator[str]:
    """No commit passes an event that is neither answered nor replaced, and none goes back."""
    answers: dict[str, list[Request]] = {
        entity: [r for r in requests if r.answered] for entity, requests in ledger.of_entity().items()
    }
    log: dict[int, list[Written]] = defaultdict(list)
    for written in sorted(ledger.written.values(), key=lambda written: written.offset):
        log[written.partition].append(written)
    since = max(ledger.resets, default=0.0)
    newest: dict[int, Commit] = {}
    for commit in ledger.commits:
        if commit.offset is None or commit.at < since:
            continue
        before = newest.get(commit.partition)
        if before is not None and commit.offset < (before.offset or 0):
            yield f"a commit went back: {before} then {commit}"
        if before is None or commit.offset != before.offset:
            yield from _passed_unsettled(commit, log[commit.partition], answers, ledger, letters=letters)
        newest[commit.partition] = commit


def _passed_unsettled(
    commit: Commit, log: list[Written], answers: dict[str, list[Request]], ledger: Ledger, *, letters: bool
) -> Iterator[str]:
    assert commit.offset is not None
    until = commit.at + CLOCKS
    settled: dict[str, Written] = {}
    replaced: set[str] = set()
    for written in log:
        if written.coordinates in ledger.removed:
            continue
        if written.offset >= commit.offset:
            if written.timestamp <= until and written.fate in _STATES:
                replaced.add(written.entity)
        elif written.fate in _STATES:
            settled[written.entity] = written
        elif letters and written.fate == "invalid" and ledger.letters.get(written.coordinates, until + 1) > until:
            yield f"{commit} passed {_at(written)}, whose letter was not there"
    for entity, written in settled.items():
        if entity in replaced or written.fate == "emptied":
            continue
        own = answers.get(entity, [])
        if not any(r.version >= written.version and (r.finished or 0) <= until for r in own):
            yield f"{commit} passed {_at(written)} of {entity}, which was not settled: {_history(own)}"


#: The fates of records that say what an entity is now: each takes the place of the one before it.
_STATES = ("deliverable", "refused", "emptied")
Check = Callable[[Ledger], Iterator[str]]
CHECKS: dict[str, Check] = {
    "0 lost, 0 stale": nothing_lost_nothing_stale,
    "rejections answered": every_rejection_was_answered,
    "in order": no_older_state_after_a_newer_one,
    "one in flight": one_request_in_flight,
    "duplicates explained": repetitions_have_a_reason,
    "noted beforehand": nothing_is_sent_without_a_note,
}


def _at(written: Written) -> str:
    return f"v{written.version} at {written.partition}:{written.offset}"


def _history(requests: list[Request]) -> str:
    shown = requests[-8:]
    start = shown[0].arrived if shown else 0
    return ", ".join(f"v{r.version} {r.outcome} by {r.worker} +{r.arrived - start:.2f}" for r in shown)
