"""What holds for every record, however hostile."""

import re
from typing import Final

from worker.core.event import Event, Invalid, Skipped
from worker.formats import REPAIRS, Form, ReadConfig, encode, fast_path, form, full_path, read

PARAMETER: Final = re.compile(
    r"(key|id|cart_id|currency|visit_id|status|is_logged_in|call_id|agent"
    r"|products\[\d+\](\[(id|name|quantity|price)\]|\[details\].*))",
    re.DOTALL,
)
FIELDS: Final = {
    *("agent", "amount", "call_id", "cart", "cart_id", "company_id", "currency", "details", "id", "is_logged_in"),
    *("name", "occurred_at", "options", "order_id", "price", "product", "product_id", "product_options", "products"),
    *("quantity", "source", "status", "type", "user_id", "visit_id"),
    *("data", "data_base64", "payload", "extra"),
}
LABELS: Final = {repair.label for repair in REPAIRS}
PROBLEM: Final = re.compile(
    r"expected a JSON object, found (null|true or false|a string|an array|a number|an empty value|gzip data: .*"
    r"|zstd data: .*|text in UTF-16: write UTF-8|XML or HTML|PHP's serialize\(\): .*|a serialized Java object: .*"
    r"|a form body: write JSON|a string \(as JSON: .*\)"
    r"|the header of a schema registry before something else \(Avro or Protobuf\?\))"
    r"|expected at most 2 envelopes around an event"
    r"|expected an event, found a Debezium change: .*"
    r'|expected ("optico" or "cs-cart"|"cart" or "order"|three letters A-Z|an array|an object|a finite number'
    r"|at least one product|a string, not empty|a string that names a visit"
    r"|a string or an integer, not empty( and not 0)?(; or set the envelope's `id`)?)"
    r"|(data_base64: )?expected JSON in base64"
    r"|the value nests too deep to be read"
    r"|the request is too large even without its products"
    r"|byte \d+: (expecting .*|extra data|unterminated string starting"
    r"|invalid (control character|\\escape|\\uXXXX escape)"
    r"|illegal trailing comma before end of (object|array)|unexpected UTF-8 BOM \(decode using utf-8-sig\)"
    r"|(NaN|-?Infinity) is no JSON)"
)
_KEY: Final = r"[A-Za-z0-9_-]{1,40}"
_PATH: Final = re.compile(rf"([a-z_0-9]+(\[({_KEY})\])*\.?)*")


def check(record: bytes, config: ReadConfig) -> tuple[Event | Skipped | Invalid, Form | None]:
    """No exception, no value of the record in a message, no field that the API doesn't know; both paths agree."""
    outcome = read(record, config)
    assert_paths_agree(record, config)
    if isinstance(outcome, Invalid):
        assert_path(outcome.path)
        assert PROBLEM.fullmatch(outcome.problem), outcome.problem
        return outcome, None
    assert set(outcome.repairs) <= LABELS
    for path in outcome.repairs.values():
        assert_path(path)
    if isinstance(outcome, Skipped):
        assert (outcome.entity is not None) >= (outcome.reason == "empty_products")
        return outcome, None
    assert outcome.entity.id != ""
    encoded = encode(record, config, "k")
    pairs = encoded.pairs()
    assert [name for name, _ in pairs if not PARAMETER.fullmatch(name)] == []
    assert pairs[:2] == [("key", "k"), ("id", outcome.entity.id)]
    assert encoded.path == f"/api/customer-{outcome.entity.kind}"
    limits = config.limits
    assert encoded.fields <= (limits.fields or encoded.fields)
    assert len(encoded.body) <= (limits.body_bytes or len(encoded.body))
    return outcome, encoded


def assert_paths_agree(record: bytes, config: ReadConfig, recorded_at: int = -1) -> bool:
    """Whether the fast path had something to say. If so, it is what the full path says."""
    said = fast_path.read(record, config, recorded_at)
    if said is None:
        return False
    expected = full_path.read(record, config, recorded_at)
    assert isinstance(expected, Event), expected
    assert (type(said), said[:5]) == (type(expected), expected[:5])
    assert set(said.repairs) <= {"too_large"}
    assert form.encode(said.content, "k") == form.encode(expected.content, "k")
    return True


def assert_path(path: str) -> None:
    """A path names known fields, the places of lines, and keys that can be nothing but keys."""
    assert _PATH.fullmatch(path), path
    assert set(re.sub(r"\[[^\]]*\]", "", path).split(".")) <= FIELDS | {""}, path
