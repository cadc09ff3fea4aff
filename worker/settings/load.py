"""Reads the settings out of an environment, once, and names everything that is wrong with them at once."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from urllib.parse import quote_plus

from pydantic import ValidationError
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from worker.formats.config import Limits, ReadConfig
from worker.settings.fields import allowed, notes
from worker.settings.model import FIELDS, GROUPS, Kafka, Optico, Worker
from worker.settings.rules import contradictions
from worker.settings.unknown import misspelt, unknown
from worker.settings.unusual import unusual
from worker.settings.variables import Origin, Values, read, shown


class SettingsError(Exception):
    """The configuration can't be used. `problems`: a line each, which names the variable and never holds a secret."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Settings:
    """What the worker was told. `origins`: where each variable's value is from; `warnings`: legal, but worth a look."""

    kafka: Kafka
    optico: Optico
    worker: Worker
    origins: Mapping[str, Origin]
    warnings: tuple[str, ...]

    def reading(self) -> ReadConfig:
        """How events are read: the variables that lay that down."""
        own, optico = self.worker, self.optico
        return ReadConfig(
            default_currency=own.default_currency,
            default_order_status=own.default_order_status,
            order_statuses=own.order_status_map,
            emptied_cart_name=own.emptied_cart_name,
            cs_cart_id_fields=own.cs_cart_id_fields,
            id_prefixes=own.id_prefixes,
            limits=Limits(optico.max_fields, optico.max_body_bytes, len(quote_plus(optico.api_key.value))),
        )

    def secrets(self) -> frozenset[str]:
        """Every secret, keys that were replaced meanwhile included: what must appear in no log line."""
        passwords = (self.kafka.sasl_password, self.kafka.ssl_key_password)
        return self.optico.api_key.known | {secret.get_secret_value() for secret in passwords if secret is not None}


class _Source(EnvSettingsSource):
    """The library's reading of `KAFKA_GROUP_ID` as `kafka.group_id`, from given values instead of the process's."""

    def __init__(self, settings_cls: type[BaseSettings], found: Mapping[str, Any]) -> None:
        super().__init__(settings_cls)
        self.env_vars = {name.lower(): value for name, value in found.items()}

    def __call__(self) -> dict[str, Any]:
        return {group: {} for group in GROUPS} | super().__call__()  # so that each missing field is named


class _Environment(BaseSettings):
    model_config = SettingsConfigDict(
        env_nested_delimiter="_", env_nested_max_split=1, frozen=True, hide_input_in_errors=True
    )
    kafka: Kafka
    optico: Optico
    worker: Worker

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (_Source(settings_cls, init_settings()),)


def load(environ: Mapping[str, str], *, unread: Collection[str] = ()) -> Settings:
    """The settings in the environment. Raises SettingsError with all problems; may block where a file is a pipe.

    `unread`: variables whose values mean nothing to the caller; rules between two variables ignore them.
    """
    names = list(FIELDS)
    values = read(environ, names)
    problems = [(name, f"{name}: {message}") for name, message in values.problems.items()]
    parsed: _Environment | None = None
    try:
        parsed = _Environment.model_validate(values.found)
    except ValidationError as error:
        problems += _problems(error, values, environ)
    problems += contradictions(values, {name for name, _ in problems} | {*unread})
    if problems or parsed is None:
        # Here, and not where it was caught: the library's error holds the values.
        ordered = sorted(problems, key=lambda problem: names.index(problem[0]))
        raise SettingsError(tuple(dict.fromkeys(line for _, line in ordered)))
    warnings = (*unknown(environ, names), *unusual(parsed.kafka, parsed.optico))
    return Settings(parsed.kafka, parsed.optico, parsed.worker, MappingProxyType(values.origins), warnings)


def _problems(error: ValidationError, values: Values, environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for detail in error.errors(include_url=False):
        group, name, *place = detail["loc"]
        variable = f"{group}_{name}".upper()
        if detail["type"] == "missing" and (given := misspelt(variable, environ, list(FIELDS))) is not None:
            yield variable, f"{variable}: is required, but not set; {given} is set, but unknown: correct its name"
        elif variable not in values.problems:
            which = f"entry {place[0] + 1} " if place and isinstance(place[0], int) and not _shown(variable) else ""
            yield variable, f"{variable}: {which}{_message(variable, dict(detail), values)}"


def _shown(variable: str) -> bool:
    return bool(notes(FIELDS[variable])["shown"])


_WHAT = {
    "int_parsing": "is not a whole number",
    "int_from_float": "is not a whole number",
    "float_parsing": "is not a number",
    "greater_than": "is out of range",
    "greater_than_equal": "is out of range",
    "less_than": "is out of range",
    "less_than_equal": "is out of range",
    "literal_error": "is not known",
}


def _message(variable: str, detail: dict[str, Any], values: Values) -> str:
    field, origin = FIELDS[variable], values.origins[variable]
    if variable in values.empty_files:
        return f"the file that {variable}_FILE names, {values.empty_files[variable]}, is empty; set {allowed(field)}"
    if detail["type"] == "missing":
        return f"is required, but not set; set it to {allowed(field)}"
    given = detail["input"]
    repeat = _shown(variable) and origin == "environment" and isinstance(given, str)
    value = f"'{shown(given)}' " if repeat else ""
    if detail["type"] == "value_error":
        return f"{value}{detail['ctx']['error']}"
    return f"{value}{_WHAT.get(detail['type'], 'is not valid')}; set {allowed(field)}"
