"""The state machines, for a few seconds; `python -m tests.chaos.machines` runs them for a million steps."""

import pytest

from tests.core.machine import SEARCH_SECONDS, OutboxMachine, OutboxMachineWithDeadLetters, profile

pytestmark = pytest.mark.timeout(SEARCH_SECONDS)

TestOutbox = OutboxMachine.TestCase
TestOutbox.settings = profile(150, 60)
TestOutboxWithDeadLetters = OutboxMachineWithDeadLetters.TestCase
TestOutboxWithDeadLetters.settings = profile(150, 60)
