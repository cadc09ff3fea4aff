"""Standard streams that are closed, full, or no longer read: an exit code and a line at most, no traceback."""

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

#: What a file system or a terminal says that takes no more.
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}


@contextmanager
def standard_streams(program: str) -> Iterator[None]:
    """Ends the program with 1 where its answer can't be written: in silence if its reader left (`| head`), else in a
    line. A stream that is closed counts as /dev/null, or the next file that is opened would get what it is told.
    """
    _open_closed()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # whose encoding may lack what is to be written
            stream.reconfigure(errors="backslashreplace")
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except OSError as error:
        if not isinstance(error, BrokenPipeError) and error.errno not in _FULL:
            raise
        _drop_what_waits()
        if not isinstance(error, BrokenPipeError):
            with suppress(OSError):
                sys.stderr.write(f"{program}: the answer can't be written: {error.strerror}\n")
        raise SystemExit(1) from None


def _open_closed() -> None:
    while (descriptor := os.open(os.devnull, os.O_RDWR)) < 3:  # noqa: PLR2004 - the lowest that is free
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    # Python has none where there was no descriptor when it started.
    sys.stdin = sys.stdin or io.TextIOWrapper(io.FileIO(0, closefd=False))
    sys.stdout = sys.stdout or _writer(1)
    sys.stderr = sys.stderr or _writer(2)


def _writer(descriptor: int) -> io.TextIOWrapper:
    raw = io.FileIO(descriptor, "w", closefd=False)
    return io.TextIOWrapper(io.BufferedWriter(raw), encoding="utf-8", errors="backslashreplace")


def _drop_what_waits() -> None:
    """Python would try to write it once more at its end, and complain."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
