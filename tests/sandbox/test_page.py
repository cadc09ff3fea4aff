from html.parser import HTMLParser

from tests.sandbox.support import KEY, cart, order, post, send
from worker.sandbox.api import Sandbox


class Reader(HTMLParser):
    """The tags of a page, its text, and everything that it would load."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.words: list[str] = []
        self.loads: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loads += [value for name, value in attrs if name in {"src", "href", "action"} and value is not None]

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.words)


def read(sandbox: Sandbox) -> Reader:
    return Reader(send(sandbox.url, "GET", "/").body.decode())


def test_the_page_shows_the_newest_record_first_with_its_products(sandbox: Sandbox) -> None:
    post(sandbox.url, cart(id="41", **{"products[0][name]": "T-Shirt", "products[0][price]": "49.99"}))
    post(sandbox.url, order(id="42"), "order")
    text = read(sandbox).text
    assert text.index("order:42") < text.index("cart:41")
    assert "2 \N{MULTIPLICATION SIGN} T-Shirt at 49.99 EUR" in text
    assert "Completed" in text


def test_the_page_shows_the_faults_and_what_is_left_of_them(sandbox: Sandbox) -> None:
    assert "every answer is true" in read(sandbox).text
    sandbox.set_faults([{"status": 503, "count": 1}, {"hang": True, "id": "<b>"}])
    post(sandbox.url, cart())
    text = read(sandbox).text
    assert '{"count": 1, "status": 503}  applied 1 times, spent' in text
    assert "<b>" in text


def test_nothing_that_comes_from_outside_is_markup(sandbox: Sandbox) -> None:
    plain = read(sandbox)
    evil = "<script>alert(1)</script><img src=x onerror='alert(2)'>\"&"
    sandbox.set_faults([{"id": evil, "hang": True}, {"kind": "order", "status": 500, "body": evil, "apply": True}])
    form = {
        name: evil if name in {"visit_id", "currency", "status", "id"} else value for name, value in order().items()
    }
    post(sandbox.url, {**form, "id": f"{evil} ", "products[0][name]": evil}, "order")
    page = read(sandbox)
    assert not {"script", "img"} & set(page.tags)
    assert plain.loads == page.loads
    assert page.text.count("alert(1)") >= 5


def test_the_page_loads_nothing_and_refreshes_itself(sandbox: Sandbox) -> None:
    answer = send(sandbox.url, "GET", "/")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert b"http-equiv=refresh" in answer.body
    assert Reader(answer.body.decode()).loads == ["data:,"]


def test_the_page_stays_short_however_much_there_is(sandbox: Sandbox) -> None:
    many = {name.replace("[0]", f"[{n}]"): value for n in range(500) for name, value in cart().items()}
    for n in range(120):
        post(sandbox.url, {**many, "id": str(n)} if n == 119 else cart(id=str(n)))
    text = read(sandbox).text
    assert "and 480 more" in text
    assert "20 older ones are not shown" in text
    assert KEY not in text


def test_a_hash_of_products_does_not_break_the_page(sandbox: Sandbox) -> None:
    shifted = {name.replace("[0]", "[5]"): value for name, value in cart().items()}
    post(sandbox.url, shifted)
    assert "Product 1" in read(sandbox).text
