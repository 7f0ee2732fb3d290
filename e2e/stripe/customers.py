"""Customers, their tax ids and their cards (https://docs.stripe.com/api/customers)."""

import errors
import subscriptions
from routing import route
from world import listed, metadata

# What a card does, by the numbers and names that Stripe has for tests: https://docs.stripe.com/testing
CARDS = {
    "4242424242424242": ("pm_card_visa", "visa", "pays"),
    "5555555555554444": ("pm_card_mastercard", "mastercard", "pays"),
    "4000000000000341": ("pm_card_chargeCustomerFail", "visa", "fails"),
    "4000000000000002": ("pm_card_visa_chargeDeclined", "visa", "declined"),
    "4000000000000259": ("pm_card_createDispute", "visa", "disputed"),
}
TEXTS = "name email phone description business_name individual_name tax_exempt invoice_prefix"
TAKES = f"{TEXTS} address shipping metadata preferred_locales invoice_settings payment_method test_clock tax_id_data"


@route("POST /v1/customers", TAKES)
def create(world, params):
    if params.get("test_clock"):
        world.living("test_helpers.test_clock", params["test_clock"], "test_clock")
    customer = world.make(
        "customer",
        "cus_",
        balance=0,
        delinquent=False,
        invoice_prefix=params.get("invoice_prefix") or world.id("", 8),
        invoice_settings=invoice_settings({}, {}),
        metadata={},
        next_invoice_sequence=1,
        preferred_locales=[],
        tax_exempt="none",
        test_clock=params.get("test_clock"),
    )
    customer.update(changes(world, customer, params))
    for each in params.get("tax_id_data", []):
        add_tax_id(world, customer, each)
    if params.get("payment_method"):
        attach(world, {"customer": customer["id"]}, params["payment_method"])
    world.happened("customer.created", customer)
    return customer


@route("POST /v1/customers/{}", TAKES.replace(" payment_method test_clock tax_id_data", ""))
def update(world, params, name):
    customer = world.living("customer", name, status=404)
    world.change(customer, "customer.updated", **changes(world, customer, params))
    return customer


def changes(world, customer, params):
    values = {name: params[name] or None for name in TEXTS.split() if name in params}
    for name in ("address", "shipping", "preferred_locales"):
        if name in params:
            values[name] = params[name] or None
    if values.get("address"):
        places = ("city", "country", "line1", "line2", "postal_code", "state")
        values["address"] = {place: values["address"].get(place) or None for place in places}
    if "metadata" in params:
        values["metadata"] = metadata(customer["metadata"], params["metadata"])
    if "invoice_settings" in params:
        own_card(world, customer, params["invoice_settings"].get("default_payment_method"))
        values["invoice_settings"] = invoice_settings(customer["invoice_settings"], params["invoice_settings"])
    return values


def own_card(world, customer, name):
    place = "invoice_settings[default_payment_method]"
    if name and world.find("payment_method", name, place)["customer"] != customer["id"]:
        message = f"The customer does not have a payment method with the ID {name}. Attach it to the customer first."
        raise errors.invalid(message, place)


def invoice_settings(old, new):
    names = ("custom_fields", "default_payment_method", "footer", "rendering_options")
    return {name: (new[name] or None) if name in new else old.get(name) for name in names}


@route("GET /v1/customers/{}")
def retrieve(world, params, name):
    return world.find("customer", name, status=404)


@route("GET /v1/customers", "email limit starting_after ending_before created test_clock")
def list_customers(world, params):
    like = {name: params[name] for name in ("email", "test_clock") if name in params}
    return world.all("customer", **like)


@route("DELETE /v1/customers/{}")
def delete(world, params, name):
    customer = world.living("customer", name, status=404)
    for each in world.all("subscription", customer=name):
        if each["status"] not in ("canceled", "incomplete_expired"):
            subscriptions.end(world, each, "cancellation_requested")
    world.happened("customer.deleted", customer)
    customer["deleted"] = True
    return customer


@route("POST /v1/customers/{}/tax_ids", "type value")
def create_tax_id(world, params, name):
    return add_tax_id(world, world.living("customer", name, status=404), params)


def add_tax_id(world, customer, given):
    value = given["value"]
    if given["type"] == "eu_vat" and not value[:2].isalpha():
        raise errors.invalid("Invalid value for eu_vat.", "value", "tax_id_invalid")
    tax_id = world.make(
        "tax_id",
        "txi_1",
        customer=customer["id"],
        type=given["type"],
        value=value,
        country=value[:2] if given["type"] == "eu_vat" else given["type"][:2].upper(),
        owner={"type": "customer", "customer": customer["id"]},
        verification={"status": "pending"},
    )
    world.happened("customer.tax_id.created", tax_id)
    return tax_id


def tax_ids(world, customer):
    return world.all("tax_id", customer=customer["id"])


@route("GET /v1/customers/{}/tax_ids", "limit starting_after ending_before")
def list_tax_ids(world, params, name):
    return tax_ids(world, world.living("customer", name, status=404))


@route("GET /v1/customers/{}/tax_ids/{}")
def retrieve_tax_id(world, params, name, tax_id):
    world.living("customer", name, status=404)
    return world.living("tax_id", tax_id, status=404)


@route("DELETE /v1/customers/{}/tax_ids/{}")
def delete_tax_id(world, params, name, tax_id):
    tax_id = retrieve_tax_id(world, {}, name, tax_id)
    world.happened("customer.tax_id.deleted", tax_id)
    tax_id["deleted"] = True
    return tax_id


# Cards.


def new_card(world, number):
    """A payment method by a card's number; what it does when charged is ours to know, not an object's field."""
    number = number.replace(" ", "")
    if number not in CARDS:
        raise errors.declined("incorrect_number", "incorrect_number")
    _, brand, conduct = CARDS[number]
    card = world.make(
        "payment_method",
        "pm_1",
        type="card",
        billing_details={"address": None, "email": None, "name": None, "phone": None, "tax_id": None},
        customer=None,
        metadata={},
        card={
            "brand": brand,
            "checks": {"address_line1_check": None, "address_postal_code_check": None, "cvc_check": "pass"},
            "country": "US",
            "display_brand": brand,
            "exp_month": 12,
            "exp_year": 2034,
            "fingerprint": world.id("", 16),
            "funding": "credit",
            "generated_from": None,
            "last4": number[-4:],
            "networks": {"available": [brand], "preferred": None},
            "regulated_status": "unregulated",
            "three_d_secure_usage": {"supported": True},
            "wallet": None,
        },
    )
    world.conduct[card["id"]] = conduct
    return card


@route("POST /v1/payment_methods/{}/attach", "customer")
def attach(world, params, name):
    customer = world.living("customer", params.get("customer", ""), "customer")
    number = next((number for number, (token, _, _) in CARDS.items() if token == name), None)
    card = new_card(world, number) if number else world.find("payment_method", name, "payment_method", 404)
    if world.conduct[card["id"]] == "declined":
        raise errors.declined()
    world.change(card, "payment_method.attached", customer=customer["id"])
    return card


@route("POST /v1/payment_methods/{}/detach")
def detach(world, params, name):
    card = world.find("payment_method", name, "payment_method", 404)
    customer = world.find("customer", card["customer"])
    if customer["invoice_settings"]["default_payment_method"] == name:
        customer["invoice_settings"]["default_payment_method"] = None
    world.change(card, "payment_method.detached", customer=None)
    return card


@route("GET /v1/payment_methods/{}")
def retrieve_payment_method(world, params, name):
    return world.find("payment_method", name, "payment_method", 404)


@route("GET /v1/customers/{}/payment_methods", "type limit starting_after ending_before")
def list_payment_methods(world, params, name):
    world.living("customer", name, status=404)
    return world.all("payment_method", customer=name)


@route("GET /v1/payment_methods", "customer type limit starting_after ending_before")
def list_all_payment_methods(world, params):
    return world.all("payment_method", **{name: params[name] for name in ("customer", "type") if name in params})


def use_card(world, customer, number):
    """What a person does who types a card in: it is attached and the customer's default from now on."""
    card = new_card(world, number)
    attach(world, {"customer": customer["id"]}, card["id"])
    settings = {**customer["invoice_settings"], "default_payment_method": card["id"]}
    world.change(customer, "customer.updated", invoice_settings=settings)
    return card


def includable(world):
    world.includable["customer", "tax_ids"] = lambda thing: listed(
        tax_ids(world, thing), f"/v1/customers/{thing['id']}/tax_ids"
    )
