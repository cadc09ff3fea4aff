"""The page at `/`: what the sandbox holds, for a person to look at. No script, nothing loaded from anywhere."""

import json
from collections.abc import Iterable
from html import escape
from itertools import islice
from typing import Any, Final

from worker.sandbox.api.backend import Backend
from worker.sandbox.api.views import FaultState, SandboxState, StoredRecord

SHOWN_RECORDS: Final = 100
SHOWN_PRODUCTS: Final = 20
REFRESH_SECONDS: Final = 2

_STYLE = """
body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:72rem;padding:0 1rem;color:#222;background:#fff}
h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:2rem}p{color:#555}
table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;padding:.35rem .6rem}
th{border-bottom:2px solid #ccc}td{border-bottom:1px solid #eee;overflow-wrap:anywhere}
ul{margin:0;padding-left:1.1rem}code{background:#f3f3f3;padding:0 .25rem}.spent{color:#777}
"""


def render_page(backend: Backend) -> str:
    """A whole HTML document; every value that came from outside is escaped."""
    ledger = backend.ledger
    newest = islice(ledger.newest_records(None, None), SHOWN_RECORDS)
    records = [ledger.stored(record) for record in newest]
    state = backend.state()
    return (
        "<!doctype html><html lang=en><head><meta charset=utf-8>"
        f"<meta http-equiv=refresh content={REFRESH_SECONDS}>"
        "<meta name=viewport content='width=device-width'><link rel=icon href='data:,'>"
        f"<title>Cart API sandbox</title><style>{_STYLE}</style></head><body><h1>Cart API sandbox</h1>"
        f"{_summary(state)}{_faults(state.faults)}{_records(records, state.records)}</body></html>"
    )


def _summary(state: SandboxState) -> str:
    outcomes = ", ".join(f"{escape(outcome)} {count}" for outcome, count in sorted(state.outcomes.items()))
    return (
        f"<p>{state.requests} requests ({outcomes or 'none finished'}), {state.in_flight} in flight "
        f"(at most {state.max_in_flight}), {state.records} records, {state.landing} still landing.</p>"
    )


def _faults(faults: Iterable[FaultState]) -> str:
    rows = [
        f"<li{'' if fault.active else ' class=spent'}><code>{escape(json.dumps(fault.rule))}</code> "
        f"applied {fault.hits} times{'' if fault.active else ', spent'}</li>"
        for fault in faults
    ]
    return f"<h2>Faults</h2><ul>{''.join(rows)}</ul>" if rows else "<h2>Faults</h2><p>None: every answer is true.</p>"


def _records(records: list[StoredRecord], total: int) -> str:
    rows = "".join(_row(record) for record in records)
    hidden = f"<p>{total - len(records)} older ones are not shown.</p>" if total > len(records) else ""
    return (
        "<h2>Records, newest first</h2><table><thead><tr><th>Entity<th>Visit<th>Status<th>Products"
        f"<th>Version</tr></thead><tbody>{rows}</tbody></table>{hidden}"
    )


def _row(record: StoredRecord) -> str:
    params = record.params
    status = params.get("status") if record.kind == "order" else ""
    cells = (f"{record.kind}:{record.id}", params.get("visit_id"), status)
    return (
        f"<tr>{''.join(f'<td>{_text(cell)}' for cell in cells)}"
        f"<td>{_products(params.get('products'), params.get('currency'))}<td>{record.versions}</tr>"
    )


def _products(products: Any, currency: Any) -> str:
    found = list(products.values()) if isinstance(products, dict) else products
    items = [product for product in found if isinstance(product, dict)] if isinstance(found, list) else []
    rows = "".join(
        f"<li>{_text(item.get('quantity'))} &times; {_text(item.get('name'))}"
        f" at {_text(item.get('price'))} {_text(currency)}"
        for item in items[:SHOWN_PRODUCTS]
    )
    more = f"<li>and {len(items) - SHOWN_PRODUCTS} more" if len(items) > SHOWN_PRODUCTS else ""
    return f"<ul>{rows}{more}</ul>"


def _text(value: Any) -> str:
    return escape(str(value)) if value is not None else ""
