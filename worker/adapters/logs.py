"""Logging: one pipeline for our own lines (structlog) and the libraries' (logging), and no secret in any of them."""

import contextlib
import json
import logging
import re
import sys
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Iterable, Mapping
from datetime import date
from io import TextIOWrapper
from types import TracebackType
from typing import Any, Literal, TextIO
from urllib.parse import quote, quote_plus

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from worker.core.text import printable

Secrets = Callable[[], Iterable[str]]

MASK = "***"
#: So many of a secret's first characters, at the end of a text, are taken for it.
_LEAST_OF_A_CUT = 6
_DEEPEST = 8
#: What the client says of a topic that does not exist, which the worker says itself, and of what it was doing when it
#: was closed.
_NEEDLESS = re.compile(
    r"Topic \S+ not found in cluster metadata|No partition metadata for topic|[A-Z][\w ]*:? failed:? Cancelled"
)


def configure(
    level: str, fmt: Literal["json", "console"], stream: TextIO | None = None, secrets: Secrets = frozenset
) -> None:
    """Sends every line of this process from `level` on to `stream` (standard error), masking the secrets.

    `secrets` is asked at each line, as a key may be replaced while running. Calling it again replaces the stream, level
    and format; other handlers of the root logger stay. Writing may block as long as the stream does.
    """
    stream = sys.stderr if stream is None else stream
    if isinstance(stream, TextIOWrapper):
        stream.reconfigure(encoding="utf-8", errors="backslashreplace")  # JSON is UTF-8, whatever the locale
    threshold = logging.getLevelNamesMapping()[level.upper()]
    handler = _Handler(stream)
    handler.setFormatter(_formatter(_console(stream) if fmt == "console" else _json, Mask(secrets)))
    root = logging.getLogger()
    for previous in [other for other in root.handlers if isinstance(other, _Handler)]:
        root.removeHandler(previous)
    root.addHandler(handler)
    root.setLevel(threshold)
    _quieten_kafka(handler, threshold)
    logging.captureWarnings(capture=True)
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


def take_over_tracebacks() -> None:
    """What nobody caught becomes a line of the log. Python's own report would be none, and mask nothing."""

    def tell(kind: type[BaseException], error: BaseException | None, traceback: TracebackType | None) -> None:
        structlog.get_logger(__name__).critical("nobody expected this", exc_info=(kind, error, traceback))

    sys.excepthook = tell
    threading.excepthook = lambda args: tell(args.exc_type, args.exc_value, args.exc_traceback)


def _quieten_kafka(handler: logging.Handler, threshold: int) -> None:
    """The client tells each lost connection ten times over, and all of it again at each attempt.

    What it does in good order says nothing of an event, at no level.
    """
    debug = threshold == logging.DEBUG
    handler.addFilter(lambda line: not (line.name.startswith("kafka.") and _NEEDLESS.match(line.getMessage())))
    # At its own debug level the client writes whole frames, and so whole events.
    logging.getLogger("kafka").setLevel(max(threshold, logging.WARNING))
    for name in ("transport", "connection", "selector"):
        logging.getLogger(f"kafka.net.{name}").setLevel(logging.NOTSET if debug else logging.CRITICAL)
    if not debug:
        limited = RateLimited(limit=1, interval=30.0)
        handler.addFilter(
            lambda line: not line.name.startswith("kafka.") or limited.admit((line.name, line.msg)) is not None
        )


class Mask:
    """Replaces the secrets in a text by `***`, as they are and as they appear in a URL, a form body or a `repr`.

    Also the beginning of one at the text's end: long texts are cut before they come here.
    """

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets

    def __call__(self, text: str) -> str:
        forms = {form for secret in self._secrets() if secret for form in _forms(secret)}
        for form in sorted(forms, key=len, reverse=True):
            text = text.replace(form, MASK)
        return self._without_a_cut_one(text, forms)

    def _without_a_cut_one(self, text: str, forms: Iterable[str]) -> str:
        for form in forms:
            start = text.find(form[:_LEAST_OF_A_CUT], max(0, len(text) - len(form)))
            if start >= 0 and len(form) > _LEAST_OF_A_CUT and form.startswith(text[start:]):
                return text[:start] + MASK
        return text


def _forms(secret: str) -> tuple[str, ...]:
    encoded = (quote(secret), quote(secret, safe=""), quote_plus(secret))
    quoted = (repr(secret), json.dumps(secret), json.dumps(secret, ensure_ascii=False))
    return (secret, *encoded, *(text[1:-1] for text in quoted))


class RateLimited:
    """Lets at most `limit` lines per key pass in any `interval` seconds; the next that passes says how many did not.

        limited(log.warning, "request failed", per=reason, reason=reason)

    Thread-safe. `clock` is monotonic, in seconds. Remembers the `keys` keys that spoke last.
    """

    def __init__(
        self, limit: int = 1, interval: float = 60.0, clock: Callable[[], float] = time.monotonic, keys: int = 1000
    ) -> None:
        self._limit, self._interval, self._clock, self._keys = limit, interval, clock, keys
        self._passed: OrderedDict[Hashable, deque[float]] = OrderedDict()
        self._suppressed: dict[Hashable, int] = {}
        self._lock = threading.Lock()

    def __call__(self, emit: Callable[..., object], event: str, *, per: Hashable = None, **fields: object) -> bool:
        """Emits the line, or counts it; True if it was emitted. `per` is the key beside the event's text."""
        suppressed = self.admit((event, per))
        if suppressed is None:
            return False
        emit(event, **fields, **({"suppressed": suppressed} if suppressed else {}))
        return True

    def left_out(self) -> dict[Hashable, int]:
        """What was held back and not told since, by key; from now on it counts as told."""
        with self._lock:
            told, self._suppressed = self._suppressed, {}
            return told

    def admit(self, key: Hashable) -> int | None:
        """How many were held back before this one, which may pass; None: it may not."""
        with self._lock:
            now = self._clock()
            passed = self._passed.setdefault(key, deque(maxlen=self._limit))
            self._passed.move_to_end(key)
            if len(passed) == self._limit and now - passed[0] < self._interval:
                self._suppressed[key] = self._suppressed.get(key, 0) + 1
                return None
            passed.append(now)
            if len(self._passed) > self._keys:
                self._suppressed.pop(self._passed.popitem(last=False)[0], None)
            return self._suppressed.pop(key, 0)


class _Handler(logging.StreamHandler[TextIO]):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """A line that can't be written is lost; logging's own report of it would show its arguments unmasked."""
        error = sys.exc_info()[0]
        with contextlib.suppress(OSError, ValueError):
            print(f"a log line of {record.name} was lost: {error and error.__name__}", file=sys.__stderr__)


def _formatter(render: Processor, mask: Mask) -> logging.Formatter:
    def masked(_: WrappedLogger, __: str, event_dict: EventDict) -> EventDict:
        return {mask(_text(key)): _plain(value, mask) for key, value in event_dict.items()}

    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.contextvars.merge_contextvars],
        processors=[
            structlog.stdlib.add_logger_name,
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.StackInfoRenderer(),
            structlog.processors.format_exc_info,
            masked,
            # After the mask: a password such as "info" or "20" is no reason to garble them.
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            render,
        ],
    )


def _plain(value: Any, mask: Mask, depth: int = 0) -> Any:
    """The value as JSON has it, its strings masked. What JSON doesn't have becomes text."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        text = mask(str(value))
        exact = text == str(value) and (isinstance(value, float) or -(2**63) <= value < 2**63)
        return value if exact else text
    if depth < _DEEPEST and isinstance(value, Mapping):
        return {mask(_text(key)): _plain(item, mask, depth + 1) for key, item in value.items()}
    if depth < _DEEPEST and isinstance(value, list | tuple | set | frozenset | deque):
        return [_plain(item, mask, depth + 1) for item in value]
    return mask(_text(value))


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, BaseException):
        return f"{type(value).__name__}: {value}"
    if isinstance(value, date):
        return value.isoformat()
    # Bytes that were no UTF-8, such as a file's name, would stop the renderer.
    return str(value).encode("utf-8", "backslashreplace").decode("utf-8")


def _json(_: WrappedLogger, __: str, event_dict: EventDict) -> str:
    first = {name: event_dict.pop(name) for name in ("timestamp", "level", "event") if name in event_dict}
    return orjson.dumps(first | dict(event_dict)).decode()


def _console(stream: TextIO) -> Processor:
    render = structlog.dev.ConsoleRenderer(
        colors=stream.isatty(), exception_formatter=structlog.dev.plain_traceback, sort_keys=False
    )

    def readable(logger: WrappedLogger, name: str, event_dict: EventDict) -> str:
        """What the API and the topics hold is not for the terminal to obey. Tracebacks keep their lines."""
        for key, value in event_dict.items():
            if isinstance(value, str):
                lines = value.split("\n") if key in ("exception", "stack") else [value]
                event_dict[key] = "\n".join(map(printable, lines))
        return render(logger, name, event_dict)

    return readable
