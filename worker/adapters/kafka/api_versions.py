"""Brokers that hang up on a version of ApiVersions that they do not know, where Kafka's own name those that they do.

The library asks with its newest version for ever then, and all that is seen is a connection that is closed (as with
Azure Event Hubs once; dpkp/kafka-python#1662, #2602). Private parts of kafka-python 3.0.12, which is pinned.
"""

from typing import Any

import structlog

log = structlog.get_logger(__name__)

#: What is asked with after a version that was hung up on. Version 3 brought another format of the request. After all of
#: them the first one again: it may have been something else.
_NEXT = {4: 3, 3: 0, 0: 4}


def hung_up(error: Exception) -> bool:
    """Whether the other side closed a connection that it had accepted."""
    return any(words in str(error) for words in ("socket disconnected", "reset by peer"))


def choose(manager: Any, made: Any) -> None:
    """A new connection of the manager asks with the version that its last one should have."""
    version = getattr(manager, "_ask_api_versions_with", None)
    if version is not None:
        made._api_versions_idx = version


def learn(manager: Any, made: Any) -> None:
    """After a connection has been set up, or has failed to be."""
    failed = made.parser is not None and made.init_future.failed()
    # Otherwise the broker was asked something else, or has answered.
    if not failed or made.broker_version_data is not None or not hung_up(made.init_future.exception):
        return
    version = made._api_versions_idx
    manager._ask_api_versions_with = _NEXT.get(version, 0)
    log.debug("a broker hung up on ApiVersions", node=made.node_id, version=version, next_version=_NEXT.get(version, 0))
