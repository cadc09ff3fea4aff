"""What can go wrong in steering a sandbox."""


class SandboxError(Exception):
    """Root of the sandbox's own errors."""


class SandboxUnavailableError(SandboxError):
    """The server library is not installed, or the sandbox does not answer."""


class FaultsError(SandboxError, ValueError):
    """A list of faults that can't be understood. `problems` names each field, as in `[0].status: …`."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems
