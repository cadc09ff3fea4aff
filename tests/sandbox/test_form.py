import json
import shutil
import subprocess
import time
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.sandbox.api.form import MAX_NESTING, Plain, parse_form, plain


def parsed(body: str | bytes, max_fields: int | None = None) -> Plain:
    fields = parse_form(body.encode() if isinstance(body, str) else body, max_fields)
    return {str(name): plain(value) for name, value in fields.items()}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("a=1&b=2", {"a": "1", "b": "2"}),
        ("a=1&a=2", {"a": "2"}),
        ("a", {"a": ""}),
        ("=1&&a=2", {"a": "2"}),
        ("a=x+y%20z%2B", {"a": "x y z+"}),
        ("a=b=c", {"a": "b=c"}),
        ("a%5Bb%5D=1", {"a": {"b": "1"}}),
        ("a=%zz%4", {"a": "%zz%4"}),
        ("a=%ff", {"a": "\ufffd"}),
        ("products[0][details][color]=blue", {"products": [{"details": {"color": "blue"}}]}),
        ("products[1][id]=b&products[0][id]=a", {"products": {"1": {"id": "b"}, "0": {"id": "a"}}}),
        ("a[]=1&a[]=2", {"a": ["1", "2"]}),
        ("a[5]=1&a[]=2", {"a": {"5": "1", "6": "2"}}),
        ("a[01]=1&a[1]=2", {"a": {"01": "1", "1": "2"}}),
        ("a=1&a[b]=2", {"a": {"b": "2"}}),
        ("a[b]=1&a=2", {"a": "2"}),
        ("a.b c=1", {"a_b_c": "1"}),
        ("a[b.c d]=1", {"a": {"b.c d": "1"}}),
        ("  a=1", {"a": "1"}),
        ("[a]=1", {}),
        ("a%00b=1", {"a": "1"}),
        ("__proto__[x]=1&constructor=2", {"__proto__": {"x": "1"}, "constructor": "2"}),
    ],
)
def test_names_and_values_are_read_as_php_reads_them(body: str, expected: Plain) -> None:
    assert expected == parsed(body)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("products[=1", {"products_": "1"}),
        ("products[0=1", {"products_0": "1"}),
        ("products[0[x.y=1", {"products_0_x_y": "1"}),
        ("a[b]c=1", {"a": {"b": "1"}}),
        ("a[b]c[d]=1", {"a": {"b": "1"}}),
        ("a[b][c=1", {"a": {"b": "1"}}),
        ("a]=1", {"a]": "1"}),
        ("a[[b]]=1", {"a": {"[b": "1"}}),
        ("a[ ]=1", {"a": ["1"]}),
        ("a[9223372036854775807]=1&a[]=2", {"a": {"9223372036854775807": "1"}}),
        ("a[9223372036854775807]=1&a[][b]=2", {"a": {"9223372036854775807": "1"}}),
    ],
)
def test_hostile_names_land_where_php_puts_them(body: str, expected: Plain) -> None:
    assert expected == parsed(body)


def test_a_name_nested_deeper_than_php_allows_takes_its_variable_with_it() -> None:
    deepest, deeper = "a" + "[x]" * MAX_NESTING, "a" + "[x]" * (MAX_NESTING + 1)
    assert parsed(f"{deepest}=1") != {}
    assert parsed(f"a[y]=0&b=2&{deeper}=1") == {"b": "2"}
    assert parsed(f"b=2&a{'[' * 100_000}x]=1&a{'[x]' * 100_000}=1") == {"b": "2"}


def test_fields_beyond_the_limit_are_left_out_without_a_word() -> None:
    assert parsed("a=1&&b=2&c=3", max_fields=2) == {"a": "1", "b": "2"}


def test_fifty_thousand_fields_are_read_in_good_time() -> None:
    body = "&".join(f"products[{n}][id]={n}" for n in range(25_000)) + "&" + "&".join("a[]=x" for _ in range(25_000))
    started = time.monotonic()
    fields = parse_form(body.encode())
    assert time.monotonic() - started < 5
    assert (len(fields["products"]), len(fields["a"])) == (25_000, 25_000)


NAMES = st.text(st.characters(exclude_characters="[]. \0\t\n\v\f\r", exclude_categories=["Cs"]), min_size=1).filter(
    lambda name: not name.lstrip("-").isdigit()
)
TREES = st.recursive(
    st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, min_size=1, max_size=4) | st.dictionaries(NAMES, inner, min_size=1, max_size=4),
    max_leaves=12,
)


def build(prefix: str, value: Any) -> list[tuple[str, str]]:
    if isinstance(value, str):
        return [(prefix, value)]
    items = enumerate(value) if isinstance(value, list) else value.items()
    return [pair for name, inner in items for pair in build(f"{prefix}[{name}]", inner)]


@given(st.dictionaries(NAMES, TREES, max_size=4), st.sampled_from([quote, quote_plus]))
def test_what_is_built_as_http_build_query_does_is_read_back_the_same(tree: dict[str, Any], encode: Any) -> None:
    pairs = [pair for name, value in tree.items() for pair in build(name, value)]
    assert tree == parsed("&".join(f"{encode(name, safe='')}={encode(value, safe='')}" for name, value in pairs))


@given(
    st.binary() | st.lists(st.sampled_from(["a", "[", "]", "=", "&", "%", "0", "+"])).map(lambda p: "".join(p).encode())
)
def test_no_body_whatever_breaks_the_parser(body: bytes) -> None:
    json.dumps(parsed(body))


ATOMS = [
    "a",
    "b",
    "[",
    "]",
    "[]",
    "[a]",
    "[0]",
    " ",
    ".",
    "0",
    "1",
    "01",
    "+",
    "%5B",
    "%5D",
    "%00",
    "é",
    "=",
    "&",
    "\t",
]
PHP = """
ini_set('max_input_vars', '1000000');
foreach (json_decode(stream_get_contents(STDIN)) as $body) {
    parse_str($body, $fields);
    echo json_encode((object) $fields), "\n";
}
"""


@pytest.mark.skipif(shutil.which("php") is None, reason="PHP is not installed")
@settings(max_examples=20, deadline=None)
@given(st.lists(st.lists(st.sampled_from(ATOMS), max_size=24).map("".join), min_size=100, max_size=200))
def test_php_itself_reads_the_same(bodies: list[str]) -> None:
    found = subprocess.run(["php", "-r", PHP], input=json.dumps(bodies), capture_output=True, text=True, check=True)
    assert [json.loads(line) for line in found.stdout.splitlines()] == [parsed(body) for body in bodies]
