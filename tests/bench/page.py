"""What of docs/performance.md is made of figures: tables, in Markdown.

The page's text is written by hand; what stands between `<!-- figures: NAME -->` and `<!-- end -->` is not.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

from tests.bench.figures import Figure, Findings, Measured

_PLACE = re.compile(r"(<!-- figures: ([\w, -]+) -->\n).*?(<!-- end -->)", re.DOTALL)
_HEAD = ["what", "measured", "limit or peer", "ratio", "goal", "met"]


def fill(text: str, sections: Mapping[str, Sequence[str]]) -> str:
    """The page's text with its sections renewed. One that there are no figures for says so."""

    def section(place: re.Match[str]) -> str:
        lines = sections.get(place[2]) or ["Not measured yet."]
        return place[1] + "\n".join(["", *lines, ""]) + "\n" + place[3]

    return _PLACE.sub(section, text)


def table(findings: Findings) -> list[str]:
    """In Markdown."""
    lines = []
    if findings.figures:
        lines += rows([_HEAD, *(_row(figure) for figure in findings.figures)])
    for name, content in findings.tables.items():
        lines += ["", f"{name}:", "", *rows(content)]
    return lines


def rows(content: Sequence[Sequence[str]]) -> list[str]:
    head, *rest = content
    return ["| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rest)]


def number(value: float) -> str:
    """Three digits say all that was measured."""
    if abs(value) >= 100 or value == 0:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def section(measured: Measured, folder: str) -> Iterator[str]:
    """A scenario's tables, plots, and when it was measured."""
    yield from table(measured.findings)
    for plot in measured.findings.plots:
        yield from ("", f"![{plot.title}]({folder}/{plot.name}.svg)")
    quick = "; a trial with small sizes, not a measurement" if measured.quick else ""
    yield from ("", f"{measured.date}; {_rounds(measured.findings)}; {measured.seconds:.0f} s{quick}.")


def _rounds(findings: Findings) -> str:
    rounds = sorted({len(figure.values) for figure in findings.figures}) or [1]
    if rounds == [1]:
        return "one round"
    return "medians of " + (f"{rounds[0]} rounds" if len(rounds) == 1 else f"{rounds[0]} to {rounds[-1]} rounds")


def environments(measured: Mapping[str, Measured]) -> Iterator[str]:
    """What it was measured on, a line for each."""
    seen = {tuple(each.environment.items()) for each in measured.values()}
    for environment in sorted(seen):
        yield "- " + ", ".join(f"{name} {value}" for name, value in environment)


def _row(figure: Figure) -> list[str]:
    limit = f"{number(figure.limit_value)} ({figure.limit})" if figure.limit_value is not None else "-"
    ratio = f"{figure.ratio:.2f}" if figure.ratio is not None else "-"
    goal = "-"
    if figure.goal is not None:
        bound = f"{figure.goal.bound:g}" if figure.goal.of == "value" else f"{figure.goal.bound:g} of it"
        goal = f"{'≥' if figure.goal.sense == 'at least' else '≤'} {bound}"
    met = {None: "-", True: "yes", False: "**no**"}[figure.met]
    return [figure.name, f"{number(figure.value)} {figure.unit}", limit, ratio, goal, met]
