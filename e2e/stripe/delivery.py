"""Webhooks on their way: signed as Stripe signs, sent again until they are taken, and held, doubled or turned round where a
test says so (https://docs.stripe.com/webhooks).
"""

import hashlib
import hmac
import http.client
import json
import threading
import time
import urllib.parse

import events
import shapes

WITHIN = 10
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0


def sign(body, secret, timestamp):
    """The `Stripe-Signature` of these bytes."""
    mac = hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256)
    return f"t={timestamp},v1={mac.hexdigest()}"


def body_of(event):
    """What is sent, byte for byte the same each time."""
    return json.dumps(shapes.complete(event), indent=2, ensure_ascii=False).encode()


def post(url, body, signature):
    """The status, or 0 if nothing answered."""
    parts = urllib.parse.urlsplit(url)
    connect = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = connect(parts.netloc, timeout=WITHIN)
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
        "Stripe-Signature": signature,
    }
    try:
        connection.request("POST", parts.path + (f"?{parts.query}" if parts.query else ""), body, headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


class Delivery:
    def __init__(self, event, endpoint):
        self.event, self.endpoint = event, endpoint
        self.attempts = []
        self.done = False
        self.at = 0.0

    def told(self):
        return {
            "event": self.event["id"],
            "type": self.event["type"],
            "url": self.endpoint["url"],
            "attempts": self.attempts,
            "delivered": self.done,
        }


class Post:
    """One thread that sends, one event after the other."""

    def __init__(self, world):
        self.world = world
        self.queue = []
        self.log = []
        self.held = False
        self.busy = False
        self.changed = threading.Condition()
        world.listeners.append(self.happened)
        threading.Thread(target=self.run, daemon=True).start()

    def happened(self, event):
        found = [Delivery(event, endpoint) for endpoint in events.hearers(self.world, event)]
        event["pending_webhooks"] = len(found)
        with self.changed:
            self.queue += found
            self.log += found
            self.changed.notify_all()

    def run(self):
        while True:
            with self.changed:
                delivery = self.next()
                if delivery is None:
                    pause = min((each.at for each in self.queue), default=None)
                    wait = None if self.held or pause is None else max(0.0, pause - time.monotonic())
                    self.changed.wait(wait)
                    continue
                self.queue.remove(delivery)
                self.busy = True
            self.send(delivery)
            with self.changed:
                self.busy = False
                self.changed.notify_all()

    def next(self):
        if self.held:
            return None
        now = time.monotonic()
        return next((each for each in self.queue if each.at <= now), None)

    def send(self, delivery):
        status = self.attempt(delivery.event, delivery.endpoint)
        delivery.attempts.append(status)
        if 200 <= status < 300:
            # One that is sent twice is done once.
            first = not delivery.done
            delivery.done = True
            if first and delivery.event["pending_webhooks"]:
                delivery.event["pending_webhooks"] -= 1
        elif not delivery.endpoint.get("deleted"):
            pause = min(FIRST_PAUSE * 2 ** (len(delivery.attempts) - 1), LONGEST_PAUSE)
            delivery.at = time.monotonic() + pause
            with self.changed:
                self.queue.append(delivery)

    def attempt(self, event, endpoint):
        body = body_of(event)
        secret = self.world.secrets[endpoint["id"]]
        return post(endpoint["url"], body, sign(body, secret, int(time.time())))

    # What a test may do.

    def hold(self):
        with self.changed:
            self.held = True

    def release(self, order="made", times=1):
        """`order`: made, reversed, or the ids of events (those not named are dropped)."""
        with self.changed:
            if order == "reversed":
                self.queue.reverse()
            elif order != "made":
                self.queue = [each for name in order for each in self.queue if each.event["id"] == name]
            self.queue = [each for each in self.queue for _ in range(times)]
            self.held = False
            self.changed.notify_all()

    def settled(self, within):
        """Whether everything was taken within so many seconds."""
        with self.changed:
            return self.changed.wait_for(lambda: not self.queue and not self.busy, within)
