"""A short choice of the fault suite, and the proof that it turns red: a worker with a planted bug must fail it.

All of it: `python -m tests.chaos --seeds 25`.
"""

from collections.abc import Iterator

import pytest

from tests.chaos import scenarios
from tests.chaos.kinds import KINDS
from tests.chaos.run import Runner

assert scenarios.__all__
pytestmark = pytest.mark.integration

#: One seed of each of these; all kinds are in docs/chaos.md.
CHOICE = [
    ("worker-killed", 1),
    ("joins-and-leaves-static", 4),
    ("kafka-cut", 2),
    ("retention-stopped", 1),
    ("letters-refused", 1),
    ("api-down", 1),
    ("broker-killed", 1),
    ("corrupt-batch", 1),
]
#: A bug, the scenario that finds it, and the word by which it does.
PLANTED = [
    ("seen", "backlog-and-joins", "passed v"),
    ("no-epoch", "away-and-back-range", "a commit went back"),
    ("no-wait", "away-and-back-range", "not waited for"),
    ("no-note", "static-killed", "stale"),
]
#: A bug shows only if the right requests are under way at the moment that counts: a matter of chance, on a busy machine
#: more than on a quiet one. One of so many runs must find it.
TRIES = 4


@pytest.fixture(scope="module")
def runner() -> Iterator[Runner]:
    with Runner() as runner:
        yield runner


@pytest.mark.parametrize(("kind", "seed"), CHOICE)
def test_nothing_is_lost_and_nothing_is_stale_after(kind: str, seed: int, runner: Runner) -> None:
    result = runner.run(kind, seed)
    assert result.figures is not None, result.evidence


@pytest.mark.parametrize(("bug", "kind", "evidence"), PLANTED)
def test_a_planted_bug_is_found(bug: str, kind: str, evidence: str, runner: Runner) -> None:
    results = (runner.run(kind, seed, bug) for seed in range(1, TRIES + 1))
    found = next((result.evidence for result in results if result.figures is None), None)
    assert found is not None, f"{kind} passes with the bug {bug}: it proves nothing"
    assert evidence in found


def test_every_kind_says_what_it_is_about() -> None:
    assert len(KINDS) >= 12
    assert all(kind.about.endswith(".") for kind in KINDS.values())
