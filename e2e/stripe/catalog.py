"""Products and prices (https://docs.stripe.com/api/prices)."""

from decimal import ROUND_HALF_UP, Decimal

import errors
from routing import route
from world import metadata


@route("POST /v1/products", "id name active description metadata tax_code unit_label statement_descriptor url")
def create_product(world, params):
    if params.get("id") and params["id"] in world.things.get("product", {}):
        raise errors.invalid("Product already exists.", "id", "resource_already_exists")
    product = {
        "object": "product",
        "id": params.get("id") or world.id("prod_", 14),
        "active": True,
        "images": [],
        "marketing_features": [],
        "type": "service",
        "updated": world.now(),
        **{name: value for name, value in params.items() if value != ""},
        "metadata": metadata({}, params.get("metadata")),
    }
    world.keep(product)
    world.happened("product.created", product)
    return product


@route(
    "POST /v1/products/{}",
    "name active description metadata tax_code unit_label statement_descriptor url default_price",
)
def update_product(world, params, name):
    product = world.living("product", name, status=404)
    values = {each: None if value == "" else value for each, value in params.items()}
    if "metadata" in params:
        values["metadata"] = metadata(product["metadata"], params["metadata"])
    if world.change(product, "product.updated", **values):
        product["updated"] = world.now()
    return product


@route("GET /v1/products/{}")
def retrieve_product(world, params, name):
    return world.living("product", name, status=404)


@route("GET /v1/products", "active ids limit starting_after ending_before created")
def list_products(world, params):
    ids = params.get("ids")
    return [each for each in world.all("product") if active(each, params) and (ids is None or each["id"] in ids)]


def active(thing, params):
    return params.get("active") in (None, thing["active"])


TAKES = (
    "currency active billing_scheme lookup_key metadata nickname product product_data recurring tax_behavior tiers "
    "tiers_mode transfer_lookup_key transform_quantity unit_amount unit_amount_decimal"
)


@route("POST /v1/prices", TAKES)
def create_price(world, params):
    price = {
        "object": "price",
        "id": world.id("price_1"),
        "active": params.get("active", True),
        "billing_scheme": params.get("billing_scheme", "per_unit"),
        "currency": params["currency"].lower(),
        "metadata": metadata({}, params.get("metadata")),
        "nickname": params.get("nickname"),
        "product": product_of(world, params),
        "tax_behavior": params.get("tax_behavior", "unspecified"),
        "tiers_mode": params.get("tiers_mode"),
        "transform_quantity": params.get("transform_quantity"),
        "lookup_key": None,
        "type": "recurring" if "recurring" in params else "one_time",
    }
    price["recurring"] = recurring(world, params["recurring"]) if "recurring" in params else None
    price["unit_amount"], price["unit_amount_decimal"] = amounts(params, price["billing_scheme"])
    price["tiers"] = tiers(params) if price["billing_scheme"] == "tiered" else None
    if params.get("lookup_key"):
        take_lookup_key(world, price, params["lookup_key"], params.get("transfer_lookup_key", False))
    world.keep(price)
    world.happened("price.created", shown(price))
    return shown(price)


def product_of(world, params):
    if ("product" in params) == ("product_data" in params):
        raise errors.invalid("You must specify either `product` or `product_data`.", "product")
    if "product_data" in params:
        return create_product(world, params["product_data"])["id"]
    return world.living("product", params["product"], "product")["id"]


def recurring(world, given):
    result = {
        "interval": given["interval"],
        "interval_count": given.get("interval_count", 1),
        "usage_type": given.get("usage_type", "licensed"),
        "meter": given.get("meter"),
        "trial_period_days": given.get("trial_period_days"),
    }
    if result["usage_type"] == "metered":
        if not result["meter"]:
            message = "The `recurring[meter]` parameter is required for metered prices."
            raise errors.invalid(message, "recurring[meter]", "parameter_missing")
        world.find("billing.meter", result["meter"], "recurring[meter]")
    elif result["meter"]:
        raise errors.invalid("A price with a meter must have `recurring[usage_type]` metered.", "recurring[meter]")
    return result


def amounts(params, scheme):
    """(in whole cents or None, as decimal text)"""
    whole, exact = params.get("unit_amount"), params.get("unit_amount_decimal")
    if whole is not None and exact is not None:
        raise errors.invalid(
            "You may only specify one of these parameters: unit_amount, unit_amount_decimal.", "unit_amount"
        )
    if scheme == "tiered":
        if whole is not None or exact is not None:
            raise errors.invalid("You cannot set `unit_amount` on a tiered price.", "unit_amount")
        return None, None
    if whole is None and exact is None:
        raise errors.missing("unit_amount")
    exact = Decimal(exact if exact is not None else whole)
    if exact < 0:
        raise errors.invalid("Invalid non-negative integer", "unit_amount", "parameter_invalid_integer")
    if exact.normalize().as_tuple().exponent < -12:
        raise errors.invalid("Invalid decimal: at most 12 decimal places", "unit_amount_decimal")
    whole = int(exact) if exact == exact.to_integral_value() else None
    return whole, format(exact.normalize(), "f")


def tiers(params):
    given = params.get("tiers")
    if not given or not params.get("tiers_mode"):
        raise errors.missing("tiers" if not given else "tiers_mode")
    if given[-1]["up_to"] != "inf" or any(tier["up_to"] == "inf" for tier in given[:-1]):
        raise errors.invalid("The last tier must have `up_to` inf, and no other.", "tiers")
    result = []
    for tier in given:
        flat = tier.get("flat_amount_decimal", tier.get("flat_amount"))
        unit = tier.get("unit_amount_decimal", tier.get("unit_amount"))
        result.append(
            {
                "up_to": None if tier["up_to"] == "inf" else tier["up_to"],
                "flat_amount": tier.get("flat_amount"),
                "flat_amount_decimal": None if flat is None else str(flat),
                "unit_amount": tier.get("unit_amount"),
                "unit_amount_decimal": None if unit is None else str(unit),
            }
        )
    return result


def take_lookup_key(world, price, key, transfer):
    holder = next((each for each in world.all("price", lookup_key=key) if each is not price), None)
    if holder:
        if not transfer:
            message = f"A price (`{holder['id']}`) already uses that lookup key."
            raise errors.invalid(message, "lookup_key")
        world.change(holder, "price.updated", lookup_key=None)
    price["lookup_key"] = key


@route("POST /v1/prices/{}", "active lookup_key metadata nickname tax_behavior transfer_lookup_key")
def update_price(world, params, name):
    price = world.living("price", name, status=404)
    values = {each: params[each] for each in ("active", "nickname", "tax_behavior") if each in params}
    if "metadata" in params:
        values["metadata"] = metadata(price["metadata"], params["metadata"])
    if params.get("lookup_key"):
        take_lookup_key(world, price, params["lookup_key"], params.get("transfer_lookup_key", False))
    world.change(price, "price.updated", **values)
    return shown(price)


@route("GET /v1/prices/{}")
def retrieve_price(world, params, name):
    return shown(world.living("price", name, status=404))


@route(
    "GET /v1/prices", "active currency lookup_keys product recurring type limit starting_after ending_before created"
)
def list_prices(world, params):
    def wanted(price):
        recurs = params.get("recurring", {})
        return (
            active(price, params)
            and params.get("currency") in (None, price["currency"])
            and params.get("product") in (None, price["product"])
            and params.get("type") in (None, price["type"])
            and ("lookup_keys" not in params or price["lookup_key"] in params["lookup_keys"])
            and all((price["recurring"] or {}).get(name) == value for name, value in recurs.items())
        )

    return [shown(each) for each in world.all("price") if wanted(each)]


def shown(price):
    """Tiers are there only when asked for."""
    return {name: value for name, value in price.items() if name != "tiers"}


def cost(price, quantity):
    """Whole cents of so many units, which may be a fraction; halves go up."""
    quantity = Decimal(quantity)
    transform = price["transform_quantity"]
    if transform:
        parts, rest = divmod(quantity, transform["divide_by"])
        quantity = parts + (1 if rest and transform["round"] == "up" else 0)
    if price["billing_scheme"] == "per_unit":
        return cents(quantity * Decimal(price["unit_amount_decimal"]))
    if price["tiers_mode"] == "volume":
        tier = next(each for each in price["tiers"] if each["up_to"] is None or quantity <= each["up_to"])
        return cents(quantity * Decimal(tier["unit_amount_decimal"] or 0) + Decimal(tier["flat_amount_decimal"] or 0))
    total, below = Decimal(0), Decimal(0)
    for tier in price["tiers"]:
        if quantity <= below and below:
            break
        top = quantity if tier["up_to"] is None else min(quantity, Decimal(tier["up_to"]))
        total += (top - below) * Decimal(tier["unit_amount_decimal"] or 0) + Decimal(tier["flat_amount_decimal"] or 0)
        below = top
        if tier["up_to"] is None or quantity <= tier["up_to"]:
            break
    return cents(total)


def cents(amount):
    return int(amount.to_integral_value(ROUND_HALF_UP))


def includable(world):
    world.includable["price", "tiers"] = lambda price: world.find("price", price["id"])["tiers"] or []
