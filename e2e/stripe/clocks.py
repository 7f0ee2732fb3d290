"""Time passes: for all, or for a test clock and what hangs on it (https://docs.stripe.com/billing/testing/test-clocks).

Whatever falls due on the way happens at its own moment, in order.
"""

import re

import checkout
import errors
import invoices
import subscriptions
from routing import route

DAY = 86_400
HOUR = 3_600
# An ordinary run of months; more is a loop that does not end.
MOST = 10_000
# The fields that hold Unix time.
MOMENT = re.compile(
    r"created|updated|start|end|date|timestamp|due_by|start_date|due_date|next_payment_attempt|billing_cycle_anchor"
    r"|\w+_at|\w+_start|\w+_end"
)


def due(world, clock):
    """(when, what) of everything that waits."""
    found = []
    for each in world.all("subscription", test_clock=clock):
        found += of_subscription(world, each)
    for each in world.all("invoice", test_clock=clock):
        if each["status"] == "draft" and each["auto_advance"] and each.get("automatically_finalizes_at"):
            found.append((each["automatically_finalizes_at"], lambda each=each: finalize(world, each)))
        if each["status"] == "open" and each.get("next_payment_attempt"):
            found.append((each["next_payment_attempt"], lambda each=each: invoices.collect(world, each)))
    if clock is None:
        for each in world.all("checkout.session", status="open"):
            found.append((each["expires_at"], lambda each=each: checkout.lapse(world, each)))
    return found


def of_subscription(world, each):
    status = each["status"]
    if status == "incomplete":
        return [(each["created"] + 23 * HOUR, lambda: lapse(world, each))]
    if status in subscriptions.OVER:
        return []
    found = []
    start, end = subscriptions.period(each)
    if status == "trialing" and each["id"] not in world.announced:
        found.append((each["trial_end"] - 3 * DAY, lambda: subscriptions.announce_trial_end(world, each)))
    cancel_at = each.get("cancel_at")
    if cancel_at and cancel_at <= end:
        found.append((cancel_at, lambda: subscriptions.end(world, each, "cancellation_requested", cancel_at)))
    else:
        found.append((end, lambda: subscriptions.renew(world, each)))
    return found


def lapse(world, subscription):
    invoice = subscription.get("latest_invoice") and world.find("invoice", subscription["latest_invoice"])
    if invoice and invoice["status"] == "open":
        invoices.leave(world, invoice, "void", "voided_at", "invoice.voided")
    world.change(
        subscription, "customer.subscription.updated", status="incomplete_expired", ended_at=world.now(subscription)
    )


def finalize(world, invoice):
    invoices.finalize(world, invoice)
    invoices.collect(world, invoice)


def advance(world, to, clock=None):
    """Lets everything happen that is due until then."""
    begun = world.now({"test_clock": clock})
    for _ in range(MOST):
        waiting = [each for each in due(world, clock) if each[0] <= to]
        if not waiting:
            break
        when, act = min(waiting, key=lambda each: each[0])
        begun = max(begun, when)
        world.set_time(begun, clock)
        act()
    else:
        raise RuntimeError("what is due does not come to an end")
    world.set_time(to, clock)


def tick(world):
    """Real time has passed."""
    now = world.now()
    if world.frozen is None and any(when <= now for when, _ in due(world, None)):
        offset = world.offset
        advance(world, now)
        world.offset = offset


def pass_by(world, seconds):
    """So much time passes for whatever has no test clock, and yet the clock says afterwards what it said before: all that
    is known here has become that much older. For who lives by another clock, which cannot be moved."""
    now, frozen, offset = world.now(), world.frozen, world.offset
    advance(world, now + seconds)
    world.frozen, world.offset = frozen, offset
    for kind, things in world.things.items():
        # An event reads as it was sent.
        if kind not in ("event", "test_helpers.test_clock"):
            for each in things.values():
                if not each.get("test_clock"):
                    make_older(each, seconds)


def make_older(value, seconds):
    if isinstance(value, list):
        for each in value:
            make_older(each, seconds)
    elif isinstance(value, dict):
        for name, each in value.items():
            if MOMENT.fullmatch(name) and isinstance(each, int) and not isinstance(each, bool):
                value[name] = each - seconds
            else:
                make_older(each, seconds)


# Test clocks.


@route("POST /v1/test_helpers/test_clocks", "frozen_time name")
def create(world, params):
    return world.make(
        "test_helpers.test_clock",
        "clock_1",
        created=world.now(),
        deletes_after=world.now() + 30 * DAY,
        frozen_time=params["frozen_time"],
        name=params.get("name"),
        status="ready",
        status_details={},
    )


@route("POST /v1/test_helpers/test_clocks/{}/advance", "frozen_time")
def advance_clock(world, params, name):
    clock = world.living("test_helpers.test_clock", name, "test_clock", 404)
    to = params["frozen_time"]
    if to <= clock["frozen_time"]:
        raise errors.invalid("The frozen time must be later than the current frozen time.", "frozen_time")
    advance(world, to, name)
    details = {"advancing": {"target_frozen_time": to}}
    world.happened("test_helpers.test_clock.ready", clock)
    # As Stripe answers; whoever asks next finds it ready.
    return {**clock, "status": "advancing", "status_details": details}


@route("GET /v1/test_helpers/test_clocks/{}")
def retrieve(world, params, name):
    return world.living("test_helpers.test_clock", name, "test_clock", 404)


@route("GET /v1/test_helpers/test_clocks", "limit starting_after ending_before")
def list_clocks(world, params):
    return world.all("test_helpers.test_clock")


@route("DELETE /v1/test_helpers/test_clocks/{}")
def delete(world, params, name):
    clock = world.living("test_helpers.test_clock", name, "test_clock", 404)
    for kind in ("customer", "subscription", "invoice"):
        for each in world.all(kind, test_clock=name):
            each["deleted"] = True
    clock["deleted"] = True
    return clock
