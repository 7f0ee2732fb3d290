"""All that the stand-in knows: its objects, its time, and what happened. It is in memory and ends with the process."""

import base64
import copy
import hashlib
import time

import errors
import shapes
from schema import VERSION


class World:
    def __init__(self, livemode=False, now=None):
        self.livemode = livemode
        self.things = {}
        self.frozen = now
        self.offset = 0
        self.made = 0
        # (object, field) to a function of the object: what `expand` shows and an object does not hold.
        self.includable = {}
        # What wants to hear of events: functions of the event.
        self.listeners = []
        # What is being answered: its id and idempotency key go into events.
        self.request = {"id": None, "idempotency_key": None}
        # What becomes of a subscription whose invoice failed to the last: Stripe's setting in its dashboard.
        self.after_retries = "unpaid"
        self.retry_days = [3, 5, 7]
        # What each payment method does when it is charged: pays, fails, declined, disputed.
        self.conduct = {}
        # The signing secret of each webhook endpoint.
        self.secrets = {}
        # What each checkout session sells, and what its subscription is to be.
        self.checkouts = {}
        # Subscriptions whose trial's end was announced.
        self.announced = set()
        # Where its pages are: `http://127.0.0.1:PORT`.
        self.url = ""

    def id(self, prefix, length=24):
        """Opaque, and the same in every run."""
        self.made += 1
        digest = hashlib.sha256(f"{prefix} {self.made}".encode()).digest()
        return prefix + base64.b32encode(digest).decode().replace("=", "")[:length]

    # Time.

    def now(self, thing=None):
        """Of the test clock that `thing` hangs on, or else of everybody."""
        clock = thing and thing.get("test_clock")
        if clock:
            return self.find("test_helpers.test_clock", clock)["frozen_time"]
        return self.frozen if self.frozen is not None else int(time.time()) + self.offset

    def set_time(self, to, clock=None):
        if clock:
            self.find("test_helpers.test_clock", clock)["frozen_time"] = to
        elif self.frozen is not None:
            self.frozen = to
        else:
            self.offset = to - int(time.time())

    # Objects.

    def make(self, kind, prefix, **values):
        thing = {"object": kind, "id": self.id(prefix), **values}
        return self.keep(thing)

    def keep(self, thing):
        names = shapes.hints_of(shapes.class_of(thing["object"]))
        if "livemode" in names:
            thing.setdefault("livemode", self.livemode)
        if "created" in names:
            thing.setdefault("created", self.now(thing))
        self.things.setdefault(thing["object"], {})[thing["id"]] = thing
        return thing

    def find(self, kind, name, param="id", status=400):
        thing = self.things.get(kind, {}).get(name)
        if thing is None:
            shown = kind.rsplit(".", 1)[-1].replace("_", " ").replace("test clock", "testclock")
            raise errors.no_such(shown, name, param, status)
        return thing

    def living(self, kind, name, param="id", status=400):
        """One that was not deleted."""
        thing = self.find(kind, name, param, status)
        if thing.get("deleted"):
            raise errors.no_such(kind, name, param, status)
        return thing

    def all(self, kind, **like):
        """The living, the oldest first."""
        found = [thing for thing in self.things.get(kind, {}).values() if not thing.get("deleted")]
        return [thing for thing in found if all(thing.get(name) == value for name, value in like.items())]

    def anything(self, name):
        """Whatever has this id."""
        for things in self.things.values():
            if name in things:
                return things[name]
        return None

    # Events.

    def happened(self, kind, thing, before=None):
        """An event of this kind about the object as it is now; `before` are the values that it had."""
        data = {"object": shapes.complete(copy.deepcopy(thing))}
        if before is not None:
            data["previous_attributes"] = copy.deepcopy(before)
        event = self.make(
            "event",
            "evt_1",
            type=kind,
            data=data,
            api_version=VERSION,
            created=self.now(thing),
            pending_webhooks=0,
            request=dict(self.request),
        )
        for listener in self.listeners:
            listener(event)
        return event

    def change(self, thing, kind=None, **values):
        """Sets values and says so, if any is another than before."""
        before = {name: thing.get(name) for name, value in values.items() if thing.get(name) != value}
        thing.update(values)
        if before and kind:
            self.happened(kind, thing, before)
        return bool(before)


def metadata(old, new):
    """Merged as Stripe merges: an empty value removes its name, an empty string removes all."""
    if new == "":
        return {}
    merged = {**(old or {}), **(new or {})}
    return {name: value for name, value in merged.items() if value != ""}


def listed(things, url):
    """A whole list, as one that an object holds."""
    return {"object": "list", "data": things, "has_more": False, "url": url}
