"""The C library's allocator: what is large goes back to the system when it is freed."""

import ctypes
from typing import Final

#: From `malloc.h`.
_TRIM_THRESHOLD: Final = -1
_MMAP_THRESHOLD: Final = -3
#: A block of this size (bytes) is a mapping of its own.
LARGE_BLOCK: Final = 1024 * 1024
_KEPT_AT_THE_END: Final = 4 * 1024 * 1024


def give_large_blocks_back() -> None:
    """To be called once, at the start. Does nothing where the C library is not glibc.

    glibc raises its own bound, up to 32 MiB, each time that a large block is freed. Later ones then lie among small
    ones, and what surrounds a small one is not given back: 12 records of 10 MB took 60 MB more.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, LARGE_BLOCK)
        mallopt(_TRIM_THRESHOLD, _KEPT_AT_THE_END)  # which the former would leave at 128 KiB
