import base64
from dataclasses import replace

import pytest

from tests.brokers.tools import Record, produce
from tests.integration.events import cart, order
from tests.ops.dlq.conftest import Post
from tests.ops.program import inside, on_a_terminal, optico

SUMMARY = [
    *("letter", "letters", "record", "reason", "message", "entity", "id", "attempts"),
    *("failed_at", "worker", "truncated", "invalid"),
]


@pytest.fixture
def varied(post: Post) -> Post:
    """Letters 0-3: an early cart, a cart, an order, and a stranger's record."""
    first, second, third = post.write([cart("1"), cart("2"), order("2")])
    post.reject([first], failed_at="2026-11-20T08:00:00Z", reason="invalid_event")
    post.reject([second])
    post.reject([third], reason="other_error", attempts=7)
    produce(post.bootstrap, post.letters, [Record(b"\xff", b"\xfe\x1b[31m")])
    return post


def test_the_list_is_in_order_of_failing_with_every_letter_and_the_same_keys(varied: Post) -> None:
    answer = optico("dlq", "list", "--json", variables=varied.variables)

    assert answer.code == 0
    assert [list(line) for line in answer.json_lines] == [SUMMARY] * 4
    stranger, first, second, third = answer.json_lines
    assert (stranger["letter"], stranger["record"], stranger["reason"]) == (f"{varied.letters}:0:3", None, None)
    assert (first["entity"], first["id"], first["failed_at"]) == ("cart", "1", "2026-11-20T08:00:00Z")
    assert second["record"] == f"{varied.topic}:0:1"
    assert (third["reason"], third["attempts"]) == ("other_error", 7)


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        (("--reason", "invalid_event", "--reason", "other_error"), ["0", "2"]),
        (("--entity", "order"), ["2"]),
        (("--id", "2"), ["1", "2"]),
        (("--id", "2", "--entity", "cart"), ["1"]),
        (("--id", "cart:2", "--id", "1"), ["0", "1"]),
        (("--since", "2026-11-21T08:00:00Z"), ["1", "2"]),
        (("--until", "2026-11-21T09:00:00+01:00"), ["0"]),
        (("--limit", "1"), ["2"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_filters_are_met_all_of_them(varied: Post, filters: tuple[str, ...], found: list[str]) -> None:
    rows = varied.dlq("list", *filters).rows

    assert [row["letter"].rpartition(":")[2] for row in rows] == found


def test_a_letter_is_shown_by_its_own_place_or_its_records_with_headers_and_value(varied: Post) -> None:
    by_letter = optico("dlq", "show", "--json", f"{varied.letters}:0:1", variables=varied.variables)
    by_record = varied.dlq("show", "--json", f"{varied.topic}:0:1")

    assert by_letter.code == 0
    assert by_letter.json == by_record.json
    assert list(by_letter.json) == [*SUMMARY, "key", "key_base64", "headers", "value", "value_base64"]
    assert by_letter.json["key"] == "cart:2"
    assert by_letter.json["value"].encode() == cart("2").value
    assert {"name": "dlq.worker", "value": "worker-1", "value_base64": None} in by_letter.json["headers"]


def test_letters_are_shown_by_the_id_of_their_cart_or_order(varied: Post) -> None:
    by_id = varied.dlq("show", "--json", "--id", "2").json_lines
    by_name = varied.dlq("show", "--json", "--id", "order:2").json_lines
    nobody = varied.dlq("show", "--id", "7")

    assert [line["entity"] for line in by_id] == ["cart", "order"]
    assert [line["entity"] for line in by_name] == ["order"]
    assert (nobody.code, nobody.out, nobody.err) == (0, "", "no letter is chosen\n")


def test_the_letters_of_a_record_are_listed_once_with_how_often(varied: Post) -> None:
    """A topic that was created anew has another record at its offset."""
    (first,) = varied.write([cart("9")])
    for _ in range(3):
        varied.reject([first])
    varied.reject([replace(first, timestamp=1)])

    answer = varied.dlq("list", "--id", "cart:9")

    assert [(row["letter"][-1], row["letters"]) for row in answer.rows] == [("6", "3"), ("7", "1")]
    assert answer.err == "4 dead letters of 2 records\n"


def test_a_letter_whose_value_is_no_valid_event_is_listed_with_why(varied: Post) -> None:
    varied.reject(varied.write([cart("8", products="none"), cart("9", products=[])]))

    lines = varied.dlq("list", "--json").json_lines
    rows = varied.dlq("list", "--id", "8").rows

    assert [row["message"] for row in rows] == ["invalid: products: expected an array"]
    assert {line["letter"][-1]: line["invalid"] for line in lines} == {
        **dict.fromkeys("012"),
        "3": "byte 0: expecting value",
        "4": "products: expected an array",
        "5": "nothing to send (empty_products)",
    }


def test_bytes_that_are_no_text_are_shown_and_command_no_terminal(varied: Post) -> None:
    place = f"{varied.letters}:0:3"

    document = varied.dlq("show", "--json", place).json
    seen = on_a_terminal("dlq", "show", place, variables=varied.variables)

    assert (document["key"], document["value"]) == (None, None)
    assert base64.b64decode(document["value_base64"]) == b"\xfe\x1b[31m"
    assert "\x1b[31m" not in seen
    assert r"\x1b[31m" in seen


def test_what_is_not_there_ends_with_1_and_what_is_there_is_shown(varied: Post) -> None:
    answer = varied.dlq("show", f"{varied.letters}:0:0", f"{varied.letters}:0:99", f"{varied.letters}:7:0")

    assert answer.code == 1
    assert answer.out.startswith(f"{varied.letters}:0:0\n")
    missing = f"{varied.letters}:0:99, {varied.letters}:7:0"
    assert f"holds no dead letter {missing}, and none of such a record; see `dlq list`" in answer.err


def test_a_person_gets_a_table(varied: Post) -> None:
    seen = on_a_terminal("dlq", "list", variables=varied.variables)

    assert "│" in seen
    assert "unknown_visit_id" in seen
    assert "4 dead letters" in seen


@pytest.mark.parametrize(
    "arguments",
    [("list", "--since", "yesterday"), ("show",), ("show", "nonsense"), ("redrive", "--max-requests-per-second", "-1")],
    ids=" ".join,
)
def test_bad_usage_exits_with_2(arguments: tuple[str, ...]) -> None:
    answer = inside("dlq", *arguments)

    assert (answer.code, answer.out) == (2, "")


def test_without_a_dead_letter_topic_it_says_which_variable_is_missing(post: Post) -> None:
    unset = inside("dlq", "list", variables={"KAFKA_BOOTSTRAP_SERVERS": post.bootstrap})
    absent = inside("dlq", "list", variables=post.variables | {"KAFKA_DLQ_TOPIC": "nowhere-letters"})

    assert (unset.code, unset.err) == (
        2,
        "optico-worker: KAFKA_DLQ_TOPIC is not set; set it to the dead-letter topic\n",
    )
    assert absent.code == 1
    assert "nowhere-letters: does not exist; correct KAFKA_DLQ_TOPIC" in absent.err
