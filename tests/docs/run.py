"""Runs a page from its top to its end. By hand, to renew what the pages show:

python -m tests.docs.run [PAGE]... [--check]
"""

import argparse
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from kafka import KafkaAdminClient

from tests.brokers.kafka import KafkaCluster, Topics
from tests.brokers.tools import ask, group_state, wait_until
from tests.docs.blocks import PAGES, ROOT, SHELL, Block, blocks
from tests.docs.not_run import NOT_RUN
from tests.docs.scenes import GROUP, SCENES
from tests.docs.stand import Said, Stand
from tests.docs.transcripts import agree, renewed

_CODE = re.compile(r"# exits with (\d+)")
_LOOKS = re.compile(r"^curl |--describe$")
_PATIENCE = 60.0


class PageError(AssertionError):
    """A page shows what is not so. The message names the block and what came instead."""


def scripts(page: Path) -> dict[str, list[Block]]:
    """What is run of a page, by scene."""
    found: dict[str, list[Block]] = {}
    for block in blocks(page):
        if block.language in SHELL and reason(block) is None:
            found.setdefault(block.scene, []).append(block)
    return found


def reason(block: Block) -> str | None:
    """Why it is not run; None: it is."""
    named = (why for (page, first), why in NOT_RUN.items() if block.page == page and block.first.startswith(first))
    return next(named, None)


@contextmanager
def stand(kafka: Topics, scene: str) -> Iterator[Stand]:
    """The scene's stand; nothing of it is left at the brokers."""
    group_state(kafka.bootstrap, GROUP)  # a new cluster has no coordinator until it was asked for one
    with tempfile.TemporaryDirectory(prefix="optico-docs-") as folder:
        try:
            with Stand(kafka.bootstrap, Path(folder)) as prepared:
                SCENES[scene](prepared, kafka)
                yield prepared
        finally:
            _clear(kafka.bootstrap)


def run(scene: str, script: Sequence[Block], kafka: Topics) -> dict[Block, str]:
    """Raises PageError at the first command that doesn't do what the page says; returns the transcripts, renewed."""
    new: dict[Block, str] = {}
    with stand(kafka, scene) as prepared:
        for block in script:
            if block.language == "sh":
                said = prepared.type_in(block.text)
                if said.code != 0:
                    raise PageError(f"{block} exits with {said.code}:\n{said.text}")
            else:
                new[block] = "".join(_exchange(prepared, block, *exchange) for exchange in block.exchanges)
        if any(prepared.stop_lasting()):
            raise PageError(f"{scene}: what ran did not end with 0:\n{prepared.said_by_lasting()}")
    return new


def _exchange(prepared: Stand, block: Block, command: str, shown: str) -> str:
    wanted = _CODE.search(command)
    code = int(wanted[1]) if wanted else 0
    deadline = time.monotonic() + _PATIENCE
    said = prepared.on_a_terminal(command)
    # A page that looks at a worker may have to look again: events take their time.
    while _LOOKS.search(command) and not _as_shown(said, code, shown) and time.monotonic() < deadline:
        time.sleep(0.2)
        said = prepared.on_a_terminal(command)
    if said.code != code:
        raise PageError(f"{block}: {command}\nexits with {said.code}, not {code}:\n{said.text}")
    back = shown if agree(shown, said.text) else renewed(shown, said.text) + "\n" * shown.endswith("\n")
    return f"$ {command}\n{back}\n" if back else f"$ {command}\n"


def _as_shown(said: Said, code: int, shown: str) -> bool:
    return said.code == code and agree(shown, said.text)


def _clear(bootstrap: str) -> None:
    def topics() -> list[str]:
        return [name for name in ask(bootstrap, lambda admin: admin.list_topics()) if name.startswith("shop.")]

    with KafkaAdminClient(bootstrap_servers=bootstrap) as admin:
        if found := topics():
            admin.delete_topics(found)
    wait_until(lambda: not topics(), "no topic of the page", 20)
    wait_until(lambda: group_state(bootstrap, GROUP) in {"Empty", "Dead"}, "an empty group", 40)
    ask(bootstrap, lambda admin: admin.delete_groups([GROUP]))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.docs.run", description=__doc__)
    parser.add_argument("pages", nargs="*", help="Only these, such as docs/replay.md.")
    parser.add_argument("--check", action="store_true", help="Write nothing; fail if a page is stale.")
    options = parser.parse_args()
    stale = 0
    with KafkaCluster() as kafka:
        for page in PAGES:
            name = str(page.relative_to(ROOT))
            if options.pages and name not in options.pages:
                continue
            new = text = page.read_text("utf-8")
            shown = [item for scene, script in scripts(page).items() for item in run(scene, script, kafka).items()]
            for block, transcript in sorted(shown, key=lambda item: -item[0].start):
                new = new[: block.start] + transcript + new[block.end :]
            stale += new != text
            if new != text and not options.check:
                page.write_text(new, "utf-8")
            print(f"{name}: {'as it is' if new == text else 'stale' if options.check else 'renewed'}")  # noqa: T201
    return 1 if stale and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
