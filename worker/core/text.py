"""Text from outside, for people to read."""


def printable(value: object, limit: int | None = None) -> str:
    """It on one line, without characters that a terminal would obey; cut after `limit` characters."""
    text = str(value)
    if limit is not None and len(text) > limit:
        text = text[:limit] + "…"
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else _escaped(character) for character in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
