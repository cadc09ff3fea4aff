"""The API key: a secret that may change while the worker runs."""

import threading
import unicodedata
from pathlib import Path

MAX_FILE_BYTES = 65_536


def read_text(path: Path) -> str:
    """The file's text, without one trailing newline and without a byte order mark. May block on a pipe.

    Raises OSError (unreadable) or ValueError (not UTF-8, too large, not a path).
    """
    with path.open("rb") as file:
        content = file.read(MAX_FILE_BYTES + 1)
    if len(content) > MAX_FILE_BYTES:
        raise ValueError(f"it is larger than {MAX_FILE_BYTES} bytes")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8 text") from None  # the original holds the content
    return text.removesuffix("\n").removesuffix("\r")


def _clean(text: str) -> str:
    """The key in the text. Raises ValueError, which never holds the text."""
    key = text.strip()
    if not key:
        raise ValueError("is only white space; set it to the key from your Optico account under Manage APIs")
    if any(unicodedata.category(character).startswith("C") for character in key):
        raise ValueError("contains control characters or line breaks; set it to the key alone, on one line")
    return key


_QUOTES = frozenset("\"'`\u2018\u2019\u201c\u201d\u201e\u00ab\u00bb")


def _odd(text: str) -> str | None:
    """What a key that may be one seldom has: what was around it where it was copied."""
    key = text.strip()
    if any(character in _QUOTES or character.isspace() for character in key):
        return "holds quotes or a space, which are sent as a part of it; set it to the key alone"
    return "has spaces around it, which are left out; set it to the key alone" if text.strip("\r\n") != key else None


class ApiKey:
    """The key as it is now, and the values that it had before. Thread-safe.

    Neither `repr` nor `str` shows it. Raises ValueError for a key that can't be one: empty, or with control characters.
    """

    __slots__ = ("_known", "_lock", "_odd", "_path", "_problem", "_value")

    def __init__(self, text: str, path: Path | None = None) -> None:
        self._value = _clean(text)
        self._odd = _odd(text)
        self._known = frozenset({self._value})
        self._path = path
        self._problem: str | None = None
        self._lock = threading.Lock()

    @property
    def value(self) -> str:
        """The key itself: for the request's body only."""
        return self._value

    @property
    def path(self) -> Path | None:
        """Where it was read; None: from the environment, so it can't change."""
        return self._path

    @property
    def known(self) -> frozenset[str]:
        """Every value that it has had: what must appear in no log line."""
        return self._known

    @property
    def odd(self) -> str | None:
        """What is unusual about the key that was given at first, without the key; None: nothing."""
        return self._odd

    @property
    def problem(self) -> str | None:
        """Why the file could not be used when it was read last; None: it could."""
        return self._problem

    def reload(self) -> bool:
        """Reads the file again; True if the key changed.

        An unreadable, empty or illegal file leaves the key as it is: secrets are replaced in steps. Reads one small
        local file; a pipe, which can be read once only, is not read again and so never blocks.
        """
        with self._lock:
            try:
                if self._path is None or self._path.is_fifo():
                    return False
                value = _clean(read_text(self._path))
            except (OSError, ValueError) as error:
                self._problem = error.strerror or type(error).__name__ if isinstance(error, OSError) else str(error)
                return False
            self._problem = None
            if value == self._value:
                return False
            self._known |= {value}  # first: whoever sees the new value finds it masked
            self._value = value
            return True

    def __repr__(self) -> str:
        return "ApiKey(***)"

    def __str__(self) -> str:
        return "***"
