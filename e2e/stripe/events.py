"""Events and the endpoints that hear of them (https://docs.stripe.com/api/events)."""

import re

import errors
import schema
from routing import route
from world import metadata


@route("GET /v1/events/{}")
def retrieve(world, params, name):
    return world.find("event", name, status=404)


@route("GET /v1/events", "type types delivery_success limit starting_after ending_before created")
def list_events(world, params):
    def wanted(event):
        kinds = params.get("types") or ([params["type"]] if "type" in params else None)
        named = kinds is None or any(matches(kind, event["type"]) for kind in kinds)
        delivered = event["pending_webhooks"] == 0
        return named and params.get("delivery_success") in (None, delivered)

    return [each for each in world.all("event") if wanted(each)]


def matches(pattern, kind):
    """`invoice.*` is every event about invoices."""
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), kind) is not None


@route("POST /v1/webhook_endpoints", "url enabled_events description metadata api_version")
def create(world, params):
    if not re.match(r"https?://", params["url"]):
        raise errors.invalid("Invalid URL: An explicit scheme (such as https) must be provided.", "url", "url_invalid")
    if params.get("api_version", schema.VERSION) != schema.VERSION:
        raise errors.lacks(f"events in version {params['api_version']}")
    endpoint = make(world, params["url"], params["enabled_events"])
    endpoint["description"] = params.get("description") or None
    endpoint["metadata"] = metadata({}, params.get("metadata"))
    return {**endpoint, "secret": world.secrets[endpoint["id"]]}


def make(world, url, enabled_events, secret=None):
    endpoint = world.make(
        "webhook_endpoint",
        "we_1",
        api_version=schema.VERSION,
        enabled_events=enabled_events,
        metadata={},
        status="enabled",
        url=url,
    )
    world.secrets[endpoint["id"]] = secret or world.id("whsec_", 32)
    return endpoint


@route("POST /v1/webhook_endpoints/{}", "url enabled_events description metadata disabled")
def update(world, params, name):
    endpoint = world.living("webhook_endpoint", name, status=404)
    for each in ("url", "enabled_events", "description"):
        if each in params:
            endpoint[each] = params[each]
    if "metadata" in params:
        endpoint["metadata"] = metadata(endpoint["metadata"], params["metadata"])
    if "disabled" in params:
        endpoint["status"] = "disabled" if params["disabled"] else "enabled"
    return endpoint


@route("GET /v1/webhook_endpoints/{}")
def retrieve_endpoint(world, params, name):
    return world.living("webhook_endpoint", name, status=404)


@route("GET /v1/webhook_endpoints", "limit starting_after ending_before")
def list_endpoints(world, params):
    return world.all("webhook_endpoint")


@route("DELETE /v1/webhook_endpoints/{}")
def delete(world, params, name):
    endpoint = world.living("webhook_endpoint", name, status=404)
    endpoint["deleted"] = True
    return endpoint


def hearers(world, event):
    """The endpoints that want this event."""
    enabled = world.all("webhook_endpoint", status="enabled")
    return [each for each in enabled if any(matches(kind, event["type"]) for kind in each["enabled_events"])]
