"""Replay: what was read once is read again, by resetting the group's offsets or beside the running worker."""
