"""The engine's state machine, for a few seconds; `python -m tests.chaos.machines` runs it for long."""

import pytest

from tests.core.machine import SEARCH_SECONDS, profile
from tests.engine.machine import EngineMachine

pytestmark = pytest.mark.timeout(SEARCH_SECONDS)

TestEngine = EngineMachine.TestCase
TestEngine.settings = profile(50, 60)
