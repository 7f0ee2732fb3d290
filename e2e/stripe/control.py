"""What only a test may do, all under `/_test/`: bodies and answers are JSON, and no key is asked for.

Stripe has none of it; e2e/stripe/README.md lists it.
"""

import copy
import time

import checkout
import clocks
import customers
import delivery
import events
import invoices
import payments
import shapes

CONDUCTS = {"pays", "disputed", *payments.WORDS}


def answer(standin, method, path, given):
    """(status, JSON) of one request."""
    parts = path.strip("/").split("/")[1:]
    name = f"{method} {'/'.join('*' if number % 2 and len(parts) > 1 else part for number, part in enumerate(parts))}"
    act = ACTS.get(name)
    if act is None:
        return 404, {"error": f"there is no {name}", "there is": sorted(ACTS)}
    named = [part for number, part in enumerate(parts) if number % 2 and len(parts) > 1]
    try:
        return 200, act(standin, given, *named)
    except (KeyError, TypeError, ValueError) as error:
        return 400, {"error": f"{type(error).__name__}: {error}"}


def set_clock(standin, given):
    """`{"to": unix}`, `{"advance": seconds}` or `{"freeze": unix}`; what falls due on the way happens."""
    world = standin.world
    if "freeze" in given:
        world.frozen = int(given["freeze"])
    else:
        to = int(given["to"]) if "to" in given else world.now() + int(given["advance"])
        clocks.advance(world, to)
    return {"now": world.now()}


def pass_time(standin, given):
    """`{"seconds"}`: so much time passes, and everything here is that much older afterwards; the clock stays."""
    clocks.pass_by(standin.world, int(given["seconds"]))
    return {"now": standin.world.now()}


def set_settings(standin, given):
    """`after_retries` (unpaid, past_due, canceled), `retry_days`: what Stripe's dashboard sets."""
    world = standin.world
    if given.get("after_retries", "unpaid") not in ("unpaid", "past_due", "canceled"):
        raise ValueError("after_retries is unpaid, past_due or canceled")
    world.after_retries = given.get("after_retries", world.after_retries)
    world.retry_days = given.get("retry_days", world.retry_days)
    return {"after_retries": world.after_retries, "retry_days": world.retry_days}


def set_webhook(standin, given):
    """`url`, `secret`, `enabled_events` ["*"]: one endpoint, as the API makes them."""
    world = standin.world
    endpoint = events.make(world, given["url"], given.get("enabled_events", ["*"]), given.get("secret"))
    return {"id": endpoint["id"], "secret": world.secrets[endpoint["id"]]}


def pay(standin, given, name):
    """`card` [4242…], `email`, `name`, `line1`, `city`, `postal_code`, `country`, `tax_id`: what is typed into Checkout."""
    session = standin.world.find("checkout.session", name)
    card = given.get("card", "4242424242424242")
    return checkout.pay(standin.world, session, card, given)


def set_card(standin, given, name):
    """`conduct` of all the customer's cards: pays, fails, insufficient_funds, expired, disputed."""
    if given["conduct"] not in CONDUCTS:
        raise ValueError(f"conduct is one of {', '.join(sorted(CONDUCTS))}")
    cards = standin.world.all("payment_method", customer=name)
    for card in cards:
        standin.world.conduct[card["id"]] = given["conduct"]
    return {"cards": [card["id"] for card in cards]}


def new_card(standin, given, name):
    """`card`: another one, which is the default from now on, as the portal sets it."""
    return customers.use_card(standin.world, standin.world.living("customer", name), given["card"])


def collect(standin, given, name):
    """Tries to charge an open invoice now, as a retry does when it is due."""
    invoice = standin.world.living("invoice", name)
    if invoice["status"] == "draft":
        invoices.finalize(standin.world, invoice)
    refusal = invoices.collect(standin.world, invoice)
    return {"status": invoice["status"], "refusal": refusal and refusal.body["error"]["message"]}


def dispute(standin, given, name):
    """`reason` [fraudulent]: the holder of the card goes to their bank."""
    return payments.dispute(standin.world, standin.world.find("charge", name), given.get("reason", "fraudulent"))


def close_dispute(standin, given, name):
    """`status`: won or lost."""
    thing = standin.world.find("dispute", name)
    payments.close_dispute(standin.world, thing, given["status"])
    return thing


# Webhooks.


def hold(standin, given):
    standin.post.hold()
    return {}


def release(standin, given):
    """`order`: made, reversed or a list of events' ids (the others are dropped); `times`: how often each is sent."""
    standin.post.release(given.get("order", "made"), int(given.get("times", 1)))
    return {}


def deliveries(standin, given):
    return {"deliveries": [each.told() for each in standin.post.log]}


def make_event(standin, given):
    """`type` and `object` (an id of an object, or the object): an event that nothing caused. `livemode`, `created` as they
    shall read. It is sent as any other unless `deliver` is false."""
    world = standin.world
    thing = given["object"]
    thing = copy.deepcopy(world.anything(thing) if isinstance(thing, str) else thing)
    if thing is None:
        raise ValueError(f"there is no {given['object']}")
    if "livemode" in given and "livemode" in thing:
        thing["livemode"] = given["livemode"]
    thing.update(given.get("with", {}))
    event = world.make(
        "event",
        "evt_1",
        type=given["type"],
        data={"object": shapes.complete(thing)},
        api_version=given.get("api_version", events.schema.VERSION),
        created=given.get("created", world.now()),
        livemode=given.get("livemode", world.livemode),
        pending_webhooks=0,
        request={"id": None, "idempotency_key": None},
    )
    if given.get("deliver", True):
        standin.post.happened(event)
    return event


def deliver(standin, given, name):
    """Sends one event at once, `times` over, past the queue, to every endpoint, and gives the statuses. It can be forged:
    signed with another `secret`, `age` seconds ago, or with this `signature`; `replace` {from: to} alters what is signed."""
    world = standin.world
    event = world.find("event", name)
    body = delivery.body_of(event)
    timestamp = int(time.time() - given.get("age", 0))
    statuses = []
    for endpoint in world.all("webhook_endpoint", status="enabled"):
        secret = given.get("secret", world.secrets[endpoint["id"]])
        signature = given.get("signature", delivery.sign(body, secret, timestamp))
        sent = body
        for old, new in given.get("replace", {}).items():
            if old.encode() not in sent:
                raise ValueError(f"the body has no {old}")
            sent = sent.replace(old.encode(), new.encode())
        for _ in range(int(given.get("times", 1))):
            statuses.append((endpoint["url"], sent, signature))
    # Whoever is told may ask back: not under the lock.
    return lambda: {"statuses": [delivery.post(*each) for each in statuses]}


def settle(standin, given):
    """Waits until every webhook was taken; `within` seconds [20]."""
    return lambda: {"settled": standin.post.settled(given.get("within", 20))}


# The API itself.


def outage(standin, given):
    """The next `requests` answer `status` [503], or break off with `status` 0; `after`: they take effect all the same."""
    requests, status = int(given["requests"]), int(given.get("status", 503))
    standin.outage = {"requests": requests, "status": status, "after": given.get("after", False)}
    return {}


def requests(standin, given):
    """Every request to the API: method, path, parameters, idempotency key, status."""
    return {"requests": standin.requests}


def objects(standin, given, kind):
    """Every object of this kind."""
    return {"data": [shapes.complete(each) for each in standin.world.all(kind)]}


def state(standin, given):
    world = standin.world
    counted = {kind: len(things) for kind, things in world.things.items()}
    return {"now": world.now(), "livemode": world.livemode, "objects": counted}


ACTS = {
    "GET state": state,
    "GET requests": requests,
    "GET objects/*": objects,
    "POST clock": set_clock,
    "POST pass": pass_time,
    "POST settings": set_settings,
    "POST outage": outage,
    "POST checkout/*/pay": pay,
    "POST customers/*/conduct": set_card,
    "POST customers/*/card": new_card,
    "POST invoices/*/collect": collect,
    "POST charges/*/dispute": dispute,
    "POST disputes/*/close": close_dispute,
    "POST webhook": set_webhook,
    "GET deliveries": deliveries,
    "POST hold": hold,
    "POST release": release,
    "POST settle": settle,
    "POST events": make_event,
    "POST events/*/deliver": deliver,
}
