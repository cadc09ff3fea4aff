"""The options of a CS-Cart product as its details: `{option_name: variant_name, else value}`."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from worker.formats import values
from worker.formats.draft import Reading

_FIELDS: Final = ("options", "product_options")


def details(product: Mapping[str, Any], path: Callable[[], str], reading: Reading) -> Any:
    """What is selected, by its name; None: nothing is. `path` gives the product's."""
    options = product.get("options")
    name = "options"
    if not _has_names(options):
        found = _fields(product)
        if not found:
            return None
        name, options = next((each for each in found if _has_names(each[1])), found[0])
    selected, repaired = _selected(options)
    if repaired:
        reading.repaired("options", f"{path()}.{name}")
    return selected


def _fields(product: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """The fields that may hold options and are not empty; else those that are false, which means none."""
    extra = product.get("extra")
    found = [(name, product.get(name)) for name in _FIELDS]
    if isinstance(extra, dict):
        found += [(f"extra.{name}", extra.get(name)) for name in _FIELDS]
    filled = [(name, options) for name, options in found if not _is_empty(options)]
    return filled or [(name, options) for name, options in found if options is False]


def _is_empty(options: Any) -> bool:
    return values.is_nothing(options) or options in ([], {})


def _has_names(options: Any) -> bool:
    return any(isinstance(option, dict) and _name(option) is not None for _, option in _entries(options))


def _entries(options: Any) -> Iterable[tuple[str | int, Any]]:
    if isinstance(options, dict):
        return options.items()
    return enumerate(options) if isinstance(options, list) else ()


def _selected(options: Any) -> tuple[Any, bool]:
    """The options by their names, and whether they had to be repaired."""
    if not isinstance(options, list | dict):
        return (options if isinstance(options, str) else None), True
    selected: dict[str, Any] = {}
    several: dict[str, list[Any]] = {}
    repaired = False
    for key, option in _entries(options):
        name, value, odd = _option(key, option)
        repaired = repaired or odd
        if value is None:
            continue
        if name in selected:
            several.setdefault(name, [selected[name]]).append(value)
        else:
            selected[name] = value
    return selected | several, repaired or bool(several)


def _option(key: str | int, option: Any) -> tuple[str, Any, bool]:
    """Name and value of an option, and whether they had to be repaired. A value of None is left out."""
    if not isinstance(option, dict):
        return str(key), option, True
    variant = values.text(option.get("variant_name"))
    value = option.get("value") if variant is None else variant[0]
    name = _name(option)
    if name is not None:
        return name, value, False
    option_id = values.text(option.get("option_id"))
    return str(key) if option_id is None else option_id[0], value, True


def _name(option: Mapping[str, Any]) -> str | None:
    """An option's name; a number is one."""
    name = option.get("option_name")
    if name.__class__ is str:
        return name or None
    read = values.text(name)
    return None if read is None else read[0]
