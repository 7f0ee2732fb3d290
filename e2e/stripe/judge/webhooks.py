"""Webhooks, judged by the package's own `Webhook.construct_event`: signed over the raw body, refused when altered or old,
sent again until they are taken, and in the order that a test wants.
"""

import http.server
import threading
import time

import stripe
from stand import client, does, refused, shows, tell

v1 = client()
SECRET = "whsec_judge"


class Ear:
    """Hears what is sent; answers with the statuses that it was given, then 200."""

    def __init__(self):
        self.heard, self.answers = [], []
        ear = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                ear.heard.append((body, self.headers["Stripe-Signature"]))
                self.send_response(ear.answers.pop(0) if ear.answers else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{server.server_port}/hook"

    def events(self):
        return [stripe.Webhook.construct_event(body, signature, SECRET) for body, signature in self.heard]

    def kinds(self):
        return [event.type for event in self.events()]


ear = Ear()
does("webhook", url=ear.url, secret=SECRET, enabled_events=["customer.*", "product.created"])


def settle():
    assert does("settle", within=20)["settled"], shows("deliveries")


def anew():
    settle()
    ear.heard.clear()


def signed_and_verified():
    anew()
    customer = v1.customers.create({"email": "ada@engines.example", "name": "Ada Žižková <&>"})
    settle()
    ((body, signature),) = ear.heard
    event = stripe.Webhook.construct_event(body, signature, SECRET)
    assert (event.type, event.data.object.id, event.livemode) == ("customer.created", customer.id, False)
    assert event.data.object.name == "Ada Žižková <&>"
    assert event.id == v1.events.retrieve(event.id).id and event.api_version == stripe.api_version
    wrong = stripe.SignatureVerificationError
    verify = stripe.Webhook.construct_event
    refused(wrong, verify, body.replace(b"ada@", b"eve@"), signature, SECRET)
    refused(wrong, verify, body, signature, "whsec_other")
    refused(wrong, verify, body, "", SECRET)


def signed_as_stripe_signs():
    """Stripe's package, given the same bytes, second and secret, makes the same signature."""
    anew()
    v1.customers.create({})
    settle()
    ((body, signature),) = ear.heard
    timestamp = int(signature.split(",")[0].removeprefix("t="))
    made = stripe.WebhookSignature.generate_signature_header(body.decode(), SECRET, timestamp)
    assert made == signature
    assert abs(timestamp - time.time()) < 60, "the real time, whatever the clock of the tests says"


def old_and_forged():
    anew()
    v1.customers.create({})
    settle()
    event = ear.events()[0].id
    wrong = stripe.SignatureVerificationError
    forged = [{"age": 301}, {"secret": "whsec_other"}, {"replace": {"customer.created": "customer.deleted"}}]
    for how in forged:
        ear.heard.clear()
        assert does(f"events/{event}/deliver", **how) == {"statuses": [200]}
        ((body, signature),) = ear.heard
        refused(wrong, stripe.Webhook.construct_event, body, signature, SECRET)
    ear.heard.clear()
    does(f"events/{event}/deliver", age=290, times=3)
    assert ear.kinds() == ["customer.created"] * 3


def again_until_taken():
    anew()
    ear.answers[:] = [500, 302, 404]
    v1.customers.create({})
    settle()
    assert ear.kinds() == ["customer.created"] * 4
    assert len({body for body, _ in ear.heard}) == 1, "the same bytes each time"
    assert shows("deliveries")["deliveries"][-1]["attempts"] == [500, 302, 404, 200]
    event = v1.events.list({"limit": 1}).data[0]
    assert event.pending_webhooks == 0


def held_turned_round_and_doubled():
    anew()
    does("hold")
    customer = v1.customers.create({})
    v1.customers.update(customer.id, {"name": "Ada"})
    v1.customers.delete(customer.id)
    assert not does("settle", within=0)["settled"] and not ear.heard
    assert v1.events.list({"limit": 1}).data[0].pending_webhooks == 1
    does("release", order="reversed", times=2)
    settle()
    kinds = ["customer.deleted", "customer.updated", "customer.created"]
    assert ear.kinds() == [kind for kind in kinds for _ in range(2)]
    assert ear.events()[2].data.previous_attributes.to_dict() == {"name": None}


def only_what_was_asked_for():
    anew()
    v1.prices.create({"currency": "usd", "unit_amount": 1, "product_data": {"name": "x"}})
    settle()
    assert ear.kinds() == ["product.created"]
    ear.heard.clear()
    endpoint = v1.webhook_endpoints.create({"url": ear.url, "enabled_events": ["invoice.paid"]})
    assert endpoint.secret.startswith("whsec_")
    assert "secret" not in v1.webhook_endpoints.retrieve(endpoint.id)
    assert v1.webhook_endpoints.delete(endpoint.id).deleted


def of_the_other_mode():
    anew()
    customer = v1.customers.create({})
    settle()
    ear.heard.clear()
    does("events", type="customer.updated", object=customer.id, livemode=True)
    settle()
    assert [event.livemode for event in ear.events()] == [True]


if __name__ == "__main__":
    tell(
        signed_and_verified,
        signed_as_stripe_signs,
        old_and_forged,
        again_until_taken,
        held_turned_round_and_doubled,
        only_what_was_asked_for,
        of_the_other_mode,
    )
