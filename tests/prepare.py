"""Fetches and builds, all at once, what tests would otherwise wait for one after the other: python -m tests.prepare

`make test` starts it in the background. A test that needs a part before it is there waits for it; one that can't be
had is that test's business to say.
"""

import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.brokers import distribution
from tests.chart import tools as chart
from tests.producers import tools as producers
from tests.programs import MissingError

#: The longest first: what is built waits for nothing else.
PARTS: tuple[Callable[[], Any], ...] = (
    chart.kube_score,
    distribution.install,
    producers.node_modules,
    producers.datamodel_codegen,
    chart.kubectl,
    *(lambda major=major: chart.helm(major) for major in chart.HELM_VERSIONS),
)


def main() -> None:
    with ThreadPoolExecutor(len(PARTS)) as pool:
        for part in PARTS:
            pool.submit(_fetch, part)


def _fetch(part: Callable[[], Any]) -> None:
    with contextlib.suppress(MissingError):
        part()


if __name__ == "__main__":
    main()
