"""One customer: who they are to the shop, and what their cart and their order look like as events."""

from dataclasses import dataclass, field
from random import Random
from typing import Any, Final, NamedTuple
from zlib import crc32

from worker.sandbox.traffic.articles import ARTICLES, Article

#: The visit of customers whose tracking cookie is void: an API that knows its visits refuses their carts and orders.
UNKNOWN_VISIT: Final = "0" * 24

_AGENTS: Final = ("agent.demo1", "agent.demo2")
_EPOCH: Final = 1_790_000_000

Json = dict[str, Any]


class _Item(NamedTuple):
    article: Article
    chosen: tuple[str, ...]


@dataclass
class Customer:
    """Carts and orders have the customer's number in their ids, so that no two customers share one."""

    rng: Random
    number: int
    cs_cart: bool = field(init=False)
    logged_in: bool = field(init=False)
    visit: str = field(init=False)
    call: Json = field(init=False)
    items: dict[_Item, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        rng = self.rng
        self.cs_cart, self.logged_in = rng.random() < 0.5, rng.random() < 0.6  # noqa: PLR2004
        self.visit = UNKNOWN_VISIT if rng.random() < 0.01 else f"{rng.getrandbits(96):024x}"  # noqa: PLR2004
        on_the_phone = rng.random() < 0.06  # noqa: PLR2004
        self.call = {"call_id": 700_000 + self.number, "agent": rng.choice(_AGENTS)} if on_the_phone else {}

    @property
    def cart_id(self) -> int:
        return (50_000_000 if self.cs_cart else 10_000_000) + self.number

    @property
    def order_id(self) -> int:
        return (70_000_000 if self.cs_cart else 30_000_000) + self.number

    def change(self) -> None:
        """Something is put into the cart, its number changes, or it is taken out; never the last one."""
        rng = self.rng
        if len(self.items) > 1 and rng.random() < 0.15:  # noqa: PLR2004
            del self.items[rng.choice(list(self.items))]
        elif self.items and rng.random() < 0.5:  # noqa: PLR2004
            self.items[rng.choice(list(self.items))] = rng.randint(1, 9)
        else:
            article = rng.choice(ARTICLES)
            self.items[_Item(article, tuple(rng.choice(values) for _, values in article.options))] = rng.randint(1, 3)

    def cart(self) -> Json:
        """The cart as an event."""
        if self.cs_cart:
            return self._cs_cart()
        return self._native("cart", self.cart_id, is_logged_in=int(self.logged_in))

    def order(self, status: str) -> Json:
        """The order as an event."""
        if self.cs_cart:
            return self._cs_cart(self.order_id, status=status)
        return self._native("order", str(self.order_id), cart_id=self.cart_id, status=status)

    def _native(self, kind: str, event_id: int | str, **more: Any) -> Json:
        products = [_native_product(item, quantity) for item, quantity in self.items.items()]
        event = {"type": kind, "id": event_id, "currency": "EUR", "visit_id": self.visit, **more}
        return event | self.call | {"products": products}

    def _cs_cart(self, order_id: int = 0, **more: Any) -> Json:
        products = dict(_cs_cart_product(item, amount) for item, amount in self.items.items())
        cart = {
            "user_id": str(self.cart_id if self.logged_in else 0),
            "firstname": "Test",
            "lastname": "Customer",
            "date": str(_EPOCH + self.number),
            "ip_address": "192.0.2.1",
            "company_id": "1",
            "cart_products": str(len(products)),
            "total": _euros(sum(item.article.cents * amount for item, amount in self.items.items())),
            "order_id": str(order_id),
            "user_data": {"email": f"customer{self.number}@example.com"} if self.logged_in else [],
            "products": products if self.number % 2 else list(products.values()),
        }
        # A guest's cart has no owner, so the envelope says which one it is.
        own_id = {} if self.logged_in else {"id": str(self.cart_id)}
        return {
            "source": "cs-cart",
            **own_id,
            "visit_id": self.visit,
            "currency": "EUR",
            **more,
            **self.call,
            "cart": cart,
        }


def _native_product(item: _Item, quantity: int) -> Json:
    article = item.article
    product: Json = {"id": article.id, "name": article.name, "quantity": quantity, "price": article.cents / 100}
    if article.options:
        names = [name.lower() for name, _ in article.options]
        product["details"] = dict(zip(names, item.chosen, strict=True))
    return product


def _cs_cart_product(item: _Item, amount: int) -> tuple[str, Json]:
    """The item's hash, and what CS-Cart has under it."""
    article = item.article
    options = [
        {"option_id": str(number), "option_name": name, "value": value}
        for number, ((name, _), value) in enumerate(zip(article.options, item.chosen, strict=True), 11)
    ]
    return str(crc32(repr((article.id, item.chosen)).encode())), {
        "product_id": str(article.id),
        "amount": str(amount),
        "price": _euros(article.cents),
        "product": article.name,
        "options": options,
        "subtotal": _euros(article.cents * amount),
    }


def _euros(cents: int) -> str:
    return f"{cents / 100:.2f}"
