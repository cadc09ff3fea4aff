"""What is said beside the answer of a command."""

import errno
import io
import sys

import pytest

from worker.ops import terminal


class Gone(io.StringIO):
    """Standard error whose reader has left."""

    def write(self, _: str) -> int:
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")


def test_a_note_that_nobody_reads_does_not_end_what_it_tells_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """A replay that ended at its progress line would leave unchecked what it has sent."""
    monkeypatch.setattr(sys, "stderr", Gone())
    terminal.note("sending: 1 of 2 entities are done")
