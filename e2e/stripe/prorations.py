"""What a change in the middle of a period costs: the rest of the old price is given back, the rest of the new one charged.

By the second and in whole cents: https://docs.stripe.com/billing/subscriptions/prorations
"""

from fractions import Fraction

import catalog
import errors
import invoice_lines
import invoices
import subscriptions
from world import metadata


def change(world, subscription, params):
    """`items`, `trial_end`, `billing_cycle_anchor` of an update."""
    now = params.get("proration_date") or world.now(subscription)
    behavior = params.get("proration_behavior", "create_prorations")
    old = [dict(each) for each in subscription["items"]["data"]]
    start, end = subscriptions.period(subscription)
    was_trial = subscription["status"] == "trialing"
    apply_items(world, subscription, params.get("items", []))
    recurring = subscription["items"]["data"][0]["price"]["recurring"]
    other_interval = interval(old[0]["price"]["recurring"]) != interval(recurring)
    if isinstance(params.get("trial_end"), int):
        return extend_trial(world, subscription, params["trial_end"], now)
    restart = params.get("trial_end") == "now" and was_trial
    restart = restart or other_interval or params.get("billing_cycle_anchor") == "now"
    if restart:
        if behavior != "none" and not was_trial:
            for item in old:
                line(world, subscription, item, now, (start, end), -1)
        subscription.update(status="active" if was_trial else subscription["status"], billing_cycle_anchor=now)
        if was_trial:
            subscription["trial_end"] = now
        subscriptions.set_period(subscription, now, subscriptions.next_end(subscription, now))
        invoice = invoices.of_subscription(world, subscription, "subscription_update", (start, now))
        pay_now(world, invoice)
    elif behavior != "none" and not was_trial:
        difference(world, subscription, old, now, (start, end))
        if behavior == "always_invoice":
            invoice = invoices.of_subscription(world, subscription, "subscription_update", pending_only=True)
            if invoice:
                pay_now(world, invoice)


def interval(recurring):
    return recurring["interval"], recurring["interval_count"]


def pay_now(world, invoice):
    invoices.finalize(world, invoice)
    invoices.collect(world, invoice)


def apply_items(world, subscription, given):
    items = subscription["items"]["data"]
    start, end = subscriptions.period(subscription)
    for number, each in enumerate(given):
        if "id" not in each:
            item = subscriptions.add_item(world, subscription, each)
            item["current_period_start"], item["current_period_end"] = start, end
            continue
        item = next((item for item in items if item["id"] == each["id"]), None)
        if item is None:
            raise errors.no_such("subscription item", each["id"], f"items[{number}][id]")
        if each.get("deleted"):
            items.remove(item)
            continue
        if each.get("price"):
            price = subscriptions.catalog_price(world, each)
            item.update(price=catalog.shown(price), plan=subscriptions.plan(price))
        price = item["price"]
        if "quantity" in each or price["recurring"]["usage_type"] == "metered":
            item["quantity"] = subscriptions.quantity(price, each)
        if "metadata" in each:
            item["metadata"] = metadata(item["metadata"], each["metadata"])
    if not items:
        raise errors.invalid("A subscription must have at least one item.", "items")
    if len({interval(each["price"]["recurring"]) for each in items}) > 1:
        raise errors.lacks("subscriptions whose items have several intervals")


def extend_trial(world, subscription, trial_end, now):
    if trial_end <= now:
        raise errors.invalid("Invalid timestamp: must be an integer Unix timestamp in the future.", "trial_end")
    subscription.update(status="trialing", trial_end=trial_end, billing_cycle_anchor=trial_end)
    subscription["trial_start"] = subscription.get("trial_start") or now
    world.announced.discard(subscription["id"])
    subscriptions.set_period(subscription, subscriptions.period(subscription)[0], trial_end)


def difference(world, subscription, old, now, whole):
    new = {each["id"]: each for each in subscription["items"]["data"]}
    changed = [each for each in old if not same(each, new.get(each["id"]))]
    for item in changed:
        line(world, subscription, item, now, whole, -1)
    before = {each["id"]: each for each in old}
    for item in new.values():
        if not same(item, before.get(item["id"])):
            line(world, subscription, item, now, whole, 1)


def line(world, subscription, item, now, whole, sign):
    """A pending item for the rest of the period; what is metered is paid by use and has no rest."""
    if item["price"]["recurring"]["usage_type"] == "metered":
        return
    start, end = whole
    full = catalog.cost(world.find("price", item["price"]["id"]), item["quantity"])
    amount = sign * rounded(Fraction(full * (end - now), end - start))
    word = "Unused time on" if sign < 0 else "Remaining time on"
    product = world.find("product", item["price"]["product"])["name"]
    invoice_lines.add_item(
        world,
        customer=subscription["customer"],
        amount=amount,
        currency=item["price"]["currency"],
        description=f"{word} {product} after {invoices.day(now)}",
        period={"start": now, "end": end},
        price=item["price"],
        quantity=item["quantity"],
        subscription=subscription,
        item=item["id"],
        proration=True,
    )


def same(item, other):
    return other is not None and (item["price"]["id"], item["quantity"]) == (other["price"]["id"], other["quantity"])


def credit_rest(world, subscription, now):
    for item in subscription["items"]["data"]:
        line(world, subscription, item, now, subscriptions.period(subscription), -1)


def rounded(amount):
    """Halves away from zero; the amount is never negative here."""
    return int(amount + Fraction(1, 2))
