"""The contract's table of outcomes, row by row, and `Retry-After` in all its forms."""

import os
import time
from collections.abc import Iterator

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.core.outcome import (
    DELIVERED,
    KEY_REFUSED_MESSAGE,
    REJECTION_REASONS,
    RETRY_REASONS,
    Outcome,
    Result,
    classify,
    connection_failed,
    parse_retry_after,
    timed_out,
)

SUCCESS = b'{"status": "success"}'
UNKNOWN_VISIT = b'{"status": "error", "message": "Unknown visit_id"}'
INVALID_KEY = b'{"status": "error", "message": "Invalid API key"}'
BODIES = [SUCCESS, UNKNOWN_VISIT, INVALID_KEY, b"", b"<html>Bad Gateway</html>", b"{}"]
NO_ENVELOPES = [
    b"",
    b" ",
    b"<html><body>maintenance</body></html>",
    b"{}",
    b"[]",
    b"null",
    b"true",
    b"7",
    b'"success"',
    b'["success"]',
    b'[{"status": "success"}]',
    b'{"status": "ok"}',
    b'{"status": "SUCCESS"}',
    b'{"status": "success "}',
    b'{"status": true}',
    b'{"status": null}',
    b'{"status": 200}',
    b'{"status": ["success"]}',
    b'{"status": {"status": "success"}}',
    b'{"Status": "success"}',
    b'{"message": "Invalid API key"}',
    b'{"data": {"status": "error", "message": "Invalid API key"}}',
    b'{"status": "success"',
    b'{"status": "success"} trailing',
    b"{'status': 'success'}",
    b'<br />Notice: Undefined index\n{"status": "success"}',
    b'\xff\xfe{"status": "success"}',
    b'{"status": "error", "message": "\xe9"}',
    b"[" * 100_000,
    b'{"status":' * 50_000,
]
ENVELOPE_STATUSES = [200, 201, 202, 204, 206, 299, 400, 401, 402, 403, 404, 409, 413, 414, 422, 451, 499]
REJECTING_STATUSES = [200, 201, 202, 204, 206, 299, 400, 409, 413, 414, 422]


def test_the_reasons_are_the_closed_sets_of_the_contract() -> None:
    assert set(RETRY_REASONS) == {
        "timeout",
        "connection",
        "http_5xx",
        "http_429",
        "http_other",
        "bad_response",
        "invalid_api_key",
        "rejections",
    }
    assert set(REJECTION_REASONS) == {
        "malformed_json",
        "invalid_event",
        "missing_required_parameter",
        "invalid_products_format",
        "unknown_visit_id",
        "other_error",
        "payload_too_large",
        "attempts_exhausted",
    }
    assert {str(result) for result in Result} == {"delivered", "rejected", "retryable", "key_refused"}


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (500, "http_5xx"),
        (501, "http_5xx"),
        (502, "http_5xx"),
        (503, "http_5xx"),
        (504, "http_5xx"),
        (524, "http_5xx"),
        (599, "http_5xx"),
        (429, "http_429"),
        (408, "http_other"),
        (425, "http_other"),
    ],
)
def test_5xx_408_425_and_429_are_retryable_whatever_the_body(status: int, reason: str, body: bytes) -> None:
    outcome = classify(status, body)
    assert (outcome.result, outcome.reason) == (Result.RETRYABLE, reason)


@pytest.mark.parametrize("status", ENVELOPE_STATUSES)
def test_an_envelope_with_success_is_delivered_on_any_2xx_and_4xx(status: int) -> None:
    assert classify(status, SUCCESS) == DELIVERED


@pytest.mark.parametrize("status", ENVELOPE_STATUSES)
def test_invalid_api_key_refuses_the_key_on_any_2xx_and_4xx(status: int) -> None:
    outcome = classify(status, INVALID_KEY)
    assert (outcome.result, outcome.reason) == (Result.KEY_REFUSED, "invalid_api_key")


@pytest.mark.parametrize("status", [200, 401, 403])
@pytest.mark.parametrize(
    "message",
    ["Invalid API key.", "INVALID API KEY", "invalid api key...", "  Invalid API key . ", "Invalid API Key\n"],
)
def test_a_refused_key_is_known_whatever_its_case_final_periods_and_blanks(status: int, message: str) -> None:
    outcome = classify(status, orjson.dumps({"status": "error", "message": message}))
    assert (outcome.result, outcome.reason) == (Result.KEY_REFUSED, "invalid_api_key")


@pytest.mark.parametrize("status", [401, 402, 403, 404, 405, 407, 410, 418, 431, 451, 499])
def test_an_error_under_a_4xx_of_something_in_between_is_retryable(status: int) -> None:
    outcome = classify(status, UNKNOWN_VISIT, 17.0)
    assert (outcome.result, outcome.reason, outcome.retry_after) == (Result.RETRYABLE, "http_other", 17.0)


@pytest.mark.parametrize("status", REJECTING_STATUSES)
@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("Missing required parameter", "missing_required_parameter"),
        ("Invalid products format", "invalid_products_format"),
        ("Unknown visit_id", "unknown_visit_id"),
        ("Something new", "other_error"),
        ("", "other_error"),
        ("Your Invalid API key was seen", "other_error"),
        ("unknown VISIT_ID.", "unknown_visit_id"),
        ("Invalid API keys", "other_error"),
    ],
)
def test_any_other_error_of_the_envelope_is_rejected_under_its_own_reason(
    status: int, message: str, reason: str
) -> None:
    outcome = classify(status, orjson.dumps({"status": "error", "message": message}))
    assert outcome == Outcome(Result.REJECTED, reason, message)


@pytest.mark.parametrize("message", [None, 7, 1.5, True, ["Invalid API key"], {"text": "Invalid API key"}, [[[]]]])
def test_an_error_whose_message_is_no_string_is_rejected_as_some_other_error(message: object) -> None:
    outcome = classify(200, orjson.dumps({"status": "error", "message": message}))
    assert (outcome.result, outcome.reason) == (Result.REJECTED, "other_error")


def test_half_a_surrogate_pair_is_shown_as_its_escape() -> None:
    """PHP writes it where it cuts a text; as a character it could neither be logged nor written to Kafka."""
    assert classify(400, rb'{"status": "error", "message": "cut \ud83d"}').message == r"cut \ud83d"


def test_an_error_without_a_message_is_rejected_as_some_other_error() -> None:
    outcome = classify(200, b'{"status": "error"}')
    assert (outcome.result, outcome.reason) == (Result.REJECTED, "other_error")


@pytest.mark.parametrize(
    "body",
    [
        b' \r\n\t{"status": "success"}\n',
        b'{"status":"success","message":"Invalid API key"}',
        b'{"status":"success","data":{"status":"error","nested":[[[[{}]]]]}}',
        b'{"status":"success","cartId":12345678901234567890}',
        '{"status":"success","note":"é€😀"}'.encode(),
        b'{"status":"\\u0073uccess"}',
        b'{"status":"success","padding":"' + b"x" * 5_000_000 + b'"}',
    ],
)
def test_what_else_the_envelope_holds_does_not_matter(body: bytes) -> None:
    assert classify(200, body) == DELIVERED


def test_an_endless_message_is_cut_to_its_first_words() -> None:
    outcome = classify(200, orjson.dumps({"status": "error", "message": "x" * 1_000_000}))
    assert outcome.result is Result.REJECTED
    assert outcome.message == "x" * len(outcome.message)
    assert len(outcome.message) <= 200


@pytest.mark.parametrize("status", [413, 414])
@pytest.mark.parametrize("body", NO_ENVELOPES)
def test_too_large_without_the_envelope_is_rejected(status: int, body: bytes) -> None:
    outcome = classify(status, body)
    assert (outcome.result, outcome.reason) == (Result.REJECTED, "payload_too_large")


@pytest.mark.parametrize("body", NO_ENVELOPES)
@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_a_2xx_without_the_envelope_is_retryable_as_a_bad_response(status: int, body: bytes) -> None:
    outcome = classify(status, body)
    assert (outcome.result, outcome.reason) == (Result.RETRYABLE, "bad_response")


@pytest.mark.parametrize("body", NO_ENVELOPES)
@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 407, 410, 418, 431, 451, 499])
def test_a_4xx_without_the_envelope_is_retryable(status: int, body: bytes) -> None:
    outcome = classify(status, body)
    assert (outcome.result, outcome.reason) == (Result.RETRYABLE, "http_other")


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("status", [100, 101, 199, 300, 301, 302, 303, 304, 307, 308, 399, 600, 999])
def test_a_redirect_or_an_unknown_status_is_retryable_even_with_an_envelope(status: int, body: bytes) -> None:
    outcome = classify(status, body)
    assert (outcome.result, outcome.reason) == (Result.RETRYABLE, "http_other")


@given(
    status=st.integers(100, 999), body=st.binary(max_size=60) | st.sampled_from(BODIES), wait=st.none() | st.floats()
)
def test_whatever_comes_back_has_an_outcome_with_a_known_reason(status: int, body: bytes, wait: float | None) -> None:
    outcome = classify(status, body, wait)
    known: dict[Result, tuple[str, ...]] = {
        Result.DELIVERED: ("",),
        Result.REJECTED: REJECTION_REASONS,
        Result.RETRYABLE: RETRY_REASONS,
        Result.KEY_REFUSED: ("invalid_api_key",),
    }
    assert outcome.reason in known[outcome.result]


def test_a_time_out_is_retryable_and_ambiguous() -> None:
    outcome = timed_out()
    assert (outcome.result, outcome.reason, outcome.ambiguous) == (Result.RETRYABLE, "timeout", True)


@pytest.mark.parametrize("written", [True, False])
def test_a_lost_connection_is_retryable_and_ambiguous_once_the_request_was_written(*, written: bool) -> None:
    outcome = connection_failed("reset by peer", written=written)
    assert (outcome.result, outcome.reason, outcome.ambiguous) == (Result.RETRYABLE, "connection", written)


@pytest.mark.parametrize("status", [200, 301, 403, 408, 413, 425, 429, 500, 501, 503, 505, 519, 525])
def test_an_answer_is_not_ambiguous(status: int) -> None:
    assert not classify(status, b"").ambiguous


@pytest.mark.parametrize("status", [502, 504, 520, 521, 522, 523, 524])
def test_a_gateway_that_lost_the_api_or_gave_up_waiting_leaves_the_request_ambiguous(status: int) -> None:
    assert classify(status, b"").ambiguous


@pytest.mark.parametrize("status", [200, 302, 403, 408, 425, 429, 500, 503])
def test_a_retryable_answer_says_how_long_it_asks_to_wait(status: int) -> None:
    assert classify(status, b"", 17.0).retry_after == 17.0
    assert classify(status, b"").retry_after is None


def test_the_message_of_a_refused_key_is_the_apis_own() -> None:
    assert classify(200, INVALID_KEY).message == KEY_REFUSED_MESSAGE == "Invalid API key"


# Retry-After. RFC 9110 knows one example date in three forms.

NOVEMBER_1994 = 784_111_777.0
FORMS = ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"]


@pytest.fixture(params=["UTC", "America/New_York", "Asia/Tokyo"])
def local_zone(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.environ.get("TZ")
    os.environ["TZ"] = request.param
    time.tzset()
    yield
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    time.tzset()


@pytest.mark.parametrize(
    ("value", "seconds"), [("0", 0.0), ("1", 1.0), ("120", 120.0), ("  7 ", 7.0), ("007", 7.0), ("0000000000030", 30.0)]
)
def test_retry_after_in_seconds(value: str, seconds: float) -> None:
    assert parse_retry_after(value, NOVEMBER_1994) == seconds


@pytest.mark.parametrize("value", ["99999999999", "9" * 400, "9" * 20_000])
def test_a_gigantic_retry_after_is_long_and_no_error(value: str) -> None:
    seconds = parse_retry_after(value, NOVEMBER_1994)
    assert seconds is not None
    assert seconds >= 9_999_999_999


@pytest.mark.usefixtures("local_zone")
@pytest.mark.parametrize("value", FORMS)
def test_retry_after_as_a_date_is_in_utc_in_all_three_forms_wherever_the_worker_runs(value: str) -> None:
    assert parse_retry_after(value, NOVEMBER_1994 - 90.0) == 90.0


@pytest.mark.usefixtures("local_zone")
@pytest.mark.parametrize(
    "value", ["Sun, 06 Nov 1994 08:49:37 -0000", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 10:49:37 +0200"]
)
def test_retry_after_with_an_offset_or_without_a_zone_is_read_as_meant(value: str) -> None:
    assert parse_retry_after(value, NOVEMBER_1994 - 90.0) == 90.0


@pytest.mark.usefixtures("local_zone")
@pytest.mark.parametrize("value", FORMS)
def test_a_date_that_has_passed_asks_for_no_wait(value: str) -> None:
    assert parse_retry_after(value, NOVEMBER_1994) == 0.0
    assert parse_retry_after(value, NOVEMBER_1994 + 1e9) == 0.0


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        " ",
        "-5",
        "+5",
        "1.5",
        "1e3",
        "5s",
        "soon",
        "٣",
        "²",
        "120, 60",
        "inf",
        "nan",
        "Sun, 99 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:99 GMT",
        "Sun, 06 Nov 99999999 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 +9999999999",
        "1994-11-06T08:49:37Z",
    ],
)
def test_an_unreadable_retry_after_counts_as_absent(value: str | None) -> None:
    assert parse_retry_after(value, NOVEMBER_1994) is None


@settings(max_examples=500)
@given(
    st.text(max_size=40)
    | st.text(alphabet='0123456789 :,-+.GMTSunNov/\t"\\[]()', max_size=40)
    | st.from_regex(r"\A(Sun, )?\d{1,6}[ -](Nov|Jan)[ -]\d{1,7} \d{1,3}[:.]\d{1,3}([:.]\d{1,3})? (GMT|[+-]\d{1,8}|)\Z")
)
def test_no_header_can_raise_or_ask_for_a_negative_wait(value: str) -> None:
    seconds = parse_retry_after(value, NOVEMBER_1994)
    assert seconds is None or seconds >= 0.0
