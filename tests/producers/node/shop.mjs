// A shop with the page's producer beside it: node shop.mjs BROKERS TOPIC
import { Events, cartEvent, orderEvent, visitOf } from "./events.mjs";

const [brokers, topic] = process.argv.slice(2);
const events = new Events(brokers.split(","), topic);

const cookies = { optico_visitId: "3617898c651df0f8617f70a0" };
const trousers = { sku: "31", name: "Corduroy trousers", quantity: 2, cents: 3000, options: { Size: "Large" } };
const gift = { sku: "32", name: "L'été, 12 €", quantity: 1, cents: 1999 };

const guest = { id: 42, currency: "EUR", lines: [trousers] };
events.write(cartEvent(guest, visitOf(cookies)));
guest.lines.push(gift);
events.write(cartEvent(guest, visitOf({ optico_visit_id: cookies.optico_visitId })));
events.write(cartEvent({ id: 43, currency: "EUR", customerId: 7, lines: [gift] }, visitOf({})));

// Placed by the visitor, changed in the back office, whose browser has no cookie; refunded in part.
const order = { id: 1001, cartId: 42, currency: "EUR", status: "Open", lines: guest.lines, visitId: visitOf(cookies) };
events.write(orderEvent(order));
events.write(cartEvent({ ...guest, lines: [] }, visitOf(cookies)));
order.status = "Completed";
await events.write(orderEvent(order));
order.lines = [trousers];
events.write(orderEvent(order));
await events.close();
