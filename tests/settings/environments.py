"""Environments that the tests start from."""

from collections.abc import Mapping

import pytest

from worker.settings import SettingsError, load

FAKE_KEY = "fake-key-0123456789abcdef"
LEAST: Mapping[str, str] = {
    "KAFKA_BOOTSTRAP_SERVERS": "kafka-1:9092,kafka-2:9092",
    "KAFKA_TOPICS": "carts,orders",
    "OPTICO_API_KEY": FAKE_KEY,
}


def problems(**variables: str) -> list[str]:
    """What is wrong with the least environment after these changes; empty: nothing."""
    try:
        load({**LEAST, **variables})
    except SettingsError as error:
        return list(error.problems)
    return []


def only_problem(**variables: str) -> str:
    found = problems(**variables)
    if len(found) != 1:
        pytest.fail(f"expected one problem, found {found}")
    return found[0]
