"""All brokers under new addresses: the library bootstraps once, and then asks only the brokers that it knows (KIP-899).

So a client whose brokers all moved would look for them at their former addresses for ever. Changed for all clients of
the process. Private parts of kafka-python 3.0.12, which is pinned.
"""

import random
import time
from typing import Any

import structlog
from kafka.net.manager import KafkaConnectionManager

log = structlog.get_logger(__name__)

#: After so long without a connection to any known broker the bootstrap servers are asked again (s). Their names are
#: looked up anew for each connection.
BOOTSTRAP_AFTER = 10.0
_least_loaded_node = KafkaConnectionManager.least_loaded_node


def _known_or_bootstrap(manager: Any) -> Any:
    """In the place of the library's, which chooses the node for metadata, and to ask for the coordinator."""
    node = _least_loaded_node(manager)
    cluster = manager.cluster
    known = cluster.brokers()
    # A coordinator does not count: it has a node of its own, with the address that it told when it was asked for.
    conns = [manager._conns.get(broker.node_id) for broker in known]
    if not known or any(conn is not None and conn.connected for conn in conns):
        manager._without_broker_since = None
        return node
    now = time.monotonic()
    since = getattr(manager, "_without_broker_since", None)
    if since is None:
        manager._without_broker_since = now
        return node
    if now - since < BOOTSTRAP_AFTER:
        return node
    ready = [each.node_id for each in cluster.bootstrap_brokers() if manager.connection_delay(each.node_id) == 0]
    if not ready:
        return node
    log.debug("no known broker can be reached; asking the bootstrap servers", seconds=round(now - since, 1))
    return random.choice(ready)


KafkaConnectionManager.least_loaded_node = _known_or_bootstrap
