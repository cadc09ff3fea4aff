"""What is said at the end of a replay beside the worker."""

import pytest

from worker.core.state import Partition
from worker.ops.replay.alongside import Report
from worker.ops.replay.offset_range import OffsetRange
from worker.ops.replay.summary import show

P0 = Partition("carts", 0)


def test_where_to_go_on_is_said_with_the_same_choice_and_rate(capsys: pytest.CaptureFixture[str]) -> None:
    """Without them the rest would be every entity of the range, at another rate."""
    report = Report(events=9, entities=3, delivered=1, requests=1, unsent=2, open_in={P0: (4, 9)})
    options = ["--id cart:42", "--max-requests-per-second 5"]
    show(report, {P0: OffsetRange(0, 9)}, 1.0, options=options, mask=str, as_json=False)
    said = capsys.readouterr().err
    assert "1 of 3 entities are done" in said
    assert "--alongside --from carts:0:4 --to carts:0:9 --id cart:42 --max-requests-per-second 5" in said
