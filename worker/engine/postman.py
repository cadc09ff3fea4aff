"""The postman: writes dead letters on a thread of its own, so that no sender ever waits for one."""

from dataclasses import dataclass

import structlog

from worker.engine.desk import Desk
from worker.ports import DeadLetters, UnavailableError

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Postman:
    desk: Desk
    dead_letters: DeadLetters
    _failing: bool = False

    def run(self) -> None:
        """Writes until the desk is closed. What could not be written goes back and is tried again later."""
        while (letters := self.desk.take_letters()) is not None:
            try:
                written = self.dead_letters.write(letters)
            except UnavailableError as error:
                written = []
                self._complain(str(error))
            done = set(map(id, written))
            failed = [letter for letter in letters if id(letter) not in done]
            self.desk.letters_written(written, failed)
            if not failed and self._failing:
                self._failing = False
                log.info("dead letters are written again")

    def _complain(self, error: str) -> None:
        if not self._failing:
            log.error("dead letters can't be written: intake pauses, nothing is lost, trying on", error=error)
        self._failing = True
