"""Sessions of the billing portal and its configurations (https://docs.stripe.com/api/customer_portal)."""

import errors
from routing import route
from world import metadata


@route("POST /v1/billing_portal/sessions", "customer configuration return_url locale flow_data")
def create(world, params):
    if not params.get("customer"):
        raise errors.missing("customer")
    customer = world.living("customer", params["customer"], "customer")
    configuration = params.get("configuration")
    if configuration:
        configuration = world.find("billing_portal.configuration", configuration, "configuration")
    else:
        configuration = next(each for each in world.all("billing_portal.configuration") if each["is_default"])
    session = world.make(
        "billing_portal.session",
        "bps_1",
        configuration=configuration["id"],
        created=world.now(customer),
        customer=customer["id"],
        flow=flow(world, params["flow_data"]) if "flow_data" in params else None,
        locale=params.get("locale"),
        return_url=params.get("return_url") or configuration.get("default_return_url"),
    )
    session["url"] = f"{world.url}/p/session/{session['id']}"
    return session


def flow(world, given):
    if given["type"] == "subscription_cancel":
        name = given.get("subscription_cancel", {}).get("subscription") or ""
        world.find("subscription", name, "flow_data[subscription_cancel][subscription]")
    elif given["type"] != "payment_method_update":
        raise errors.lacks(f"the portal's flow {given['type']}")
    return {"after_completion": {"type": "portal_homepage"}, **given}


def features(given):
    """With Stripe's defaults beneath."""
    off = {"enabled": False}
    cancel = {
        "enabled": False,
        "mode": "at_period_end",
        "proration_behavior": "none",
        "cancellation_reason": {"enabled": False, "options": []},
        **given.get("subscription_cancel", {}),
    }
    change = {
        "enabled": False,
        "default_allowed_updates": [],
        "proration_behavior": "none",
        "schedule_at_period_end": {"conditions": []},
        "trial_update_behavior": "end_trial",
        **given.get("subscription_update", {}),
    }
    allowed = given.get("customer_update", {}).get("allowed_updates") or []
    return {
        "customer_update": {"enabled": False, **given.get("customer_update", {}), "allowed_updates": allowed},
        "invoice_history": {**off, **given.get("invoice_history", {})},
        "payment_method_update": {**off, **given.get("payment_method_update", {})},
        "subscription_cancel": cancel,
        "subscription_pause": {"enabled": False, "duration": {"type": "indefinite", "interval_options": []}},
        "subscription_update": change,
    }


def configure(world, given, is_default=False):
    return world.make(
        "billing_portal.configuration",
        "bpc_1",
        active=True,
        business_profile=given.get("business_profile", {}),
        default_return_url=given.get("default_return_url") or None,
        features=features(given["features"]),
        is_default=is_default,
        login_page={"enabled": False},
        metadata=metadata({}, given.get("metadata")),
        name=given.get("name") or None,
        updated=world.now(),
    )


def begin(world):
    """The one that a click in Stripe's dashboard makes."""
    on = {"enabled": True}
    names = ("invoice_history", "payment_method_update", "subscription_cancel")
    configure(world, {"features": {name: dict(on) for name in names}}, is_default=True)


@route("POST /v1/billing_portal/configurations", "business_profile default_return_url features metadata name")
def create_configuration(world, params):
    return configure(world, params)


@route("POST /v1/billing_portal/configurations/{}", "active business_profile default_return_url features metadata name")
def update_configuration(world, params, name):
    configuration = world.find("billing_portal.configuration", name, "configuration", 404)
    values = {each: params[each] for each in ("active", "default_return_url", "name") if each in params}
    values["metadata"] = metadata(configuration["metadata"], params.get("metadata"))
    if "business_profile" in params:
        values["business_profile"] = {**configuration["business_profile"], **params["business_profile"]}
    if "features" in params:
        values["features"] = features({**configuration["features"], **params["features"]})
    world.change(configuration, "billing_portal.configuration.updated", **values, updated=world.now())
    return configuration


@route("GET /v1/billing_portal/configurations/{}")
def retrieve_configuration(world, params, name):
    return world.find("billing_portal.configuration", name, "configuration", 404)


@route("GET /v1/billing_portal/configurations", "active is_default limit starting_after ending_before")
def list_configurations(world, params):
    like = {name: params[name] for name in ("active", "is_default") if name in params}
    return world.all("billing_portal.configuration", **like)
