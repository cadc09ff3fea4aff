"""All kinds of fault. Importing this registers them."""

from tests.chaos.scenarios import api, brokers, letters, network, rebalances, topics, workers

__all__ = ["api", "brokers", "letters", "network", "rebalances", "topics", "workers"]
