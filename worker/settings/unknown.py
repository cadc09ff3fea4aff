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
#: Of names without their prefix, which all have in common.
_NEAR = 0.75


def unknown(environ: Mapping[str, str], names: list[str]) -> Iterator[str]:
    """A warning for each variable with one of our prefixes that nothing reads; it never holds the value."""
    for name, near in _unknown_variables(environ, names):
        hint = f"; the nearest known variable is {near}" if near is not None else ""
        yield f"{shown(name)}: unknown, so it has no effect{hint}"


def misspelt(variable: str, environ: Mapping[str, str], names: list[str]) -> str | None:
    """The name under which `variable`, or its file, was probably set."""
    meant = (variable, f"{variable}_FILE")
    return next((shown(name) for name, near in _unknown_variables(environ, names) if near in meant), None)


def _unknown_variables(environ: Mapping[str, str], names: list[str]) -> Iterator[tuple[str, str | None]]:
    """Every unknown variable with one of our prefixes, and the known one that is near."""
    files = [f"{name}_FILE" for name in names]
    known = {*names, *files}
    for name in sorted(environ):
        if name.startswith(PREFIXES) and name not in known and not _set_by_kubernetes(name, environ[name], names):
            yield name, _nearest(name, [*names, *files] if name.endswith("_FILE") else names)


def _nearest(name: str, candidates: list[str]) -> str | None:
    """The same word under another prefix, or under the same one a part of it or nearly it: KAFKA_OPTS is like none."""
    prefix, rest = name.split("_", 1)
    words = {candidate.split("_", 1)[1]: candidate for candidate in candidates}
    if rest in words:
        return words[rest]  # OPTICO_TOPICS
    own = [word for word, candidate in words.items() if candidate.startswith(f"{prefix}_")]
    parts = [word for word in own if rest != "FILE" and (word.startswith(f"{rest}_") or word.endswith(f"_{rest}"))]
    near = difflib.get_close_matches(rest, own, n=1, cutoff=_NEAR) or difflib.get_close_matches(rest, parts, 1, 0)
    return words[near[0]] if near else None


def _set_by_kubernetes(name: str, value: str, names: list[str]) -> bool:
    if _SERVICE.fullmatch(name):
        return True
    if not _SERVICE_PORT.fullmatch(name):
        return False
    # A service's is tcp://10.0.0.1:9092; WORKER_HTP_PORT=9464 is a misspelling.
    return "://" in value or not difflib.get_close_matches(name, names, n=1, cutoff=_LIKENESS)
