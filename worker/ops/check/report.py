"""How the findings are shown. The JSON document is an interface: see docs/commands.md."""

from collections.abc import Sequence

from rich.text import Text

from worker.ops import terminal
from worker.ops.check.configuration import Variable
from worker.ops.check.finding import Finding, Verdict

_STYLES = {Verdict.OK: "green", Verdict.WARN: "yellow", Verdict.RED: "bold red"}


def show(variables: Sequence[Variable], findings: Sequence[Finding], *, as_json: bool) -> None:
    """Variables first, then a line for each finding."""
    if as_json:
        terminal.emit(_document(variables, findings))
        return
    terminal.table("Configuration", ("variable", "value", "from"), variables)
    terminal.table("Checks", ("verdict", "check", "of", "found", "to do"), map(_row, findings))
    terminal.note(_summary(findings))


def _row(finding: Finding) -> tuple[object, ...]:
    verdict = Text(finding.verdict, _STYLES[finding.verdict])
    return verdict, finding.check, finding.subject, finding.detail, finding.remedy


def _summary(findings: Sequence[Finding]) -> str:
    counts = {verdict: sum(finding.verdict is verdict for finding in findings) for verdict in Verdict}
    return ", ".join(f"{counts[verdict]} {verdict}" for verdict in Verdict)


def _document(variables: Sequence[Variable], findings: Sequence[Finding]) -> dict[str, object]:
    return {
        "ok": all(finding.verdict is not Verdict.RED for finding in findings),
        "configuration": [variable._asdict() for variable in variables],
        "checks": [
            {
                "check": finding.check,
                "subject": finding.subject,
                "verdict": finding.verdict,
                "detail": finding.detail,
                "remedy": finding.remedy,
                "facts": dict(finding.facts),
            }
            for finding in findings
        ],
    }
