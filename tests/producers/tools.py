"""The programs that run the producers. What they need is installed once, below the user's cache, never in the tree."""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests import programs
from tests.programs import MissingError

HERE = Path(__file__).parent
_BELOW = Path("producers")


def php() -> str:
    """PHP with librdkafka: through its extension, or through FFI. Raises MissingError."""
    program = shutil.which("php")
    if program is None:
        raise MissingError("missing: php (Debian: apt-get install php-cli)")
    if "rdkafka" not in _said([program, "-m"]):
        shown = _said([program, "-r", "FFI::cdef('', 'librdkafka.so.1'); echo 'found';"])
        if "found" not in shown:
            raise MissingError(f"missing: librdkafka (Debian: apt-get install librdkafka1); php said: {shown.strip()}")
    return program


def node_modules() -> Path:
    """The packages of the lock, downloaded if they are not there yet. Raises MissingError."""
    npm = programs.npm()
    given = [HERE / "node" / name for name in ("package.json", "package-lock.json")]

    def make(folder: Path) -> None:
        for path in given:
            shutil.copy(path, folder)
        programs.run([*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"], "the Node packages", folder)

    return programs.kept(_BELOW, "node", given, make) / "node_modules"


def datamodel_codegen() -> Sequence[str]:
    """The command of the generator of Python types. Raises MissingError."""
    lock = HERE / "types" / "requirements.txt"

    def make(folder: Path) -> None:
        uv = Path(sys.executable).with_name("uv")
        command = [str(uv), "pip", "install", "--quiet", "--require-hashes", "--target", str(folder / "packages")]
        programs.run([*command, "--python", sys.executable, "-r", str(lock)], "datamodel-code-generator", folder)

    packages = programs.kept(_BELOW, "types", [lock], make) / "packages"
    start = "from datamodel_code_generator.__main__ import main; sys.exit(main())"
    return (sys.executable, "-c", f"import sys; sys.path.insert(0, {str(packages)!r}); {start}")


def _said(command: Sequence[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    return done.stdout + done.stderr
