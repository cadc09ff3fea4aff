"""Measurements, each beside its limit in the same run, as a ratio: `make bench`."""
