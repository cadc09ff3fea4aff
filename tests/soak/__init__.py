"""Steady traffic for as long as one likes, with faults at intervals: `make soak`. Nothing may grow, nothing be lost."""
