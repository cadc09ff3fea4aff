"""The kinds of fault: a name, what happens, and what it needs."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.chaos.world import Options, World

Script = Callable[[World], None]


@dataclass(frozen=True)
class Kind:
    name: str
    about: str
    script: Script
    options: Options
    #: The brokers can't be used by another run afterwards.
    spoils: bool = False


KINDS: dict[str, Kind] = {}


def kind(name: str, options: Options | None = None, *, spoils: bool = False) -> Callable[[Script], Script]:
    """Makes a function a scenario of that name; the first line of its docstring says what it is about."""

    def register(script: Script) -> Script:
        about = (script.__doc__ or "").strip().splitlines()[0]
        KINDS[name] = Kind(name, about, script, options or Options(), spoils=spoils)
        return script

    return register
