"""Whether the Cart API can be reached: the network, TLS and HTTP. No event and no key is sent."""

import time
from collections.abc import Iterator
from datetime import timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path

from pyreqwest.client import SyncClient, SyncClientBuilder
from pyreqwest.exceptions import PyreqwestError, RequestTimeoutError

from worker import __version__
from worker.adapters.http import CartApi
from worker.ops.check.finding import Finding, ok, red, warn
from worker.settings import Optico

#: The check's own patience (s): the deadline of requests may be longer.
ANSWER_WITHIN = 10.0
#: Dates in HTTP are whole seconds, and an answer takes its time (s).
SKEW_AT_MOST = 5.0
_REDIRECTS, _FAILURES = 300, 500


def check(settings: Optico) -> Iterator[Finding]:
    """Two findings: the API, and our clock against its. Blocks for ANSWER_WITHIN seconds at most."""
    url = settings.url
    try:
        client = _client(settings)
    except (OSError, ValueError) as error:
        yield red("api", url, str(error), "correct OPTICO_CA_FILE")
        yield _unknown_clock(url)
        return
    with client:
        began = time.time()
        try:
            with client.get(f"{url}/").build_streamed() as response:
                status, date = response.status, response.get_header("date")
        except RequestTimeoutError:
            yield red("api", url, "no answer in time", "is it up, and is a firewall or a proxy in between?")
        except PyreqwestError as error:
            yield red("api", url, *_failed(error))
        else:
            yield _answered(settings, status)
            yield _clock(url, date, began, time.time())
            return
    yield _unknown_clock(url)


def _client(settings: Optico) -> SyncClient:
    """As the worker's, whose own constructor says what is wrong with the CA file."""
    timeout = min(settings.timeout_seconds, ANSWER_WITHIN)
    CartApi(settings.url, timeout=timeout, concurrency=1, ca_file=settings.ca_file).close()
    builder = (
        SyncClientBuilder()
        .user_agent(f"optico-worker/{__version__}")
        .timeout(timedelta(seconds=timeout))
        .follow_redirects(enable=False)
        .error_for_status(enable=False)
    )
    if settings.ca_file is not None:
        builder = builder.add_root_certificate_pem(Path(settings.ca_file).read_bytes())
    return builder.build()


def _answered(settings: Optico, status: int) -> Finding:
    said = f"answers with HTTP {status}"
    facts = {"status": status, "tls": settings.url.startswith("https://")}
    if status >= _FAILURES:
        return red(
            "api", settings.url, said, "the API, or what stands before it, is in trouble: events will wait", **facts
        )
    if _REDIRECTS <= status < _REDIRECTS + 100:
        return warn("api", settings.url, said, "redirects are not followed: is OPTICO_URL the final address?", **facts)
    return ok("api", settings.url, f"{said}{', TLS verified' if facts['tls'] else ', without TLS'}", **facts)


def _failed(error: PyreqwestError) -> tuple[str, str]:
    details = getattr(error, "details", None) or {}
    causes = [cause["message"] for cause in details.get("causes") or []] or [error.message]
    if any("certificate" in cause.lower() for cause in causes):
        return causes[-1], "set OPTICO_CA_FILE to the certificates that sign the API's, or have its certificate renewed"
    return causes[-1], "compare OPTICO_URL; can this machine reach it (DNS, firewall, proxy)?"


def _clock(url: str, date: str | None, began: float, ended: float) -> Finding:
    try:
        theirs = parsedate_to_datetime(date or "").timestamp()
    except ValueError:
        return _unknown_clock(url)
    # The date was taken somewhen in that second, between the question and the answer.
    skew = round(max(theirs - ended, 0.0) or min(theirs + 1 - began, 0.0), 1)
    if abs(skew) > SKEW_AT_MOST:
        word = "behind" if skew > 0 else "ahead of"
        remedy = "set the clock (NTP): delivery times, Retry-After and replays by time depend on it"
        return warn("clock", url, f"this machine is {abs(skew):g} s {word} the API", remedy, skew_seconds=0.0 - skew)
    return ok("clock", url, f"within {SKEW_AT_MOST:g} s of the API's", skew_seconds=0.0 - skew)


def _unknown_clock(url: str) -> Finding:
    return warn(
        "clock", url, "unknown: the API told no date", "compare this machine's clock by hand", skew_seconds=None
    )
