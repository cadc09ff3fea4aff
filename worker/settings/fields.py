"""The kinds of values that a variable may have, each with the words that say what is allowed."""

import re
import ssl
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    HttpUrl,
    PlainSerializer,
    SecretStr,
    StringConstraints,
    TypeAdapter,
    ValidationError,
)
from pydantic.fields import FieldInfo
from pydantic_settings import NoDecode

from worker.settings.secret import ApiKey
from worker.settings.variables import FileText

if TYPE_CHECKING:
    from pydantic.config import JsonDict

INT32 = 2**31 - 1
MEMBER = "a name (letters, digits, . _ -, at most 249 of them)"
TOPIC = "a topic's name (letters, digits, . _ -, at most 249 of them)"


def variable(
    default: Any, meaning: str, *, allowed: str = "", secret: bool = False, shown: bool = True, **limits: Any
) -> Any:
    """A field with what the documentation and the messages say of it; `...` as default: required.

    `shown`: whether a message may repeat a value that is refused.
    """
    notes: JsonDict = {"allowed": allowed, "secret": secret, "shown": shown and not secret}
    return Field(default, description=meaning, json_schema_extra=notes, **limits)


def notes(field: FieldInfo) -> Mapping[str, Any]:
    """What `variable` added to the field's type."""
    return field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}


def allowed(field: FieldInfo) -> str:
    """In words: the values that the field takes."""
    return notes(field)["allowed"] or _choices(field.annotation) or _range(field) or "text"


def _choices(annotation: Any) -> str:
    if get_origin(annotation) is Literal:
        *others, last = get_args(annotation)
        return f"{', '.join(others)} or {last}"
    if get_origin(annotation) in (Union, UnionType):
        return next(filter(None, map(_choices, get_args(annotation))), "")
    return _choices(get_args(annotation)[0]) if get_origin(annotation) is Annotated else ""


_NUMBERS = {str(int): "a whole number", str(float): "a number"}


def _range(field: FieldInfo) -> str:
    words = _NUMBERS.get(str(field.annotation))
    if words is None:
        return ""
    bounds = {type(bound): bound for bound in field.metadata}
    if Gt in bounds:
        return f"{words} above {bounds[Gt].gt}, at most {bounds[Le].le}"
    return f"{words} from {bounds[Ge].ge} to {bounds[Le].le}"


def _split(value: object) -> object:
    return tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else value


def _unique(values: tuple[str, ...]) -> tuple[str, ...]:
    twice = sorted({value for value in values if values.count(value) > 1})
    if twice:
        raise ValueError(f"names {', '.join(twice)} more than once; name each once")
    return values


def _pairs(value: object) -> object:
    """`P=Processed,C=Completed` as a mapping. No pair may be guessed: a slip would change what the API is told."""
    if not isinstance(value, str):
        return value
    pairs: dict[str, str] = {}
    for number, entry in enumerate(value.split(",") if value.strip() else (), start=1):
        name, equals, meaning = (part.strip() for part in entry.partition("="))
        if not equals:
            raise ValueError(f"has no = in entry {number}; set name=value, comma-separated")
        if not (name and meaning):
            raise ValueError(f"has an empty name or value in entry {number}; set name=value, comma-separated")
        if name in pairs:
            raise ValueError(f"has a name in entry {number} that an earlier entry has too; name each once")
        pairs[name] = meaning
    return pairs


def _not_dots(name: str) -> str:
    if name in {".", ".."}:
        raise ValueError(f"can't be {name}; set another name")
    return name


_LISTENER = "(?:SASL_)?(?:PLAINTEXT|SSL)://"
_HOST = r"\[[0-9a-fA-F:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"


def _server(server: str) -> str:
    """As Kafka writes it, `SASL_SSL://` included. No default port: what was forgotten would be looked for at 9092."""
    if re.fullmatch(f"(?:{_LISTENER})?(?:{_HOST})", server):
        raise ValueError("has no port; set host:port, such as kafka:9092")
    port = re.fullmatch(f"(?:{_LISTENER})?(?:{_HOST}):([0-9]{{1,5}})", server)
    if port is None:
        raise ValueError("is not valid; set host:port, comma-separated")
    if not 0 < int(port[1]) <= 65_535:  # noqa: PLR2004
        raise ValueError("has a port that is out of range; set host:port with a port from 1 to 65535")
    return server


def _file(path: str) -> str:
    try:
        with Path(path).open("rb"):
            return path
    except OSError as error:
        why = error.strerror
    except ValueError:
        why = "not a path"
    raise ValueError(f"names a file that can't be read ({why}); correct the path or its rights")


def _authorities(path: str) -> str:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(_file(path))
    except ssl.SSLError as error:
        why = (error.reason or "unreadable").lower().replace("_", " ")
        raise ValueError(f"names a file that holds no certificate in PEM form ({why}); correct it") from error
    return path


def _base_url(value: str) -> str:
    try:
        url = TypeAdapter(HttpUrl).validate_python(value)
    except ValidationError:
        url = None
    if url is None:
        raise ValueError("is not an http or https address; set it like https://www.optico.fr")
    if url.username is not None or url.password is not None:
        raise ValueError("holds a user or a password; leave them out, the API's only credential is OPTICO_API_KEY")
    if url.query is not None or url.fragment is not None:
        raise ValueError("holds a query or a fragment (? or #); leave it out")
    base = str(url).rstrip("/")
    if base.endswith(("/api/customer-cart", "/api/customer-order")):
        raise ValueError("names an endpoint; leave /api/... out, the worker adds it")
    return base


def _api_key(value: object) -> object:
    if isinstance(value, str):
        return ApiKey(value, value.path if isinstance(value, FileText) else None)
    return value


def _utf8(secret: SecretStr) -> SecretStr:
    """Refuses what an encoder would refuse later, in an exception that holds the whole of it."""
    if any("\ud800" <= character <= "\udfff" for character in secret.get_secret_value()):
        raise ValueError("is not UTF-8 text; set it to the password")
    return secret


def _upper(value: object) -> object:
    return value.strip().upper() if isinstance(value, str) else value


def _lower(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value


Text = Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^[^\p{C}]+$")]
Name = Annotated[
    str, StringConstraints(strip_whitespace=True, pattern=r"^[a-zA-Z0-9._-]{1,249}$"), AfterValidator(_not_dots)
]
Names = Annotated[tuple[Name, ...], NoDecode, BeforeValidator(_split), AfterValidator(_unique)]
Texts = Annotated[tuple[Text, ...], NoDecode, BeforeValidator(_split), AfterValidator(_unique)]
Pairs = Annotated[
    Mapping[Text, Text], NoDecode, BeforeValidator(_pairs), AfterValidator(MappingProxyType), PlainSerializer(dict)
]
TopicPairs = Annotated[
    Mapping[Name, Text], NoDecode, BeforeValidator(_pairs), AfterValidator(MappingProxyType), PlainSerializer(dict)
]
Server = Annotated[str, AfterValidator(_server)]
Servers = Annotated[tuple[Server, ...], NoDecode, BeforeValidator(_split)]
ReadableFile = Annotated[str, AfterValidator(_file)]
Authorities = Annotated[str, AfterValidator(_authorities)]
BaseUrl = Annotated[str, AfterValidator(_base_url)]
Password = Annotated[SecretStr, AfterValidator(_utf8)]
Key = Annotated[ApiKey, BeforeValidator(_api_key)]
Currency = Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^[A-Z]{3}$")]
Upper = BeforeValidator(_upper)
Lower = BeforeValidator(_lower)
