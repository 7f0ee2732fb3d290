"""Billing meters, their events and sums (https://docs.stripe.com/api/billing/meter)."""

from decimal import Decimal, InvalidOperation

import errors
from routing import route

DAY = 86_400


CREATE = "customer_mapping default_aggregation display_name event_name event_time_window value_settings"


@route("POST /v1/billing/meters", CREATE)
def create(world, params):
    if any(each["event_name"] == params["event_name"] for each in world.all("billing.meter", status="active")):
        message = f"An active meter with the event name {params['event_name']} already exists."
        raise errors.invalid(message, "event_name")
    meter = world.make(
        "billing.meter",
        "mtr_",
        customer_mapping=params.get("customer_mapping", {"event_payload_key": "stripe_customer_id", "type": "by_id"}),
        default_aggregation=params["default_aggregation"],
        display_name=params["display_name"],
        event_name=params["event_name"],
        event_time_window=params.get("event_time_window"),
        status="active",
        status_transitions={"deactivated_at": None},
        updated=world.now(),
        value_settings=params.get("value_settings", {"event_payload_key": "value"}),
    )
    world.happened("billing.meter.created", meter)
    return meter


@route("POST /v1/billing/meters/{}", "display_name")
def update(world, params, name):
    meter = world.find("billing.meter", name, status=404)
    world.change(meter, "billing.meter.updated", **params)
    return meter


@route("POST /v1/billing/meters/{}/deactivate")
def deactivate(world, params, name):
    meter = world.find("billing.meter", name, status=404)
    at = {"deactivated_at": world.now()}
    world.change(meter, "billing.meter.deactivated", status="inactive", status_transitions=at)
    return meter


@route("POST /v1/billing/meters/{}/reactivate")
def reactivate(world, params, name):
    meter = world.find("billing.meter", name, status=404)
    world.change(meter, "billing.meter.reactivated", status="active", status_transitions={"deactivated_at": None})
    return meter


@route("GET /v1/billing/meters/{}")
def retrieve(world, params, name):
    return world.find("billing.meter", name, status=404)


@route("GET /v1/billing/meters", "status limit starting_after ending_before")
def list_meters(world, params):
    return [each for each in world.all("billing.meter") if params.get("status") in (None, each["status"])]


@route("POST /v1/billing/meter_events", "event_name identifier payload timestamp")
def create_event(world, params):
    meter = next(iter(world.all("billing.meter", event_name=params["event_name"])), None)
    if meter is None:
        message = f"No active meter found for event name {params['event_name']}."
        raise errors.invalid(message, "event_name", "resource_missing")
    if meter["status"] != "active":
        message = f"The meter for event name {params['event_name']} is inactive."
        raise errors.invalid(message, "event_name", "archived_meter")
    name = meter["customer_mapping"]["event_payload_key"]
    customer = world.living("customer", payload_value(params, name), f"payload[{name}]")
    if meter["default_aggregation"]["formula"] != "count":
        value_of(meter, params)
    now = world.now(customer)
    timestamp = params.get("timestamp", now)
    if timestamp < now - 35 * DAY:
        raise errors.invalid(
            "The timestamp is more than 35 days in the past.", "timestamp", "timestamp_too_far_in_past"
        )
    if timestamp > now + 300:
        raise errors.invalid("The timestamp is too far in the future.", "timestamp", "timestamp_in_future")
    identifier = params.get("identifier") or world.id("mev_")
    events = world.things.setdefault("billing.meter_event", {})
    if identifier in events:
        message = f"An event already exists with identifier {identifier}."
        raise errors.invalid(message, "identifier", "duplicate_meter_event")
    event = {
        "object": "billing.meter_event",
        "created": now,
        "event_name": params["event_name"],
        "identifier": identifier,
        "livemode": world.livemode,
        "payload": params["payload"],
        "timestamp": timestamp,
    }
    events[identifier] = event
    return event


def payload_value(params, name):
    if name not in params["payload"]:
        raise errors.missing(f"payload[{name}]")
    return params["payload"][name]


def value_of(meter, params):
    name = meter["value_settings"]["event_payload_key"]
    try:
        value = Decimal(payload_value(params, name))
    except InvalidOperation:
        raise errors.invalid(f"Invalid value: {params['payload'][name]}", f"payload[{name}]") from None
    return value


@route("POST /v1/billing/meter_event_adjustments", "cancel event_name type")
def adjust(world, params):
    identifier = params.get("cancel", {}).get("identifier")
    event = world.things.get("billing.meter_event", {}).get(identifier)
    if event is None or event["event_name"] != params["event_name"]:
        raise errors.no_such("meter event", identifier, "cancel[identifier]")
    event["cancelled"] = True
    return {
        "object": "billing.meter_event_adjustment",
        "cancel": {"identifier": identifier},
        "event_name": params["event_name"],
        "livemode": world.livemode,
        "status": "pending",
        "type": "cancel",
    }


def usage(world, meter, customer, start, end):
    """The aggregate of a customer's events from `start` until before `end`."""
    key = meter["customer_mapping"]["event_payload_key"]
    events = [
        each
        for each in world.things.get("billing.meter_event", {}).values()
        if each["event_name"] == meter["event_name"]
        and each["payload"].get(key) == customer
        and start <= each["timestamp"] < end
        and not each.get("cancelled")
    ]
    formula = meter["default_aggregation"]["formula"]
    if formula == "count":
        return Decimal(len(events))
    values = [value_of(meter, each) for each in sorted(events, key=lambda each: each["timestamp"])]
    if formula == "last":
        return values[-1] if values else Decimal(0)
    return sum(values, Decimal(0))


@route(
    "GET /v1/billing/meters/{}/event_summaries",
    "customer start_time end_time value_grouping_window limit starting_after ending_before",
)
def summaries(world, params, name):
    meter = world.find("billing.meter", name, status=404)
    world.living("customer", params["customer"], "customer")
    start, end = params["start_time"], params["end_time"]
    window = {"hour": 3_600, "day": DAY}.get(params.get("value_grouping_window"))
    for place in ("start_time", "end_time"):
        if params[place] % (window or 60):
            raise errors.invalid(f"The {place} must align with the window's boundaries.", place)
    step = window or end - start
    found = []
    for begin in range(start, end, step):
        value = usage(world, meter, params["customer"], begin, min(begin + step, end))
        if value or not window:
            found.append(
                {
                    "object": "billing.meter_event_summary",
                    "id": world.id("mtrusg_"),
                    "aggregated_value": float(value),
                    "start_time": begin,
                    "end_time": min(begin + step, end),
                    "livemode": world.livemode,
                    "meter": meter["id"],
                }
            )
    return found
