"""Whether the Cart API can be reached: network, TLS, HTTP. Sends no event, and no key unless that is asked for."""

import asyncio
import socket
import ssl
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from worker.adapters.http import Answer, ExchangeFailed, HttpClient, ProxyNotSupportedError
from worker.ops.check import key
from worker.ops.check.finding import Finding, ok, red, warn
from worker.settings import Optico

#: The check's own patience (s): the deadline of requests may be longer.
ANSWER_WITHIN = 10.0
#: Dates in HTTP are whole seconds, and an answer takes its time (s).
SKEW_AT_MOST = 5.0
_REDIRECTS, _BAD_REQUEST, _FAILURES = 300, 400, 500
_HANDSHAKE_WITHIN = 3.0
#: OpenSSL's X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH.
_OTHER_NAMES = (62, 64)


def check(settings: Optico, *, try_key: bool = False) -> Iterator[Finding]:
    """Three findings: the API, our clock against its, and the key. Blocks for twice ANSWER_WITHIN seconds at most."""
    yield from _reached(settings)
    if not try_key:
        yield key.untried()
        return
    try:
        client = _client(settings)
    except (OSError, ValueError) as error:
        yield red("key", "OPTICO_API_KEY", f"not tried: {error}", _remedy(error), known=None)
    else:
        yield key.check(client, settings)


def _reached(settings: Optico) -> Iterator[Finding]:
    url = settings.url
    try:
        client = _client(settings)
    except (OSError, ValueError) as error:
        yield red("api", url, str(error), _remedy(error))
        yield _unknown_clock(url)
        return
    began = time.time()
    try:
        answer = asyncio.run(_front_page(client))
    except ExchangeFailed as failure:
        yield _failed(url, failure)
        yield _unknown_clock(url)
    else:
        yield _answered(settings, answer.status)
        yield _clock(url, answer.date, began, time.time())


def _remedy(error: Exception) -> str:
    proxy = isinstance(error, ProxyNotSupportedError)
    return "name an http:// proxy, or except the API's host by NO_PROXY" if proxy else "correct OPTICO_CA_FILE"


def _client(settings: Optico) -> HttpClient:
    return HttpClient(settings.url, timeout=min(settings.timeout_seconds, ANSWER_WITHIN), ca_file=settings.ca_file)


async def _front_page(client: HttpClient) -> Answer:
    try:
        return await client.exchange(client.head("GET", "/"))
    finally:
        await client.close()


def _answered(settings: Optico, status: int) -> Finding:
    if status == _BAD_REQUEST and (finding := _plain_text_to_tls(settings.url)) is not None:
        return finding
    said = f"answers with HTTP {status}"
    facts = {"status": status, "tls": settings.url.startswith("https://")}
    if status >= _FAILURES:
        return red(
            "api", settings.url, said, "the API, or what stands before it, is in trouble: events will wait", **facts
        )
    if _REDIRECTS <= status < _REDIRECTS + 100:
        return warn("api", settings.url, said, "redirects are not followed: is OPTICO_URL the final address?", **facts)
    return ok("api", settings.url, f"{said}{', TLS verified' if facts['tls'] else ', without TLS'}", **facts)


def _failed(url: str, failure: ExchangeFailed) -> Finding:
    what, cause = str(failure), failure.__cause__
    match cause:
        case _ if failure.timed_out:
            remedy = "is it up, and is a firewall or a proxy in between?"
            return _plain_text_to_tls(url) or red("api", url, "no answer in time", remedy)
        case ssl.SSLCertVerificationError(verify_code=code) if code in _OTHER_NAMES:
            remedy = "OPTICO_URL names a host that its certificate is not for: correct the host's name"
        case ssl.SSLCertVerificationError():
            remedy = "set OPTICO_CA_FILE to the certificates that sign the API's, or have its certificate renewed"
        case ssl.SSLError():
            remedy = "the port of OPTICO_URL speaks no TLS: is it another port's, or an http:// address?"
        case socket.gaierror():
            remedy = "OPTICO_URL names a host that has no address: correct its name, or this machine's DNS"
        case _:
            remedy = "compare OPTICO_URL; can this machine reach it (DNS, firewall, proxy)?"
    return _plain_text_to_tls(url) or red("api", url, what, remedy)


def _plain_text_to_tls(url: str) -> Finding | None:
    """Whether an `http://` address is that of a TLS port, where some servers answer 400 and others nothing."""
    address = urlsplit(url)
    if address.scheme != "http" or address.hostname is None:
        return None
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # nothing is sent, the key least of all
    try:
        with (
            socket.create_connection((address.hostname, address.port or 80), _HANDSHAKE_WITHIN) as plain,
            context.wrap_socket(plain, server_hostname=address.hostname),
        ):
            return red("api", url, "its port speaks TLS", "set OPTICO_URL to the address with https://", tls=False)
    except OSError:
        return None


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
