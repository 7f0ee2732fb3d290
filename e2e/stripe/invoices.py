"""Invoices, from draft to paid, void or uncollectible (https://docs.stripe.com/invoicing/overview)."""

import datetime

import errors
import invoice_lines
import payments
import subscriptions
from routing import route
from world import listed, metadata

HOUR = 3_600
DAY = 24 * HOUR
SMALLEST = 50


def blank(world, customer, reason, period, subscription=None, **values):
    details = None
    if subscription:
        details = {"subscription": subscription["id"], "metadata": dict(subscription["metadata"])}
    invoice = {
        "object": "invoice",
        "id": world.id("in_1"),
        "account_country": "US",
        "account_name": "Stand-in",
        "amount_overpaid": 0,
        "amount_paid": 0,
        "amount_shipping": 0,
        "attempt_count": 0,
        "attempted": False,
        "auto_advance": True,
        "automatic_tax": {"enabled": False},
        "billing_reason": reason,
        "collection_method": subscription["collection_method"] if subscription else "charge_automatically",
        "created": world.now(customer),
        "currency": subscription["currency"] if subscription else customer.get("currency") or "usd",
        "customer": customer["id"],
        "customer_address": customer.get("address"),
        "customer_email": customer.get("email"),
        "customer_name": customer.get("name"),
        "customer_phone": customer.get("phone"),
        "customer_tax_exempt": customer.get("tax_exempt"),
        "customer_tax_ids": [
            {"type": each["type"], "value": each["value"]} for each in world.all("tax_id", customer=customer["id"])
        ],
        "default_tax_rates": [],
        "discounts": [],
        "issuer": {"type": "self"},
        "metadata": {},
        "parent": {"type": "subscription_details", "subscription_details": details} if details else None,
        "payment_settings": {},
        "period_start": period[0],
        "period_end": period[1],
        "post_payment_credit_notes_amount": 0,
        "pre_payment_credit_notes_amount": 0,
        "starting_balance": customer["balance"],
        "status": "draft",
        "status_transitions": {},
        "test_clock": customer.get("test_clock"),
        "total_discount_amounts": [],
        "total_taxes": [],
        **values,
    }
    invoice["lines"] = listed([], f"/v1/invoices/{invoice['id']}/lines")
    return invoice


def of_subscription(world, subscription, reason, used=None, pending_only=False, advance=True):
    """A draft for the period that begins, for what was `used` between two moments, and for what is pending.

    None if there would be nothing on it. With `advance` unset, only what was used and what is pending.
    """
    customer = world.find("customer", subscription["customer"])
    period = used or (world.now(subscription),) * 2
    invoice = blank(world, customer, reason, period, subscription)
    lines = invoice["lines"]["data"]
    lines += invoice_lines.pending(world, invoice, customer, subscription)
    if not pending_only:
        if advance:
            lines += invoice_lines.in_advance(world, invoice, subscription)
        if used:
            lines += invoice_lines.metered(world, invoice, subscription, used)
    if not lines and (pending_only or not advance):
        return None
    if reason == "subscription_cycle":
        # Usage that comes late is still counted until then.
        invoice["automatically_finalizes_at"] = invoice["created"] + HOUR
    total(invoice)
    world.keep(invoice)
    subscription["latest_invoice"] = invoice["id"]
    world.happened("invoice.created", invoice)
    return invoice


def total(invoice):
    amount = sum(line["amount"] for line in invoice["lines"]["data"])
    due = amount + invoice["starting_balance"]
    # What is too small to be charged goes to the balance, as does what is to be given back.
    rest, due = (due, 0) if due < SMALLEST else (0, due)
    invoice.update(subtotal=amount, subtotal_excluding_tax=amount, total=amount, total_excluding_tax=amount)
    invoice.update(amount_due=due, amount_remaining=due - invoice["amount_paid"])
    return rest


def subscription_of(invoice):
    details = (invoice.get("parent") or {}).get("subscription_details")
    return details and details["subscription"]


def finalize(world, invoice):
    customer = world.find("customer", invoice["customer"])
    subscription = subscription_of(invoice) and world.find("subscription", subscription_of(invoice))
    if subscription:
        invoice_lines.recount(world, invoice, subscription)
    invoice["starting_balance"] = customer["balance"]
    rest = total(invoice)
    now = world.now(customer)
    number = customer["next_invoice_sequence"]
    invoice.update(
        status="open",
        number=f"{customer['invoice_prefix']}-{number:04}",
        effective_at=now,
        ending_balance=rest,
        automatically_finalizes_at=None,
        status_transitions={**invoice["status_transitions"], "finalized_at": now},
        hosted_invoice_url=f"{world.url}/i/{invoice['id']}",
        invoice_pdf=f"{world.url}/i/{invoice['id']}/pdf",
    )
    if invoice["collection_method"] == "send_invoice":
        days = invoice.get("days_until_due") or subscription and subscription["days_until_due"] or 30
        invoice["due_date"] = invoice.get("due_date") or now + days * DAY
    customer["next_invoice_sequence"] = number + 1
    customer["currency"] = customer.get("currency") or invoice["currency"]
    customer["balance"] = rest
    world.happened("invoice.finalized", invoice)
    if invoice["amount_due"] == 0:
        settle(world, invoice)


def collect(world, invoice, method=None):
    """Tries to charge what is open. The refusal, if the card refused."""
    if invoice["status"] != "open" or invoice["collection_method"] == "send_invoice" and not method:
        return None
    customer = world.find("customer", invoice["customer"])
    subscription = subscription_of(invoice) and world.find("subscription", subscription_of(invoice))
    method = method or subscription and subscription["default_payment_method"]
    method = method or customer["invoice_settings"]["default_payment_method"]
    invoice.update(attempt_count=invoice["attempt_count"] + 1, attempted=True)
    failure = payments.charge(world, invoice, customer, method)
    if failure:
        failed(world, invoice, customer, subscription)
        return failure
    settle(world, invoice, invoice["amount_due"])
    return None


def settle(world, invoice, paid=0):
    """Paid, or nothing was to be paid; its subscription lives again."""
    now = world.now(invoice)
    invoice.update(
        status="paid",
        amount_paid=paid,
        amount_remaining=0,
        next_payment_attempt=None,
        attempted=True,
        status_transitions={**invoice["status_transitions"], "paid_at": now},
    )
    world.happened("invoice.paid", invoice)
    world.happened("invoice.payment_succeeded", invoice)
    customer = world.find("customer", invoice["customer"])
    subscription = subscription_of(invoice) and world.find("subscription", subscription_of(invoice))
    others = [each for each in world.all("invoice", customer=customer["id"], status="open") if each["attempted"]]
    if not others:
        world.change(customer, "customer.updated", delinquent=False)
    of_it = [each for each in others if subscription and subscription_of(each) == subscription["id"]]
    if subscription and subscription["status"] in ("incomplete", "past_due", "unpaid") and not of_it:
        world.change(subscription, "customer.subscription.updated", status="active")


def failed(world, invoice, customer, subscription):
    """The next attempt, or what comes after the last."""
    now = world.now(invoice)
    tried = invoice["attempt_count"]
    first = invoice["billing_reason"] == "subscription_create"
    again = not first and invoice["auto_advance"] and tried <= len(world.retry_days)
    invoice["next_payment_attempt"] = now + world.retry_days[tried - 1] * DAY if again else None
    world.happened("invoice.payment_failed", invoice)
    world.happened("invoice.updated", invoice, {"attempt_count": tried - 1})
    world.change(customer, "customer.updated", delinquent=True)
    if subscription is None or first or subscription["status"] in ("canceled", "incomplete_expired"):
        return
    if again or not invoice["auto_advance"]:
        status = "unpaid" if subscription["status"] == "unpaid" else "past_due"
        world.change(subscription, "customer.subscription.updated", status=status)
    elif world.after_retries == "canceled":
        subscriptions.end(world, subscription, "payment_failed")
    else:
        world.change(subscription, "customer.subscription.updated", status=world.after_retries)


def day(timestamp):
    """As Stripe writes it on lines."""
    moment = datetime.datetime.fromtimestamp(timestamp, datetime.timezone.utc)
    return f"{moment.day:02} {moment:%b %Y}"


# What may be asked.


CREATE = (
    "customer subscription auto_advance collection_method days_until_due description due_date metadata currency "
    "pending_invoice_items_behavior"
)


@route("POST /v1/invoices", CREATE)
def create(world, params):
    customer = world.living("customer", params.get("customer") or missing("customer"), "customer")
    subscription = params.get("subscription") and world.find("subscription", params["subscription"], "subscription")
    now = world.now(customer)
    values = {
        name: params[name] for name in ("collection_method", "description", "due_date", "currency") if name in params
    }
    invoice = blank(world, customer, "manual", (now, now), subscription or None, **values)
    invoice["auto_advance"] = params.get("auto_advance", False)
    invoice["metadata"] = metadata({}, params.get("metadata"))
    if params.get("days_until_due"):
        invoice["due_date"] = now + params["days_until_due"] * DAY
    if params.get("pending_invoice_items_behavior") == "include" or subscription:
        invoice["lines"]["data"] += invoice_lines.pending(world, invoice, customer, subscription or None)
    if invoice["auto_advance"]:
        invoice["automatically_finalizes_at"] = now + HOUR
    total(invoice)
    world.keep(invoice)
    world.happened("invoice.created", invoice)
    return invoice


def missing(name):
    raise errors.missing(name)


def in_state(world, name, states, what):
    invoice = world.living("invoice", name, status=404)
    if invoice["status"] not in states:
        if invoice["status"] == "paid" and what == "pay":
            raise errors.invalid("Invoice is already paid")
        message = f"You can only {what} {' or '.join(states)} invoices. This invoice is {invoice['status']}."
        raise errors.invalid(message, None, "invoice_not_editable")
    return invoice


@route("POST /v1/invoices/{}", "auto_advance description metadata days_until_due due_date")
def update(world, params, name):
    invoice = world.living("invoice", name, status=404)
    values = {each: params[each] for each in ("auto_advance", "description", "due_date") if each in params}
    if "metadata" in params:
        values["metadata"] = metadata(invoice["metadata"], params["metadata"])
    world.change(invoice, "invoice.updated", **values)
    return invoice


@route("POST /v1/invoices/{}/finalize", "auto_advance")
def finalize_one(world, params, name):
    invoice = in_state(world, name, ("draft",), "finalize")
    if "auto_advance" in params:
        invoice["auto_advance"] = params["auto_advance"]
    finalize(world, invoice)
    return invoice


@route("POST /v1/invoices/{}/pay", "payment_method paid_out_of_band off_session")
def pay(world, params, name):
    invoice = in_state(world, name, ("open", "draft", "uncollectible"), "pay")
    if invoice["status"] == "draft":
        finalize(world, invoice)
    invoice["status"] = "open" if invoice["status"] == "uncollectible" else invoice["status"]
    if params.get("paid_out_of_band"):
        settle(world, invoice, invoice["amount_due"])
    elif failure := collect(world, invoice, params.get("payment_method")):
        raise failure
    return invoice


@route("POST /v1/invoices/{}/void")
def void(world, params, name):
    invoice = in_state(world, name, ("open", "uncollectible"), "void")
    leave(world, invoice, "void", "voided_at", "invoice.voided")
    return invoice


@route("POST /v1/invoices/{}/mark_uncollectible")
def mark_uncollectible(world, params, name):
    invoice = in_state(world, name, ("open",), "mark uncollectible")
    leave(world, invoice, "uncollectible", "marked_uncollectible_at", "invoice.marked_uncollectible")
    return invoice


def leave(world, invoice, status, transition, event):
    at = {**invoice["status_transitions"], transition: world.now(invoice)}
    world.change(invoice, event, status=status, status_transitions=at, next_payment_attempt=None)


@route("DELETE /v1/invoices/{}")
def delete(world, params, name):
    invoice = in_state(world, name, ("draft",), "delete")
    world.happened("invoice.deleted", invoice)
    invoice["deleted"] = True
    return invoice


@route("GET /v1/invoices/{}")
def retrieve(world, params, name):
    return world.living("invoice", name, status=404)


@route("GET /v1/invoices", "customer subscription status collection_method limit starting_after ending_before created")
def list_invoices(world, params):
    like = {name: params[name] for name in ("customer", "status", "collection_method") if name in params}
    of = params.get("subscription")
    return [each for each in world.all("invoice", **like) if of in (None, subscription_of(each))]


@route("GET /v1/invoices/{}/lines", "limit starting_after ending_before")
def list_lines(world, params, name):
    return world.living("invoice", name, status=404)["lines"]["data"][::-1]
