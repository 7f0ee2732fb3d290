"""Checkout sessions for subscriptions (https://docs.stripe.com/api/checkout/sessions), and what paying one does."""

import re

import catalog
import customers
import errors
import subscriptions
from routing import route
from world import listed, metadata

DAY = 86_400
TAKES = (
    "mode customer customer_email client_reference_id line_items success_url cancel_url metadata subscription_data "
    "expires_at tax_id_collection customer_update billing_address_collection automatic_tax allow_promotion_codes "
    "payment_method_collection locale ui_mode allowed_payment_method_types"
)
DATA = {"metadata", "trial_period_days", "trial_end", "description", "trial_settings"}


@route("POST /v1/checkout/sessions", TAKES)
def create(world, params):
    if params.get("mode") != "subscription":
        raise errors.lacks(f"Checkout in mode {params.get('mode', 'payment')}")
    if params.get("ui_mode", "hosted_page") != "hosted_page":
        raise errors.lacks(f"Checkout with ui_mode {params['ui_mode']}")
    if params.get("automatic_tax", {}).get("enabled"):
        raise errors.lacks("automatic tax")
    for each in ("success_url", "cancel_url"):
        if each in params and not re.match(r"https?://[^/]", params[each]):
            raise errors.invalid("Not a valid URL", each, "url_invalid")
    if "success_url" not in params:
        raise errors.missing("success_url")
    customer = customer_of(world, params)
    data = params.get("subscription_data", {})
    if set(data) - DATA:
        raise errors.lacks(f"subscription_data[{sorted(set(data) - DATA)[0]}]")
    items = [line_item(world, each, number) for number, each in enumerate(params.get("line_items", []))]
    if not items:
        raise errors.missing("line_items")
    now = world.now(customer)
    expires = params.get("expires_at", now + DAY)
    if not now + 1_800 <= expires <= now + DAY:
        message = "The `expires_at` timestamp must be between 30 minutes and 24 hours from Checkout Session creation."
        raise errors.invalid(message, "expires_at")
    subscriptions.trial_of(data, now)
    return keep(world, params, customer, items, expires)


def customer_of(world, params):
    if "customer" in params and "customer_email" in params:
        raise errors.invalid("You may only specify one of these parameters: customer, customer_email.", "customer")
    customer = world.living("customer", params["customer"], "customer") if "customer" in params else None
    update = params.get("customer_update", {})
    if update and not customer:
        raise errors.invalid("`customer_update` can only be used with `customer`.", "customer_update")
    if customer and params.get("tax_id_collection", {}).get("enabled") and update.get("name") != "auto":
        message = (
            "Tax ID collection requires updating business name on the customer. To enable tax ID collection for an existing "
            "customer, please set `customer_update[name]` to `auto`."
        )
        raise errors.invalid(message, "customer_update[name]")
    return customer


def line_item(world, given, number):
    place = f"line_items[{number}]"
    if "price_data" in given:
        raise errors.lacks(f"{place}[price_data]")
    if "price" not in given:
        raise errors.missing(f"{place}[price]")
    price = world.living("price", given["price"], f"{place}[price]")
    if not price["active"]:
        message = "The price specified is inactive. This field only accepts active prices."
        raise errors.invalid(message, f"{place}[price]")
    if not price["recurring"]:
        raise errors.lacks("one-time prices in Checkout")
    metered = price["recurring"]["usage_type"] == "metered"
    if metered and "quantity" in given:
        raise errors.invalid("Quantity should not be specified where usage_type is `metered`.", f"{place}[quantity]")
    if not metered and "quantity" not in given:
        raise errors.invalid(
            "Quantity is required. Add `quantity` to `line_items`.", f"{place}[quantity]", "parameter_missing"
        )
    quantity = None if metered else given["quantity"]
    amount = 0 if metered else catalog.cost(price, quantity)
    return {
        "object": "item",
        "id": world.id("li_1"),
        "amount_discount": 0,
        "amount_subtotal": amount,
        "amount_tax": 0,
        "amount_total": amount,
        "currency": price["currency"],
        "description": world.find("product", price["product"])["name"],
        "metadata": {},
        "price": catalog.shown(price),
        "quantity": quantity,
    }


def keep(world, params, customer, items, expires):
    total = sum(each["amount_total"] for each in items)
    if params.get("subscription_data", {}).keys() & {"trial_end", "trial_period_days"}:
        total = 0
    session = {
        "object": "checkout.session",
        "id": world.id("cs_live_" if world.livemode else "cs_test_", 52),
        "allow_promotion_codes": params.get("allow_promotion_codes"),
        "amount_subtotal": total,
        "amount_total": total,
        "automatic_tax": {"enabled": False},
        "billing_address_collection": params.get("billing_address_collection"),
        "cancel_url": params.get("cancel_url"),
        "client_reference_id": params.get("client_reference_id"),
        "created": world.now(customer),
        "currency": items[0]["currency"],
        "custom_fields": [],
        "custom_text": {},
        "customer": customer and customer["id"],
        "customer_creation": None if customer else "always",
        "customer_email": params.get("customer_email"),
        "customer_details": {"email": customer["email"]} if customer and customer.get("email") else None,
        "expires_at": expires,
        "locale": params.get("locale"),
        "metadata": metadata({}, params.get("metadata")),
        "mode": "subscription",
        "payment_method_collection": params.get("payment_method_collection", "always"),
        "payment_method_types": ["card"],
        "payment_status": "unpaid",
        "phone_number_collection": {"enabled": False},
        "shipping_options": [],
        "status": "open",
        "success_url": params["success_url"],
        "tax_id_collection": {"required": "never", **params.get("tax_id_collection", {"enabled": False})},
        "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
        "ui_mode": "hosted_page",
    }
    session["url"] = f"{world.url}/c/pay/{session['id']}"
    world.keep(session)
    world.checkouts[session["id"]] = {
        "items": items,
        "data": params.get("subscription_data", {}),
        "update": params.get("customer_update", {}),
    }
    return session


def pay(world, session, card, given):
    """What the page's button does, with what was typed in. Raises what the card refuses; the session then stays open."""
    if session["status"] != "open":
        raise errors.invalid(f"This Checkout Session is {session['status']}.")
    plan = world.checkouts[session["id"]]
    checked = customers.new_card(world, card)
    if world.conduct[checked["id"]] in ("declined", "fails"):
        raise errors.declined()
    customer = payer(world, session, given)
    customers.attach(world, {"customer": customer["id"]}, checked["id"])
    subscription = subscriptions.create(
        world,
        {
            "customer": customer["id"],
            "items": [item(each) for each in plan["items"]],
            "default_payment_method": checked["id"],
            **plan["data"],
        },
    )
    session.update(
        status="complete",
        payment_status="no_payment_required" if subscription["status"] == "trialing" else "paid",
        customer=customer["id"],
        customer_details=details(world, customer),
        subscription=subscription["id"],
        invoice=subscription["latest_invoice"],
        url=None,
    )
    world.happened("checkout.session.completed", session)
    return subscription


def payer(world, session, given):
    """The customer, with what they typed in where the session says that it shall be kept."""
    typed = {"name": given.get("name"), "address": address(given)}
    typed = {name: value for name, value in typed.items() if value}
    if not session["customer"]:
        email = session["customer_email"] or given.get("email") or "somebody@example.com"
        customer = customers.create(world, {"email": email, **typed})
    else:
        customer = world.living("customer", session["customer"])
        update = world.checkouts[session["id"]]["update"]
        kept = {name: value for name, value in typed.items() if update.get(name) == "auto"}
        world.change(customer, "customer.updated", **customers.changes(world, customer, kept))
    if session["tax_id_collection"]["enabled"] and given.get("tax_id"):
        kind = "eu_vat" if given["tax_id"][:2].isalpha() else "us_ein"
        customers.add_tax_id(world, customer, {"type": kind, "value": given["tax_id"]})
    return customer


def address(given):
    return {place: given[place] for place in ("line1", "city", "postal_code", "country") if given.get(place)}


def details(world, customer):
    tax_ids = [{"type": each["type"], "value": each["value"]} for each in customers.tax_ids(world, customer)]
    shown = {name: customer.get(name) for name in ("email", "name", "address", "tax_exempt")}
    return {**shown, "tax_ids": tax_ids}


def item(line):
    given = {"price": line["price"]["id"]}
    return given if line["quantity"] is None else {**given, "quantity": line["quantity"]}


def lapse(world, session):
    world.change(session, "checkout.session.expired", status="expired", url=None)


@route("POST /v1/checkout/sessions/{}/expire")
def expire(world, params, name):
    session = world.find("checkout.session", name, "session", 404)
    if session["status"] != "open":
        message = 'Only Checkout Sessions with a status in ["open"] can be expired.'
        raise errors.invalid(f"{message} This Session has a status of {session['status']}.")
    lapse(world, session)
    return session


@route("GET /v1/checkout/sessions/{}")
def retrieve(world, params, name):
    return world.find("checkout.session", name, "session", 404)


@route("GET /v1/checkout/sessions", "customer status subscription limit starting_after ending_before created")
def list_sessions(world, params):
    like = {name: params[name] for name in ("customer", "status", "subscription") if name in params}
    return world.all("checkout.session", **like)


@route("GET /v1/checkout/sessions/{}/line_items", "limit starting_after ending_before")
def list_line_items(world, params, name):
    world.find("checkout.session", name, "session", 404)
    return world.checkouts[name]["items"][::-1]


def includable(world):
    world.includable["checkout.session", "line_items"] = lambda session: listed(
        world.checkouts[session["id"]]["items"], f"/v1/checkout/sessions/{session['id']}/line_items"
    )
