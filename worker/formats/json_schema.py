"""The events' JSON Schema (draft 2020-12): what producers should send, without any repair.

It accepts exactly what `optico-worker render --strict` accepts, as far as a JSON Schema can see. It does not see that
an integer is written as 900.0, how many digits a number has, how deep details nest, that two options have one name, and
that a text has half a surrogate pair.
"""

from typing import Any, Final

from worker.formats import number

_Schema = dict[str, Any]

_STRING: Final[_Schema] = {"type": "string"}
_NOT_EMPTY: Final[_Schema] = {"type": "string", "minLength": 1}
_NULL: Final[_Schema] = {"type": "null"}
#: Whatever holds nothing, then what may hold something. Said type by type, because generators of types take a schema
#: without a type for an object.
_PLAIN: Final[list[_Schema]] = [_STRING, {"type": "number"}, {"type": "boolean"}, _NULL]
_ANY: Final[list[_Schema]] = [*_PLAIN, {"type": "array", "items": {}}, {"type": "object", "additionalProperties": True}]
#: `$` lets a final line feed pass in some languages: no pattern here has white space.
_NO_SPACE: Final[_Schema] = {"not": {"type": "string", "pattern": "\\s"}}
_ID: Final[_Schema] = {"anyOf": [_NOT_EMPTY, {"type": "integer"}]}
_USABLE_ID: Final[_Schema] = {
    "anyOf": [
        {"type": "string", "minLength": 1, "not": {"type": "string", "pattern": "^0+$"}},
        {"type": "integer", "not": {"const": 0}},
    ]
}
_NO_ID: Final[_Schema] = {"anyOf": [{"enum": [None, "", 0, False]}, {"type": "string", "pattern": "^0+$", **_NO_SPACE}]}
_EMPTY: Final[_Schema] = {"enum": [None, "", [], {}]}
_IS_LOGGED_IN: Final[_Schema] = {"enum": [0, 1, True, False, "0", "1"]}
_CALL_ID: Final[_Schema] = {
    "description": 'The call that the entity belongs to; null and "" mean none.',
    "anyOf": [
        {"type": "integer", "not": {"const": 0}},
        {"type": "string", "pattern": "^-?0*[1-9][0-9]*$", **_NO_SPACE},
        {"const": ""},
        _NULL,
    ],
}


def schema() -> _Schema:
    """The schema of the events, as a worker without defaults accepts them."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "OpticoEvent",
        "description": "The current state of one cart or one order.",
        "anyOf": [{"$ref": f"#/$defs/{name}"} for name in ("Cart", "Order", "CsCartCart", "CsCartOrder")],
        "$defs": {
            "Cart": _native("cart", {"is_logged_in": _IS_LOGGED_IN}, least=0),
            "Order": _native("order", {"cart_id": _ID, "status": _NOT_EMPTY}, least=1),
            "Product": _product(),
            "CsCartCart": _cs_cart_cart(),
            "CsCartOrder": _cs_cart_order(),
            "CsCartProduct": _cs_cart_product(),
            "CsCartOption": _cs_cart_option(),
        },
    }


def _object(properties: _Schema, *required: str, **more: Any) -> _Schema:
    return {"type": "object", "properties": properties, "required": list(required), **more}


def _any(description: str) -> _Schema:
    return {"description": description, "anyOf": _ANY}


def _text(pattern: str) -> _Schema:
    return {"type": "string", "pattern": pattern, **_NO_SPACE}


def _common() -> _Schema:
    return {
        "currency": {"type": "string", "pattern": "^[A-Z]{3}$", "maxLength": 3},
        "visit_id": {
            "description": "The visitor's session, from the cookie optico_visitId or optico_visit_id.",
            "type": "string",
            "not": {"type": "string", "pattern": "^\\s*(null|undefined|0)?\\s*$"},
        },
        "call_id": _CALL_ID,
        "agent": {"description": "The agent's user name.", "anyOf": [_STRING, _NULL]},
        "occurred_at": _any("ISO 8601 or UNIX seconds, for freshness; else the record's timestamp counts."),
    }


def _native(kind: str, more: _Schema, *, least: int) -> _Schema:
    products = {"type": "array", "items": {"$ref": "#/$defs/Product"}, "minItems": least}
    properties = {
        "source": {"enum": ["optico", None]},
        "type": {"const": kind},
        "id": _ID,
        **_common(),
        **more,
        "products": products,
    }
    return _object(properties, "type", "id", "currency", "visit_id", *more, "products")


def _product() -> _Schema:
    details = {
        "description": "Shown to the agent as it is, at most 32 levels deep.",
        "anyOf": [_STRING, {"type": "array", "items": {}}, {"type": "object", "additionalProperties": True}, _NULL],
    }
    return _object(
        {
            "id": {"anyOf": [_NOT_EMPTY, {"type": "number"}]},
            "name": _NOT_EMPTY,
            "quantity": {"anyOf": [{"type": "integer"}, _text(number.QUANTITY_TEXT)]},
            "price": {"anyOf": [{"type": "number"}, _text(number.PRICE_TEXT)]},
            "details": details,
        },
        *("id", "name", "quantity", "price"),
    )


def _cs_cart_cart() -> _Schema:
    cart = {
        "user_id": _any("The cart's id, unless the envelope has an `id`."),
        "order_id": {"description": "None: the cart has not been checked out.", **_NO_ID},
        "user_data": _any("Of a registered user; empty for a guest."),
        "products": _cs_cart_products(least=0),
    }
    return _envelope(_object(cart, "products"))


def _cs_cart_order() -> _Schema:
    order = {
        "user_id": _any("The cart's id, unless the envelope has an `id`."),
        "order_id": {"description": "The order's id.", **_USABLE_ID},
        "status": _any("Counts if the envelope has none."),
        "products": _cs_cart_products(least=1),
    }
    of_the_envelope = _object({"status": _NOT_EMPTY}, "status")
    of_the_order = _object({"status": {"enum": ["", None, False]}, "cart": _object({"status": _NOT_EMPTY}, "status")})
    return _envelope(_object(order, "order_id", "products"), {"anyOf": [of_the_envelope, of_the_order]})


def _envelope(cart: _Schema, *rules: _Schema) -> _Schema:
    own = _object({"id": _USABLE_ID}, "id")
    users = _object({"id": _NO_ID, "cart": _object({"user_id": _USABLE_ID}, "user_id")})
    properties = {
        "source": {"const": "cs-cart"},
        "id": {"description": "The cart's id; none: the cart's `user_id` is it.", "anyOf": [_USABLE_ID, _NO_ID]},
        **_common(),
        "status": _any("Of an order; a cart has none."),
        "cart": cart,
    }
    return _object(properties, "source", "visit_id", "currency", "cart", allOf=[{"anyOf": [own, users]}, *rules])


def _cs_cart_products(*, least: int) -> _Schema:
    line = {"$ref": "#/$defs/CsCartProduct"}
    return {
        "anyOf": [
            {"type": "array", "items": line, "minItems": least},
            {"type": "object", "additionalProperties": line, "minProperties": least},
        ]
    }


def _cs_cart_product() -> _Schema:
    described = {
        "product_id": {"anyOf": [_NOT_EMPTY, {"type": "number"}]},
        "product": _NOT_EMPTY,
        "amount": {"anyOf": [{"type": "integer"}, _text(number.QUANTITY_TEXT)]},
        "price": {"anyOf": [{"type": "number"}, _text(number.PRICE_TEXT)]},
        "options": _any("The selected options, which become details of the product."),
        "product_options": _any("As `options`, where CS-Cart writes them so."),
        "extra": _any("CS-Cart's own."),
    }
    return _object(described, "product_id", "product", "amount", "price", anyOf=list(_options_rules()))


def _options_rules() -> list[_Schema]:
    """Where options are looked for: the first field that holds names counts, and nothing may be there without."""
    unnamed, named = _unnamed(), _named()
    both = ("options", "product_options")
    nowhere = _object(dict.fromkeys(both, _EMPTY))
    not_in_extra = {"anyOf": [*_PLAIN, {"type": "array"}, nowhere]}
    in_extra_options = _object({"options": named}, "options")
    in_extra = _object({"options": unnamed, "product_options": named}, "product_options")
    return [
        _object({"options": named}, "options"),
        _object({"options": unnamed, "product_options": named}, "product_options"),
        _object({**dict.fromkeys(both, unnamed), "extra": {"anyOf": [in_extra_options, in_extra]}}, "extra"),
        _object({**dict.fromkeys(both, _EMPTY), "extra": not_in_extra}),
    ]


def _named() -> _Schema:
    option = {"$ref": "#/$defs/CsCartOption"}
    return {
        "anyOf": [
            {"type": "array", "items": option, "minItems": 1},
            {"type": "object", "additionalProperties": option, "minProperties": 1},
        ]
    }


def _unnamed() -> _Schema:
    no_option = {"not": {"$ref": "#/$defs/CsCartOption"}}
    return {
        "anyOf": [
            {"type": "array", "items": no_option},
            {"type": "object", "additionalProperties": no_option},
            *_PLAIN,
        ]
    }


def _cs_cart_option() -> _Schema:
    return _object(
        {
            "option_name": {"anyOf": [_NOT_EMPTY, {"type": "number"}]},
            "variant_name": _any("The value that is shown, if there is one."),
            "value": _any("The value, if there is no variant_name."),
        },
        "option_name",
    )
