"""Which test process runs which file: waiting and computing overlap, and no long file is left for the end.

Files go out whole, because their tests share what they set up. Some processes begin with the files that wait longest,
the others with those that compute longest; the rest of the files lie between the two ends.
"""

from typing import Any

from xdist.scheduler import LoadFileScheduling

#: Files that mostly wait for brokers and time-outs, with rough seconds; only their order counts.
WAITING: dict[str, int] = {
    "tests/chaos/test_chaos.py": 230,
    "tests/docs/test_pages.py": 170,
    "tests/integration/test_life.py": 120,
    "tests/integration/test_end_to_end.py": 110,
    "tests/ops/replay/test_alongside.py": 95,
    "tests/integration/test_answers.py": 70,
    "tests/integration/test_rights.py": 70,
    "tests/integration/test_membership.py": 60,
    "tests/ops/dlq/test_round_trip.py": 45,
    "tests/integration/test_lease.py": 55,
    "tests/ops/dlq/test_redrive.py": 75,
    "tests/integration/test_handover.py": 50,
    "tests/ops/dlq/test_interruption.py": 80,
    "tests/ops/check/test_reachable.py": 45,
    "tests/demo/test_demo.py": 40,
    "tests/monitoring/test_live.py": 40,
    "tests/integration/test_secrets.py": 35,
    "tests/docs/test_json.py": 35,
    "tests/contract/test_broker_contract.py": 35,
    "tests/ops/replay/test_reset.py": 30,
    "tests/integration/test_log.py": 30,
    "tests/ops/check/test_kafka.py": 25,
    "tests/integration/test_open_transactions.py": 25,
    "tests/integration/test_log_goes_back.py": 20,
}
#: Likewise files that keep a processor busy.
COMPUTING: dict[str, int] = {
    "tests/engine/test_planted_bugs.py": 40,
    "tests/core/test_planted_bugs.py": 30,
    "tests/monitoring/test_rules.py": 30,
    "tests/chart/test_refusals.py": 25,
    "tests/chart/test_promises.py": 25,
    "tests/cli/test_cli.py": 20,
    "tests/core/test_wake_at.py": 18,
    "tests/core/test_outbox_machine.py": 12,
    "tests/engine/test_size.py": 12,
    "tests/core/test_cost.py": 11,
    "tests/engine/test_engine_machine.py": 8,
    "tests/formats/test_hostile.py": 8,
    "tests/fuzz/test_fuzz.py": 8,
}


class FromBothEnds(LoadFileScheduling):  # type: ignore[misc]  # xdist is untyped
    """Every fourth process computes first, the others wait first."""

    def _assign_work_unit(self, node: Any) -> None:
        computes = self.nodes.index(node) % 4 == 0
        end = min if computes else max
        self.workqueue.move_to_end(end(self.workqueue, key=_waits), last=False)
        super()._assign_work_unit(node)


def _waits(file: str) -> int:
    return WAITING.get(file, 0) - COMPUTING.get(file, 0)
