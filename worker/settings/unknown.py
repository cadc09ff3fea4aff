"""Variables that look like ours and are not: most often a misspelling, which would be ignored without a word."""

import difflib
import re
from collections.abc import Iterator, Mapping

from worker.settings.variables import shown

PREFIXES = ("KAFKA_", "OPTICO_", "WORKER_")
# https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
_SERVICE = re.compile(
    r"[A-Z0-9_]+_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
_SERVICE_PORT = re.compile(r"[A-Z0-9_]+_PORT")
_LIKENESS = 0.8


def unknown(environ: Mapping[str, str], names: list[str]) -> Iterator[str]:
    """A warning for each variable with one of our prefixes that nothing reads; it never holds the value."""
    files = [f"{name}_FILE" for name in names]
    known = {*names, *files}
    for name in sorted(environ):
        if not name.startswith(PREFIXES) or name in known or _set_by_kubernetes(name, environ[name], names):
            continue
        candidates = [*names, *files] if name.endswith("_FILE") else names
        yield f"{shown(name)}: unknown, so it has no effect; the nearest known variable is {_nearest(name, candidates)}"


def _nearest(name: str, candidates: list[str]) -> str:
    _, rest = name.split("_", 1)
    elsewhere = [candidate for candidate in candidates if candidate.split("_", 1)[1] == rest]  # OPTICO_TOPICS
    return (elsewhere or difflib.get_close_matches(name, candidates, n=1, cutoff=0))[0]


def _set_by_kubernetes(name: str, value: str, names: list[str]) -> bool:
    if _SERVICE.fullmatch(name):
        return True
    if not _SERVICE_PORT.fullmatch(name):
        return False
    # A service's is tcp://10.0.0.1:9092; WORKER_HTP_PORT=9464 is a misspelling.
    return "://" in value or not difflib.get_close_matches(name, names, n=1, cutoff=_LIKENESS)
