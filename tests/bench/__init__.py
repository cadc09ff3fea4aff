"""Measurements, each beside its limit or a peer in the same run, as a ratio: `make bench`, and docs/performance.md."""
