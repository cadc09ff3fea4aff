import json
import logging
import os
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal
from urllib.parse import quote, quote_plus, urlencode

import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from worker.adapters import logs
from worker.settings import ApiKey

KEY = "fake+key/0123 é\"'\\end"
log = structlog.get_logger("worker.tests")


class Output(StringIO):
    """What was logged since the last look."""

    def lines(self) -> list[dict[str, Any]]:
        text = self.getvalue()
        self.seek(0)
        self.truncate()
        return [json.loads(line) for line in text.split("\n")[:-1]]

    def line(self) -> dict[str, Any]:
        (line,) = self.lines()
        return line


Configure = Callable[..., Output]


@pytest.fixture
def configure() -> Iterator[Configure]:
    root, kafka = logging.getLogger(), logging.getLogger("kafka")
    levels = (root.level, kafka.level)

    def ours() -> list[logging.Handler]:
        return [handler for handler in root.handlers if isinstance(handler, logs._Handler)]

    def configure(
        level: str = "info", fmt: Literal["json", "console"] = "json", secrets: logs.Secrets = frozenset
    ) -> Output:
        output = Output()
        root.handlers[:] = ours()  # pytest's raise where ours must not
        logs.configure(level, fmt, output, secrets)
        return output

    yield configure
    structlog.reset_defaults()
    logging.captureWarnings(capture=False)
    for handler in ours():
        root.removeHandler(handler)
    root.setLevel(levels[0])
    kafka.setLevel(levels[1])


def test_a_line_is_one_json_object_with_time_level_event_and_fields(configure: Configure) -> None:
    output = configure()

    log.info("drained", left=0, share=0.5, topics=["carts"], reason=None)

    line = output.line()
    timestamp = datetime.fromisoformat(line.pop("timestamp"))
    assert abs(timestamp - datetime.now(UTC)) < timedelta(minutes=1)
    assert timestamp.utcoffset() == timedelta(0)
    assert line == {
        "level": "info",
        "event": "drained",
        "logger": "worker.tests",
        "left": 0,
        "share": 0.5,
        "topics": ["carts"],
        "reason": None,
    }


def test_the_libraries_lines_take_the_same_way(configure: Configure) -> None:
    output = configure()

    logging.getLogger("urllib3").warning("slow answer after %d s", 4)

    line = output.line()
    assert line.pop("timestamp")
    assert line == {"level": "warning", "event": "slow answer after 4 s", "logger": "urllib3"}


def test_a_warning_of_python_becomes_a_line(configure: Configure) -> None:
    output = configure()

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("something is old", stacklevel=1)

    line = output.line()
    assert "something is old" in line["event"]
    assert line["logger"] == "py.warnings"


@pytest.mark.parametrize(
    ("level", "events"),
    [
        ("debug", ["debug", "info", "warning", "error", "critical"]),
        ("info", ["info", "warning", "error", "critical"]),
        ("warning", ["warning", "error", "critical"]),
        ("error", ["error", "critical"]),
    ],
)
def test_lines_below_the_level_are_left_out(level: str, events: list[str], configure: Configure) -> None:
    output = configure(level)

    for name in ("debug", "info", "warning", "error", "critical"):
        getattr(log, name)(name)
    ours = output.lines()
    for name in ("debug", "info", "warning", "error", "critical"):
        getattr(logging.getLogger("urllib3"), name)(name)

    assert [line["event"] for line in ours] == [line["level"] for line in ours] == events
    assert [line["event"] for line in output.lines()] == events


@pytest.mark.parametrize(("level", "events"), [("debug", ["warning"]), ("info", ["warning"]), ("error", [])])
def test_kafkas_chatter_is_left_out_at_every_level(level: str, events: list[str], configure: Configure) -> None:
    output = configure(level)

    logging.getLogger("kafka.coordinator").info("info")
    logging.getLogger("kafka.coordinator").warning("warning")

    assert [line["event"] for line in output.lines()] == events


def test_an_exception_is_one_field_of_its_line(configure: Configure) -> None:
    output = configure()

    log.error("posting failed", exc_info=failing("no route to host"))
    try:
        Path("/nowhere").read_bytes()
    except OSError:
        log.exception("reading failed")
        logging.getLogger("urllib3").exception("also failed")

    lines = output.lines()
    assert [line["event"] for line in lines] == ["posting failed", "reading failed", "also failed"]
    for line in lines:
        assert line["level"] == "error"
        assert line["exception"].startswith("Traceback (most recent call last):")
        assert "Error: " in line["exception"].splitlines()[-1]
        assert "exc_info" not in line


def test_bound_context_is_part_of_every_line_whoever_writes_it(configure: Configure) -> None:
    output = configure()

    with structlog.contextvars.bound_contextvars(partition=3):
        log.info("ours")
        logging.getLogger("urllib3").error("theirs")

    assert [line["partition"] for line in output.lines()] == [3, 3]


def test_a_second_configuration_replaces_the_first(configure: Configure) -> None:
    first, second = configure("debug"), configure("error")

    log.warning("not severe")
    log.error("severe")

    assert first.lines() == []
    assert [line["event"] for line in second.lines()] == ["severe"]


def test_text_for_people_is_not_json_and_holds_the_same(configure: Configure) -> None:
    output = configure(fmt="console", secrets=lambda: [KEY])

    log.error("posting failed", entity="cart:42", key=KEY, exc_info=failing(f"refused {KEY}"))
    logging.getLogger("urllib3").error("theirs")

    text = output.getvalue()
    for part in ("posting failed", "entity=cart:42", "key=***", "OSError: refused ***", "theirs", "error"):
        assert part in text
    assert "\x1b" not in text
    assert KEY not in text


def test_what_an_api_says_does_not_reach_the_terminal_as_its_language(configure: Configure) -> None:
    output = configure(fmt="console")

    log.error("rejected\x1b[2J", message="\x1b]0;owned\x07", nested=["\x9b2J"], exc_info=failing("\x1b[31m"))

    text = output.getvalue()
    assert "\\x1b]0;owned" in text
    assert "Traceback" in text
    assert all(character.isprintable() for line in text.splitlines() for character in line)


def failing(message: str) -> OSError:
    try:
        raise OSError(message)  # noqa: TRY301
    except OSError as error:
        return error


@pytest.mark.parametrize(
    "write",
    [
        lambda: log.info(KEY.join("<>")),
        lambda: log.info("event", **{f"field {KEY}": 1}),
        lambda: log.info("event", key=KEY),
        lambda: log.info("event", nested={"a": [{"b": (f"x{KEY}x", {KEY: 1})}]}),
        lambda: log.info("event", too_deep=[[[[[[[[[[[[KEY]]]]]]]]]]]]),
        lambda: log.info("event", body=f"key={KEY}&id=1".encode()),
        lambda: log.info("event", body=urlencode({"key": KEY})),
        lambda: log.info("event", url=f"https://www.optico.fr/?key={quote(KEY)}&again={quote_plus(KEY)}"),
        lambda: log.info("event", body=quote(KEY, safe="")),
        lambda: log.info("event", value=repr(KEY), values=[repr([KEY])]),
        lambda: log.info("event", value=json.dumps({"key": KEY}), other=json.dumps(KEY, ensure_ascii=False)),
        lambda: log.info("event", error=OSError(KEY)),
        lambda: log.info("event", thing=SimpleNamespace(key=KEY)),
        lambda: log.info("event", path=Path("/srv") / KEY),
        lambda: log.error("event", exc_info=failing(f"refused: {KEY}")),
        lambda: log.error("event", exc_info=failing(repr({"key": KEY}))),
        lambda: logging.getLogger("urllib3").warning("sent %s", KEY),
        lambda: logging.getLogger("urllib3").warning("sent", exc_info=failing(KEY)),
    ],
)
def test_a_secret_is_masked_wherever_it_stands(write: Callable[[], object], configure: Configure) -> None:
    output = configure(secrets=lambda: [KEY])
    write()
    masked = output.getvalue()
    output = configure()
    write()
    unmasked = output.getvalue()

    fragments = ("fake+key", "fake%2Bkey", "fake%2bkey")
    assert any(fragment in unmasked for fragment in fragments)
    assert not any(fragment in masked for fragment in fragments)
    assert logs.MASK in masked
    json.loads(masked)


def test_a_number_that_is_a_secret_is_masked_too(configure: Configure) -> None:
    output = configure(secrets=lambda: ["271828"])

    log.info("event", pin=271828, near=27182)

    line = output.line()
    assert (line["pin"], line["near"]) == ("***", 27182)


def test_of_two_secrets_the_longer_one_is_masked_as_a_whole(configure: Configure) -> None:
    output = configure(secrets=lambda: ["fake", "fake-key"])

    log.info("event", value="fake-key fake")

    assert output.line()["value"] == "*** ***"


def test_a_replaced_key_is_masked_from_its_first_use_on_and_so_is_the_old_one(
    configure: Configure, tmp_path: Path
) -> None:
    path = tmp_path / "key"
    key = ApiKey("fake-key-old", path)
    output = configure(secrets=lambda: key.known)

    path.write_text("fake-key-new")
    key.reload()
    log.info("event", old="fake-key-old", new=key.value)

    line = output.line()
    assert (line["old"], line["new"]) == ("***", "***")


def test_an_empty_secret_masks_nothing(configure: Configure) -> None:
    output = configure(secrets=lambda: [""])

    log.info("event", value="as it is")

    assert output.line()["value"] == "as it is"


@pytest.mark.parametrize(
    ("value", "logged"),
    [
        (2**70, str(2**70)),
        (float("nan"), None),
        (b"\xff\x00a", "\\xff\x00a"),
        ("\udcff", "\\udcff"),
        ({"\udcff": 1, 2: 3}, {"\\udcff": 1, "2": 3}),
        ({3}, [3]),
        (Decimal("1.50"), "1.50"),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00+00:00"),
        (ValueError("no"), "ValueError: no"),
        (ApiKey("fake"), "***"),
        (True, True),
        (os.curdir, "."),
    ],
)
def test_a_value_that_json_does_not_know_becomes_text(value: object, logged: object, configure: Configure) -> None:
    output = configure()

    log.info("event", value=value)

    assert output.line()["value"] == logged


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters()) | st.integers(), inner),
)


@given(event=st.text(st.characters()), value=VALUES)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_logged_is_one_line_of_json(event: str, value: object, configure: Configure) -> None:
    output = configure()

    log.bind(value=value).info(event)
    logging.getLogger("urllib3").info(event)

    assert len(output.lines()) == 2


@given(
    secret=st.text(st.characters(codec="utf-8", exclude_characters="*"), min_size=1),
    around=st.tuples(st.text(st.characters(codec="utf-8")), st.text(st.characters(codec="utf-8"))),
)
def test_no_secret_survives_the_mask(secret: str, around: tuple[str, str]) -> None:
    mask = logs.Mask(lambda: [secret])

    assert secret not in mask(secret.join(around))


class Unprintable:
    def __str__(self) -> str:
        raise RuntimeError(KEY)


def test_a_line_that_cannot_be_written_is_lost_without_harm_and_without_its_content(
    configure: Configure, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    output = configure(secrets=lambda: [KEY])
    monkeypatch.setattr(sys, "__stderr__", sys.stderr)

    log.info("event", value=Unprintable())
    logging.getLogger("urllib3").warning("%d", KEY)
    output.close()
    log.info("closed", value=KEY)

    errors = capsys.readouterr().err.splitlines()
    assert errors == [
        "a log line of worker.tests was lost: RuntimeError",
        "a log line of urllib3 was lost: TypeError",
        "a log line of worker.tests was lost: ValueError",
    ]


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def recorded() -> tuple[list[dict[str, object]], Callable[..., None]]:
    lines: list[dict[str, object]] = []

    def emit(event: str, **fields: object) -> None:
        lines.append({"event": event, **fields})

    return lines, emit


def test_a_burst_is_cut_and_the_next_line_says_how_much_is_missing() -> None:
    clock = Clock()
    lines, emit = recorded()
    limited = logs.RateLimited(limit=2, interval=10, clock=clock)

    passed = [limited(emit, "failed", per="timeout", reason="timeout") for _ in range(5)]
    clock.now += 10
    limited(emit, "failed", per="timeout", reason="timeout")
    limited(emit, "failed", per="timeout", reason="timeout")

    assert passed == [True, True, False, False, False]
    plain = {"event": "failed", "reason": "timeout"}
    assert lines == [plain, plain, plain | {"suppressed": 3}, plain]


def test_keys_and_events_are_limited_apart_from_one_another() -> None:
    lines, emit = recorded()
    limited = logs.RateLimited(limit=1, interval=10, clock=Clock())

    for event, key in [("failed", "a"), ("failed", "b"), ("failed", "a"), ("slow", "a"), ("slow", None)]:
        limited(emit, event, per=key, at=key)

    assert [(line["event"], line["at"]) for line in lines] == [
        ("failed", "a"),
        ("failed", "b"),
        ("slow", "a"),
        ("slow", None),
    ]


@given(limit=st.integers(1, 4), steps=st.lists(st.integers(0, 8), max_size=60))
def test_no_interval_has_more_lines_than_the_limit_and_every_line_is_accounted_for(
    limit: int, steps: list[int]
) -> None:
    clock, times = Clock(), []
    lines, emit = recorded()
    limited = logs.RateLimited(limit=limit, interval=10, clock=clock)

    for step in [*steps, 10]:
        clock.now += step
        if limited(emit, "failed"):
            times.append(clock.now)

    assert all(later - earlier >= 10 for earlier, later in zip(times, times[limit:], strict=False))
    assert len(lines) + sum(int(str(line.get("suppressed", 0))) for line in lines) == len(steps) + 1


def test_only_the_keys_that_spoke_last_are_remembered() -> None:
    _, emit = recorded()
    limited = logs.RateLimited(limit=1, interval=10, clock=Clock(), keys=2)

    assert [limited(emit, "failed", per=key) for key in "aba"] == [True, True, False]
    assert [limited(emit, "failed", per=key) for key in "cab"] == [True, False, True]


def test_many_threads_together_pass_no_more_than_the_limit() -> None:
    lines, emit = recorded()
    limited = logs.RateLimited(limit=3, interval=10, clock=Clock())
    threads = [threading.Thread(target=lambda: [limited(emit, "failed") for _ in range(200)]) for _ in range(8)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(lines) == 3


def test_what_kafka_repeats_is_said_once_in_a_while() -> None:
    """A broker that is away would fill the log; other libraries' lines are left alone."""
    stream = StringIO()
    logs.configure("info", "json", stream)
    for attempt in range(20):
        logging.getLogger("kafka.net.manager").warning("Bootstrap %s not ready", attempt)
        logging.getLogger("kafka.net.connection").error("Connection lost: %s", attempt)
        logging.getLogger("urllib3").warning("something else")
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["event"] for line in lines if line["logger"].startswith("kafka")] == ["Bootstrap 0 not ready"]
    assert sum(line["logger"] == "urllib3" for line in lines) == 20


@pytest.mark.parametrize("kept", [6, 7, 12, len(KEY) - 1])
def test_a_secret_that_was_cut_at_the_end_of_a_text_is_masked(kept: int) -> None:
    mask = logs.Mask(lambda: [KEY])

    assert mask(f"the key fake {KEY[:kept]}") == "the key fake ***"
    assert mask(f"{KEY[:kept]} is no end") == f"{KEY[:kept]} is no end"
    assert mask(f"a {KEY[:3]}") == f"a {KEY[:3]}"


def test_what_was_held_back_is_told_once() -> None:
    """By whoever asks, or by the next line that passes."""
    now = [0.0]
    limited, emitted = logs.RateLimited(limit=1, interval=10.0, clock=lambda: now[0]), []

    def emit(event: str, **fields: object) -> None:
        emitted.append((event, fields))

    for _ in range(4):
        limited(emit, "refused", per="reason")
    assert limited.left_out() == {("refused", "reason"): 3}
    assert limited.left_out() == {}
    limited(emit, "refused", per="reason")
    now[0] = 10.0
    limited(emit, "refused", per="reason")
    assert emitted == [("refused", {}), ("refused", {"suppressed": 1})]


@pytest.mark.parametrize("where", ["fail()", "t = threading.Thread(target=fail); t.start(); t.join()"])
def test_what_nobody_caught_is_a_line_without_secrets(where: str) -> None:
    program = f"""
import threading
from worker.adapters import logs
logs.configure("info", "json", secrets=lambda: ["sk_fake_marked"])
logs.take_over_tracebacks()
def fail():
    key = "sk_fake_" + "marked"
    raise RuntimeError("refused: " + key)
{where}
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    (line,) = map(json.loads, ended.stderr.splitlines())
    assert (line["level"], line["event"]) == ("critical", "nobody expected this")
    assert "RuntimeError: refused: ***" in line["exception"]
    assert "sk_fake_marked" not in ended.stdout + ended.stderr
