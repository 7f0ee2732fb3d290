"""What the judges share: Stripe's own client, pointed at the stand-in, and the switches that only the stand-in has.

Settings come by environment: STRIPE_API_BASE.
"""

import json
import os
import time
import urllib.error
import urllib.request

import stripe

BASE = os.environ["STRIPE_API_BASE"]
KEY = "sk_test_standin"
stripe.api_base = BASE
stripe.api_key = KEY
stripe.max_network_retries = 0

DAY = 86_400


def client(key=KEY, **options):
    return stripe.StripeClient(key, base_addresses={"api": BASE}, **options).v1


def ask(method, path, body=None, headers=None):
    """(status, JSON or text, headers) of a bare request."""
    request = urllib.request.Request(BASE + path, data=body, headers=headers or {}, method=method)
    opener = urllib.request.build_opener(Stay)
    try:
        with opener.open(request, timeout=30) as answer:
            return answer.status, read(answer), answer.headers
    except urllib.error.HTTPError as error:
        return error.code, read(error), error.headers


class Stay(urllib.request.HTTPRedirectHandler):
    """Where it leads is what is looked at."""

    def redirect_request(self, *_):
        return None


def read(answer):
    text = answer.read().decode()
    return json.loads(text) if answer.headers.get_content_type() == "application/json" else text


def raw(method, path, form="", key=KEY, **headers):
    """A request to the API that no client would send."""
    named = {"Authorization": f"Bearer {key}", **{name.replace("_", "-"): value for name, value in headers.items()}}
    if method == "POST":
        return ask(method, path, form.encode(), {"Content-Type": "application/x-www-form-urlencoded", **named})
    return ask(method, path, None, named)


def does(what, **given):
    """`POST /_test/<what>`"""
    status, answer, _ = ask("POST", f"/_test/{what}", json.dumps(given).encode(), {"Content-Type": "application/json"})
    assert status == 200, (what, status, answer)
    return answer


def shows(what):
    status, answer, _ = ask("GET", f"/_test/{what}")
    assert status == 200, (what, status, answer)
    return answer


def refused(kind, call, *arguments, code=None, param=None, says=None, **named):
    """The error that the call must raise."""
    try:
        answer = call(*arguments, **named)
    except kind as error:
        assert code is None or error.code == code, (error.code, error)
        assert param is None or error.param == param, (error.param, error)
        assert says is None or says in str(error), error
        return error
    raise AssertionError(f"expected {kind.__name__}, but it succeeded: {answer}")


def shop(v1, clock=None, amount=149_900, **price):
    """A product, a flat price, and a customer (on a test clock that stands at `clock`, if given)."""
    product = v1.products.create({"name": "Business"})
    flat = {
        "product": product.id,
        "currency": "usd",
        "unit_amount": amount,
        "recurring": {"interval": "month"},
        **price,
    }
    made = v1.prices.create(flat)
    frozen = v1.test_helpers.test_clocks.create({"frozen_time": clock}) if clock else None
    further = {"test_clock": frozen.id} if frozen else {}
    customer = v1.customers.create({"email": "ada@engines.example", "name": "Ada", **further})
    return product, made, customer, frozen


def with_card(v1, customer, card="pm_card_visa"):
    attached = v1.payment_methods.attach(card, {"customer": customer.id})
    v1.customers.update(customer.id, {"invoice_settings": {"default_payment_method": attached.id}})
    return attached


def subscribe(v1, customer, *prices, **further):
    """`prices`: the flat ones once each, the metered ones as they are."""
    items = [{"price": price.id} for price in prices]
    return v1.subscriptions.create({"customer": customer.id, "items": items, **further})


def tell(*chapters):
    """Runs each chapter, and says which one failed and how long each took."""
    for chapter in chapters:
        begun = time.monotonic()
        try:
            chapter()
        except BaseException:
            print(f"FAILED {chapter.__module__}.{chapter.__name__}", flush=True)
            raise
        print(f"{chapter.__name__} {time.monotonic() - begun:.2f} s", flush=True)
