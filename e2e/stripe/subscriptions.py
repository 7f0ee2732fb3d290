"""Subscriptions and how they begin, change and end (https://docs.stripe.com/billing/subscriptions/overview)."""

import periods
import catalog
import errors
import invoices
import prorations
from routing import route
from world import listed, metadata

HOUR = 3_600
DAY = 24 * HOUR
OVER = ("canceled", "incomplete_expired")

CREATE = (
    "customer items metadata trial_period_days trial_end default_payment_method payment_behavior cancel_at_period_end "
    "cancel_at collection_method days_until_due description off_session proration_behavior payment_settings trial_settings"
)


@route("POST /v1/subscriptions", CREATE)
def create(world, params):
    customer = world.living("customer", params.get("customer") or missing("customer"), "customer")
    if not params.get("items"):
        raise errors.missing("items")
    now = world.now(customer)
    trial_end = trial_of(params, now)
    subscription = blank(world, customer, params, now)
    subscription["items"] = listed([], f"/v1/subscription_items?subscription={subscription['id']}")
    for each in params["items"]:
        add_item(world, subscription, each)
    begin(subscription, now, trial_end)
    world.keep(subscription)
    set_end(world, subscription, params)
    world.happened("customer.subscription.created", subscription)
    if trial_end and trial_end - 3 * DAY <= now:
        announce_trial_end(world, subscription)
    invoice = invoices.of_subscription(world, subscription, "subscription_create")
    invoices.finalize(world, invoice)
    if params.get("payment_behavior") != "default_incomplete":
        failure = invoices.collect(world, invoice)
        if failure and params.get("payment_behavior") == "error_if_incomplete":
            end(world, subscription, None)
            raise failure
    return subscription


def missing(name):
    raise errors.missing(name)


def trial_of(params, now):
    if params.get("trial_period_days"):
        return now + params["trial_period_days"] * DAY
    trial_end = params.get("trial_end")
    if trial_end in (None, "now"):
        return None
    if trial_end <= now:
        raise errors.invalid("Invalid timestamp: must be an integer Unix timestamp in the future.", "trial_end")
    return trial_end


def blank(world, customer, params, now):
    method = params.get("default_payment_method")
    if method and world.find("payment_method", method, "default_payment_method")["customer"] != customer["id"]:
        raise errors.invalid(
            f"The customer does not have a payment method with the ID {method}.", "default_payment_method"
        )
    return {
        "object": "subscription",
        "id": world.id("sub_1"),
        "automatic_tax": {"enabled": False, "disabled_reason": None, "liability": None},
        "billing_mode": {"type": "flexible", "flexible": {"proration_discounts": "included"}, "updated_at": now},
        "billing_schedules": [],
        "cancel_at_period_end": False,
        "cancellation_details": {"comment": None, "feedback": None, "feedback_option": None, "reason": None},
        "collection_method": params.get("collection_method", "charge_automatically"),
        "created": now,
        "currency": None,
        "customer": customer["id"],
        "days_until_due": params.get("days_until_due"),
        "default_payment_method": method,
        "default_tax_rates": [],
        "description": params.get("description") or None,
        "discounts": [],
        "invoice_settings": {"issuer": {"type": "self", "account": None}, "account_tax_ids": None},
        "metadata": metadata({}, params.get("metadata")),
        "payment_settings": {
            "payment_method_options": None,
            "payment_method_types": None,
            "save_default_payment_method": "off",
            **params.get("payment_settings", {}),
        },
        "test_clock": customer.get("test_clock"),
        "trial_settings": params.get("trial_settings")
        or {"end_behavior": {"missing_payment_method": "create_invoice"}},
    }


def add_item(world, subscription, given):
    price = catalog_price(world, given)
    recurring = price["recurring"]
    subscription["currency"] = subscription["currency"] or price["currency"]
    if price["currency"] != subscription["currency"]:
        raise errors.invalid("All prices of a subscription must have one currency.", "items")
    others = [each["price"]["recurring"] for each in subscription["items"]["data"]]
    for other in others[:1]:
        if (other["interval"], other["interval_count"]) != (recurring["interval"], recurring["interval_count"]):
            raise errors.lacks("subscriptions whose items have several intervals")
    item = {
        "object": "subscription_item",
        "id": world.id("si_", 14),
        "created": world.now(subscription),
        "current_period_start": subscription.get("period_start", 0),
        "current_period_end": subscription.get("period_end", 0),
        "discounts": [],
        "metadata": metadata({}, given.get("metadata")),
        "price": catalog.shown(price),
        "plan": plan(price),
        "quantity": quantity(price, given),
        "subscription": subscription["id"],
        "tax_rates": [],
    }
    subscription["items"]["data"].append(item)
    return item


def catalog_price(world, given):
    if not given.get("price"):
        raise errors.missing("items[0][price]")
    price = world.living("price", given["price"], "items[0][price]")
    if not price["active"]:
        raise errors.invalid(
            "The price specified is inactive. This field only accepts active prices.", "items[0][price]"
        )
    if not price["recurring"]:
        message = (
            "The price specified is set to `type=one_time` but this field only accepts prices with `type=recurring`."
        )
        raise errors.invalid(message, "items[0][price]")
    return price


def quantity(price, given):
    if price["recurring"]["usage_type"] == "metered":
        if given.get("quantity") is not None:
            raise errors.invalid("A quantity cannot be set for prices with usage_type metered.", "items[0][quantity]")
        return None
    return given.get("quantity", 1)


def plan(price):
    """The old name of a price, which is still in every item."""
    recurring = price["recurring"]
    return {
        "object": "plan",
        "id": price["id"],
        "active": price["active"],
        "amount": price["unit_amount"],
        "amount_decimal": price["unit_amount_decimal"],
        "billing_scheme": price["billing_scheme"],
        "created": price["created"],
        "currency": price["currency"],
        "interval": recurring["interval"],
        "interval_count": recurring["interval_count"],
        "livemode": price["livemode"],
        "metadata": price["metadata"],
        "meter": recurring["meter"],
        "nickname": price["nickname"],
        "product": price["product"],
        "usage_type": recurring["usage_type"],
    }


# Periods.


def begin(subscription, now, trial_end):
    subscription["start_date"] = now
    subscription["trial_start"] = now if trial_end else None
    subscription["trial_end"] = trial_end
    subscription["status"] = "trialing" if trial_end else "incomplete"
    subscription["billing_cycle_anchor"] = trial_end or now
    set_period(subscription, now, trial_end or next_end(subscription, now))


def next_end(subscription, after):
    recurring = subscription["items"]["data"][0]["price"]["recurring"]
    anchor = subscription["billing_cycle_anchor"]
    return periods.period_end(anchor, after, recurring["interval"], recurring["interval_count"])


def set_period(subscription, start, end):
    for item in subscription["items"]["data"]:
        item["current_period_start"], item["current_period_end"] = start, end


def period(subscription):
    item = subscription["items"]["data"][0]
    return item["current_period_start"], item["current_period_end"]


def renew(world, subscription):
    """The next period begins: it is paid in advance, and what was used in the last one after the fact."""
    ended = period(subscription)
    before = {"items": [dict(each) for each in subscription["items"]["data"]]}
    set_period(subscription, ended[1], next_end(subscription, ended[1]))
    if subscription["status"] == "trialing":
        before["status"] = "trialing"
        subscription["status"] = "active"
    world.happened("customer.subscription.updated", subscription, before)
    invoice = invoices.of_subscription(world, subscription, "subscription_cycle", ended)
    if subscription["status"] == "unpaid":
        # Nothing is collected from who does not pay: https://docs.stripe.com/billing/subscriptions/overview#subscription-statuses
        invoice["auto_advance"] = False
        invoice["automatically_finalizes_at"] = None


def announce_trial_end(world, subscription):
    world.announced.add(subscription["id"])
    world.happened("customer.subscription.trial_will_end", subscription)


def end(world, subscription, reason, usage_until=None):
    """Over, now. With `usage_until` what was used up to then is invoiced."""
    now = world.now(subscription)
    details = {**subscription["cancellation_details"], "reason": reason}
    subscription.update(
        status="canceled",
        ended_at=now,
        canceled_at=subscription.get("canceled_at") or now,
        cancellation_details=details,
    )
    if usage_until is not None:
        start = period(subscription)[0]
        used = (start, usage_until)
        invoice = invoices.of_subscription(world, subscription, "subscription_cycle", used, advance=False)
        if invoice:
            invoices.finalize(world, invoice)
            invoices.collect(world, invoice)
    for invoice in world.all("invoice"):
        if invoices.subscription_of(invoice) == subscription["id"] and invoice["status"] in ("draft", "open"):
            invoice.update(auto_advance=False, automatically_finalizes_at=None, next_payment_attempt=None)
    world.happened("customer.subscription.deleted", subscription)


def set_end(world, subscription, params):
    """`cancel_at_period_end`, `cancel_at`: the fields that change."""
    now = world.now(subscription)
    if params.get("cancel_at_period_end") is True:
        details = {**subscription["cancellation_details"], "reason": "cancellation_requested"}
        change = {"cancel_at_period_end": True, "cancel_at": period(subscription)[1], "canceled_at": now}
        subscription.update(change, cancellation_details=details)
    elif params.get("cancel_at_period_end") is False or params.get("cancel_at") == "":
        details = {**subscription["cancellation_details"], "reason": None}
        subscription.update(cancel_at_period_end=False, cancel_at=None, canceled_at=None, cancellation_details=details)
    elif params.get("cancel_at"):
        if params["cancel_at"] in ("min_period_end", "max_period_end"):
            params["cancel_at"] = period(subscription)[1]
        if params["cancel_at"] <= now:
            raise errors.invalid("cancel_at must be in the future.", "cancel_at")
        subscription.update(cancel_at=params["cancel_at"], canceled_at=now)


UPDATE = (
    "items metadata cancel_at_period_end cancel_at proration_behavior proration_date default_payment_method trial_end "
    "payment_behavior billing_cycle_anchor cancellation_details description off_session payment_settings trial_settings"
)


@route("POST /v1/subscriptions/{}", UPDATE)
def update(world, params, name):
    subscription = world.find("subscription", name, status=404)
    if subscription["status"] in OVER and set(params) - {"metadata", "cancellation_details"}:
        message = "A canceled subscription can only update its cancellation_details and metadata."
        raise errors.invalid(message)
    before = snapshot(subscription)
    if "metadata" in params:
        subscription["metadata"] = metadata(subscription["metadata"], params["metadata"])
    for each in ("description", "default_payment_method"):
        if each in params:
            subscription[each] = params[each] or None
    for each in ("cancellation_details", "payment_settings", "trial_settings"):
        if params.get(each):
            subscription[each] = {**subscription[each], **params[each]}
    set_end(world, subscription, params)
    if "items" in params or params.get("trial_end") or params.get("billing_cycle_anchor") == "now":
        prorations.change(world, subscription, params)
    said(world, subscription, before)
    return subscription


def snapshot(subscription):
    copied = dict(subscription)
    copied["items"] = {**subscription["items"], "data": [dict(each) for each in subscription["items"]["data"]]}
    return copied


def said(world, subscription, before):
    changed = {name: before.get(name) for name, value in subscription.items() if before.get(name) != value}
    if changed:
        world.happened("customer.subscription.updated", subscription, changed)


@route("DELETE /v1/subscriptions/{}", "cancellation_details invoice_now prorate")
def cancel(world, params, name):
    subscription = world.find("subscription", name, status=404)
    if subscription["status"] in OVER:
        raise errors.no_such("subscription", name, "id", 404)
    if params.get("prorate"):
        prorations.credit_rest(world, subscription, world.now(subscription))
    subscription["cancellation_details"].update(params.get("cancellation_details") or {})
    end(world, subscription, "cancellation_requested", world.now(subscription) if params.get("invoice_now") else None)
    return subscription


@route("GET /v1/subscriptions/{}")
def retrieve(world, params, name):
    return world.find("subscription", name, status=404)


@route("GET /v1/subscriptions", "customer price status limit starting_after ending_before created test_clock")
def list_subscriptions(world, params):
    status = params.get("status")
    like = {name: params[name] for name in ("customer", "test_clock") if name in params}

    def wanted(each):
        if status == "ended":
            return each["status"] in OVER
        if status in (None, "all"):
            return status == "all" or each["status"] != "canceled"
        return each["status"] == status

    found = [each for each in world.all("subscription", **like) if wanted(each)]
    price = params.get("price")
    return [each for each in found if price is None or any(i["price"]["id"] == price for i in each["items"]["data"])]


@route("GET /v1/subscription_items", "subscription limit starting_after ending_before")
def list_items(world, params):
    return world.find("subscription", params["subscription"], "subscription")["items"]["data"]


def includable(world):
    world.includable["customer", "subscriptions"] = lambda customer: listed(
        [each for each in world.all("subscription", customer=customer["id"]) if each["status"] not in OVER],
        f"/v1/customers/{customer['id']}/subscriptions",
    )
