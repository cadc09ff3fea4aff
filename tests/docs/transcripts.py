"""What a page shows of a command, and what the command says now."""

import re

_ELLIPSIS = "..."
#: What differs from one run to the next.
_VOLATILE = (
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+\d\d:\d\d)"), "<time>"),
    (re.compile(r"\b\d+(\.\d+)? s\b"), "<seconds>"),
    (re.compile(r"\b\d{10,}(\.\d+)?\b"), "<seconds since 1970>"),
    (re.compile(r'"(seconds|skew_seconds|failed_at|received_at|updated_at)": ?[^,}]+'), r'"\1": <varies>'),
    (re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "<id>"),
    (re.compile(r"[━─]+"), "─"),
    (re.compile(r"[ \t]+"), " "),
)


def agree(shown: str, said: str) -> bool:
    """Whether the page shows what was said; a line `...` stands for any number of lines."""
    wanted = [_plain(line) for line in shown.strip().splitlines()]
    pattern = "".join(".*" if line == _ELLIPSIS else re.escape(f"{line}\n") for line in wanted)
    found = "".join(f"{_plain(line)}\n" for line in said.strip().splitlines())
    return re.fullmatch(pattern, found, re.DOTALL) is not None


def renewed(shown: str, said: str) -> str:
    """What the page is to show: what was said, less what the page leaves out with `...`."""
    lines = said.strip().splitlines()
    if _ELLIPSIS not in shown.splitlines():
        return "\n".join(line.rstrip() for line in lines)
    result: list[str] = []
    for line in shown.strip().splitlines():
        if line == _ELLIPSIS:
            result.append(line)
            continue
        match = next((number for number, other in enumerate(lines) if _alike(line, other)), None)
        if match is None:
            raise ValueError(f"said no more: {line}; take it off the page, or mend the command")
        result.append(lines[match].rstrip())
        del lines[: match + 1]
    return "\n".join(result)


def _plain(line: str) -> str:
    for pattern, word in _VOLATILE:
        line = pattern.sub(word, line)
    return line.strip()


def _alike(line: str, other: str) -> bool:
    return _plain(line) == _plain(other) or _head(line) == _head(other) != ()


def _head(line: str) -> tuple[str, ...]:
    """What tells a line from the others, whatever its values are."""
    if line.startswith("│"):
        cells = tuple(cell.strip() for cell in line.strip("│ ").split("│"))
        return cells[:2] if cells[0] in {"ok", "warn", "red"} else cells[:1]
    return tuple(re.findall(r"[A-Za-z_]{3,}", line)[:2])
