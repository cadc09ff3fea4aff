import json
from pathlib import Path
from typing import Any

import pytest

from tests.brokers.kafka import ExternalCluster, KafkaCluster
from tests.brokers.tools import Record, produce
from tests.conftest import TopicFactory
from tests.integration.events import cart, order
from tests.ops.program import KEY, on_a_terminal, optico

VECTORS = Path(__file__).parents[2] / "vectors" / "forms.json"
KEYS = ["at", "outcome", "entity", "id", "path", "parameters", "repairs", "repaired", "warning"]
KEYS += ["reason", "field", "message", "strict"]


def value(record: Record, **changed: Any) -> bytes:
    assert record.value is not None
    return json.dumps(json.loads(record.value) | changed).encode()


def lines(*values: bytes) -> bytes:
    return b"".join(line + b"\n" for line in values)


def test_every_vector_becomes_the_request_that_the_contract_names(tmp_path: Path) -> None:
    vectors = json.loads(VECTORS.read_text())
    file = tmp_path / "events.jsonl"
    file.write_bytes(lines(*(json.dumps(json.loads(vector["value"])).encode() for vector in vectors)))

    answer = optico("render", "--json", str(file))

    assert (answer.code, answer.err) == (0, "")
    for vector, rendered in zip(vectors, answer.json_lines, strict=True):
        assert rendered["path"] == vector["path"]
        assert sorted(rendered["parameters"]) == sorted([*vector["form"], ["key", "***"]])


def test_the_keys_of_an_answer_are_always_the_same() -> None:
    stdin = lines(value(cart("42")), value(cart("42"), products=[]), b"{")

    sent, skipped, rejected = optico("render", "--json", stdin=stdin).json_lines

    assert [list(each) for each in (sent, skipped, rejected)] == [KEYS] * 3
    assert (sent["outcome"], sent["entity"], sent["id"]) == ("sent", "cart", "42")
    assert (skipped["outcome"], skipped["reason"]) == ("skipped", "empty_products")
    assert (rejected["outcome"], rejected["reason"]) == ("rejected", "malformed_json")


def test_repairs_are_told_with_the_field_that_needed_each_first() -> None:
    products = [{"id": 1, "name": "", "quantity": 1, "price": 5}, {"id": 2, "name": "B", "quantity": 0.5, "price": 5}]
    stdin = lines(value(cart("42"), currency="eur", products=products))

    shown, told = optico("render", stdin=stdin), optico("render", "--json", stdin=stdin)

    assert (shown.code, told.code) == (0, 0)
    assert "  repaired: product_name (products[0].name)" in shown.out.splitlines()
    assert told.json["repairs"] == ["currency", "product_name", "quantity"]
    assert told.json["repaired"]["quantity"] == "products[1].quantity"
    assert told.json["strict"] is None


def test_strictly_a_repair_is_an_error() -> None:
    as_it_should_be = lines(value(cart("1")), value(order("7")), value(cart("2"), products=[]))
    repaired, unseen = value(cart("3"), currency="eur"), value(cart("4"), visit_id=None)

    clean = optico("render", "--strict", stdin=as_it_should_be)
    found = optico("render", "--strict", "--json", stdin=as_it_should_be + lines(repaired, unseen))
    shown = optico("render", "--strict", stdin=lines(repaired))
    lenient = optico("render", stdin=as_it_should_be + lines(repaired, unseen))

    assert (clean.code, found.code, shown.code, lenient.code) == (0, 1, 1, 0)
    *good, bad, no_visit = found.json_lines
    assert [each["strict"] for each in good] == [None] * 3
    assert (bad["outcome"], bad["strict"]) == ("sent", "currency (currency)")
    assert no_visit["outcome"] == "skipped"
    assert no_visit["strict"].startswith("visit_id: ")
    assert "  not as it should be sent: currency (currency)" in shown.out.splitlines()
    assert shown.err == "1 read, 0 rejected, 1 not as they should be sent\n"


def test_an_object_over_several_lines_and_an_array_are_events_too() -> None:
    event = json.loads(value(cart("1")))
    several = json.dumps(event, indent=2).encode() + b"\n" + lines(value(cart("2")))
    array = json.dumps([event, event | {"id": "2"}], indent=2).encode()

    for stdin, first, second in ((several, "lines 1-", "line "), (array, "element 1", "element 2")):
        answer = optico("render", "--json", stdin=stdin)
        assert answer.code == 0
        assert [each["id"] for each in answer.json_lines] == ["1", "2"]
        assert answer.json_lines[0]["at"].startswith(first)
        assert answer.json_lines[1]["at"].startswith(second)


def test_a_broken_line_is_rejected_and_the_next_ones_are_read() -> None:
    answer = optico("render", "--json", stdin=lines(b'{"type": "cart", "products": [{', value(cart("1"))))

    assert answer.code == 1
    assert [(each["at"], each["outcome"]) for each in answer.json_lines] == [("line 1", "rejected"), ("line 2", "sent")]
    assert answer.json_lines[0]["message"].startswith("byte 31: ")


def test_ids_get_the_prefix_of_their_topic() -> None:
    variables = {"WORKER_ID_PREFIXES": "shop-fr.carts=fr-,shop-de.carts=de-"}
    stdin = lines(value(cart("42")), value(cart("43"), products=[]), value(cart("44"), currency="?"))

    french = optico("render", "--json", "--topic", "shop-fr.carts", stdin=stdin, variables=variables)
    without = optico("render", stdin=stdin, variables=variables)
    one = optico("render", "--json", stdin=stdin, variables={"WORKER_ID_PREFIXES": "a=fr-", "KAFKA_TOPICS": "a"})

    assert [each["id"] for each in french.json_lines] == ["fr-42", "fr-43", "fr-44"]
    assert ["id", "fr-42"] in french.json_lines[0]["parameters"]
    assert (without.code, without.out) == (2, "")
    assert "--topic" in without.err
    assert [each["id"] for each in one.json_lines] == ["fr-42", "fr-43", "fr-44"]


def test_what_is_rejected_names_the_field_and_ends_with_1() -> None:
    products = [{"id": 1, "name": "Mug", "quantity": 1, "price": "cheap"}]

    answer = optico("render", stdin=lines(value(cart("42")), value(order("7"), products=products)))

    assert answer.code == 1
    *_, last = answer.out.splitlines()
    assert last == "line 2: order:7 rejected, invalid_event: products[0].price: expected a finite number"
    assert answer.err == "2 read, 1 rejected\n"


def test_a_request_is_shown_with_its_path_its_decoded_pairs_and_no_key() -> None:
    answer = optico("render", stdin=lines(value(cart("42", 2))))

    first, *pairs = answer.out.splitlines()
    assert answer.code == 0
    assert first == "line 1: cart:42 POST /api/customer-cart"
    assert "  products[0][name]=Café crème" in pairs
    assert pairs[0] == "  key=***"


def test_lines_are_numbered_as_an_editor_does_and_blank_ones_are_nobodys_events() -> None:
    stdin = b"\xef\xbb\xbf" + value(cart("1")) + b"\r\n\n   \n" + value(cart("2"))

    answer = optico("render", "--json", stdin=stdin)

    assert answer.code == 0
    assert [(each["at"], each["id"]) for each in answer.json_lines] == [("line 1", "1"), ("line 4", "2")]
    assert [each["repairs"] for each in answer.json_lines] == [["encoding"], []]


def test_nothing_to_read_is_no_failure() -> None:
    answer = optico("render")

    assert (answer.code, answer.out, answer.err) == (0, "", "0 read, 0 rejected\n")


def test_bytes_that_are_no_text_are_rejected_and_the_next_line_is_read() -> None:
    answer = optico("render", "--json", stdin=lines(b'{"type": "cart\xff\xfe"}', b"\x00\x1b[31m", value(cart("1"))))

    assert answer.code == 1
    assert [each["outcome"] for each in answer.json_lines] == ["rejected", "rejected", "sent"]


def test_a_line_longer_than_any_record_is_rejected_and_the_next_one_is_read() -> None:
    answer = optico("render", "--json", stdin=lines(b"x" * (64 * 1024 * 1024 + 2), value(cart("1"))))

    too_long, sent = answer.json_lines
    assert answer.code == 1
    assert (too_long["at"], too_long["reason"]) == ("line 1", "payload_too_large")
    assert (sent["at"], sent["id"]) == ("line 2", "1")


def test_a_large_cart_is_shown_as_it_is_cut() -> None:
    products = [{"id": number, "name": "Mug", "quantity": 1, "price": 5} for number in range(300)]
    stdin = lines(value(cart("1"), products=products))

    cut = optico("render", "--json", stdin=stdin).json
    whole = optico("render", "--json", stdin=stdin, variables={"OPTICO_MAX_FIELDS": "0"}).json

    assert len(cut["parameters"]) <= 1000 < len(whole["parameters"])
    assert (cut["repairs"], whole["repairs"]) == (["too_large"], [])
    names = [item for name, item in cut["parameters"] if name.endswith("[name]")]
    assert names[-1] == f"+{300 - len(names) + 1}"


def test_defaults_count_and_nothing_else_of_the_configuration_does() -> None:
    stdin = lines(value(cart("1"), currency=None))

    without = optico("render", "--json", stdin=stdin)
    given = optico("render", "--json", stdin=stdin, variables={"WORKER_DEFAULT_CURRENCY": "EUR", "KAFKA_TOPICS": "?"})

    assert (without.code, without.json["field"]) == (1, "currency")
    assert given.code == 0
    assert ["currency", "EUR"] in given.json["parameters"]


def test_a_default_that_can_not_be_is_bad_configuration() -> None:
    answer = optico("render", variables={"WORKER_DEFAULT_CURRENCY": "euro"})

    assert (answer.code, answer.out) == (2, "")
    assert "WORKER_DEFAULT_CURRENCY" in answer.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("--partition", "0"),
        ("--topic", "carts", "--partition", "0"),
        ("--topic", "carts", "--offset", "0"),
        ("--topic", "carts", "--partition", "0", "--offset", "0", "-"),
        ("/does/not/exist",),
    ],
    ids=" ".join,
)
def test_bad_usage_exits_with_2(arguments: tuple[str, ...]) -> None:
    answer = optico("render", *arguments)

    assert (answer.code, answer.out) == (2, "")
    assert "Error" in answer.err


def test_what_an_event_holds_can_not_command_a_terminal(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    hostile = "\x1b]0;title\x07[bold]\u202e"
    file.write_bytes(lines(value(cart("1"), agent=hostile), value(cart(hostile), currency="")))

    seen = on_a_terminal("render", str(file))

    assert "\x1b]0" not in seen
    assert "\u202e" not in seen
    assert r"agent=\x1b]0;title\x07[bold]\u202e" in seen


def test_records_of_a_topic_are_rendered_where_they_stand(
    kafka: KafkaCluster | ExternalCluster, topic: TopicFactory
) -> None:
    name = topic(2)
    records = [cart("1"), Record(b"cart:2", None), Record(b"cart:3", b"{"), order("4")]
    produce(kafka.bootstrap, name, [Record(record.key, record.value, partition=1) for record in records])
    brokers = {"KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap}
    place = ("--topic", name, "--partition", "1", "--offset")

    found = optico("render", "--json", *place, "1", "--count", "9", variables=brokers)
    beyond = optico("render", *place, "4", variables=brokers)

    assert found.code == 1
    assert [(each["at"], each["outcome"]) for each in found.json_lines] == [
        (f"{name}-1-1", "skipped"),
        (f"{name}-1-2", "rejected"),
        (f"{name}-1-3", "sent"),
    ]
    assert [each["warning"] for each in found.json_lines] == [None] * 3
    assert beyond.code == 1
    assert beyond.err == f"optico-worker: {name}-1: nothing at offset 4; it holds 0 up to 3\n"


def test_records_can_not_be_read_without_the_brokers() -> None:
    answer = optico("render", "--topic", "carts", "--partition", "0", "--offset", "0")

    assert answer.code == 2
    assert "KAFKA_BOOTSTRAP_SERVERS: is required" in answer.err
    assert KEY not in answer.err
