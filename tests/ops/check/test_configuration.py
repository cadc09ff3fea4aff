"""What `check` shows of the configuration."""

import pytest

from tests.settings.environments import LEAST
from worker.ops.check.configuration import variables
from worker.settings import load


@pytest.mark.parametrize(
    ("name", "text", "shown"),
    [
        ("KAFKA_TOPICS", "carts, orders", "carts,orders"),
        ("WORKER_ORDER_STATUS_MAP", "P = Processed,C=Completed", "P=Processed,C=Completed"),
        ("WORKER_ORDER_STATUS_MAP", "", None),
        ("OPTICO_TIMEOUT_SECONDS", "5.0", "5"),
        ("OPTICO_API_KEY", "fake-key", "***"),
        ("KAFKA_CLIENT_RACK", "", None),
    ],
)
def test_a_value_is_shown_as_it_would_be_set(name: str, text: str, shown: str | None) -> None:
    environ = {**LEAST, name: text}
    assert {each.name: each.value for each in variables(load(environ), environ)}[name] == shown
