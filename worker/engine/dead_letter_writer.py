"""Writes dead letters, off the sending loop: it waits for the brokers."""

from dataclasses import dataclass

import structlog

from worker.core.letters import Letter
from worker.engine.shared_queue import SharedQueue
from worker.ports import DeadLetters, UnavailableError

log = structlog.get_logger(__name__)


@dataclass(slots=True, eq=False)
class DeadLetterWriter:
    queue: SharedQueue
    dead_letters: DeadLetters
    _failing: bool = False

    def write(self, letters: list[Letter]) -> None:
        """Blocks until they are acknowledged. What could not be written goes back and is tried again later."""
        try:
            written = self.dead_letters.write(letters)
        except UnavailableError as error:
            written = []
            self._complain(str(error))
        done = set(map(id, written))
        failed = [letter for letter in letters if id(letter) not in done]
        self.queue.letters_written(written, failed)
        if not failed and self._failing:
            self._failing = False
            log.info("dead letters are written again")

    def _complain(self, error: str) -> None:
        if not self._failing:
            log.error("dead letters can't be written: intake pauses, nothing is lost, trying on", error=error)
        self._failing = True
