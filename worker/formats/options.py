"""The options of a CS-Cart product as its details: `{option_name: variant_name, else value}`."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from worker.formats import values
from worker.formats.draft import Reading

_FIELDS: Final = ("options", "product_options")


def details(product: Mapping[str, Any], path: str, reading: Reading) -> Any:
    """What is selected, by its name; None: nothing is. `path` is the product's."""
    found = _fields(product)
    if not found:
        return None
    name, options = next(((name, options) for name, options in found if _has_names(options)), found[0])
    where = f"{path}.{name}"
    if isinstance(options, str):
        reading.repaired("options", where)
        return options
    if not isinstance(options, list | dict):
        reading.repaired("options", where)
        return None
    selected: dict[str, Any] = {}
    twice: set[str] = set()
    for key, option in _entries(options):
        name, value, repaired = _selected(key, option)
        if repaired:
            reading.repaired("options", where)
        if value is None:
            continue
        if name not in selected:
            selected[name] = value
        elif name in twice:
            selected[name].append(value)
        else:
            reading.repaired("options", where)
            twice.add(name)
            selected[name] = [selected[name], value]
    return selected


def _fields(product: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """The fields that may hold options and are not empty; one that is false comes last, as it means none."""
    extra = product.get("extra")
    found = [(name, product.get(name)) for name in _FIELDS]
    if isinstance(extra, dict):
        found += [(f"extra.{name}", extra.get(name)) for name in _FIELDS]
    filled = [
        (name, options)
        for name, options in found
        if options not in (None, "", False) and options != [] and options != {}
    ]
    return filled or [(name, options) for name, options in found if options is False]


def _has_names(options: Any) -> bool:
    if not isinstance(options, list | dict):
        return False
    return any(isinstance(option, dict) and _name(option) is not None for _, option in _entries(options))


def _entries(options: list[Any] | dict[str, Any]) -> Iterator[tuple[str, Any]]:
    if isinstance(options, dict):
        yield from options.items()
    else:
        yield from ((str(at), option) for at, option in enumerate(options))


def _selected(key: str, option: Any) -> tuple[str, Any, bool]:
    """Name and value of an option, and whether they had to be repaired. A value of None is left out."""
    if not isinstance(option, dict):
        return key, option, True
    variant = values.text(option.get("variant_name"))
    value = option.get("value") if variant is None else variant[0]
    name = _name(option)
    if name is not None:
        return name, value, False
    option_id = values.text(option.get("option_id"))
    return key if option_id is None else option_id[0], value, True


def _name(option: Mapping[str, Any]) -> str | None:
    """An option's name; a number is one."""
    name = values.text(option.get("option_name"))
    return None if name is None else name[0]
