"""What stands on an invoice: periods paid in advance, use paid after the fact, and what was pending."""

import catalog
import errors
import invoices
import meters
from routing import route
from world import metadata


def line(world, invoice, amount, description, period, price, parent, quantity=1):
    """`quantity` may be a fraction; the field for whole numbers then has what is whole of it."""
    pricing = None
    if price:
        details = {"price": price["id"], "product": price["product"]}
        pricing = {
            "type": "price_details",
            "price_details": details,
            "unit_amount_decimal": price["unit_amount_decimal"],
        }
    return {
        "object": "line_item",
        "id": world.id("il_1"),
        "amount": amount,
        "currency": invoice["currency"],
        "description": description,
        "discount_amounts": [],
        "discountable": True,
        "discounts": [],
        "invoice": invoice["id"],
        "livemode": world.livemode,
        "metadata": {},
        "parent": parent,
        "period": {"start": period[0], "end": period[1]},
        "pretax_credit_amounts": [],
        "pricing": pricing,
        "quantity": int(quantity),
        "quantity_decimal": format(quantity, "f") if not isinstance(quantity, int) else str(quantity),
        "subtotal": amount,
        "taxes": [],
    }


def of_item(subscription, item, proration=False, invoice_item=None):
    details = {
        "subscription": subscription["id"],
        "subscription_item": item["id"],
        "proration": proration,
        "invoice_item": invoice_item,
    }
    return {"type": "subscription_item_details", "subscription_item_details": details}


def in_advance(world, invoice, subscription):
    """The period that begins, of what is paid whether used or not."""
    trial = subscription["status"] == "trialing"
    lines = []
    for item in subscription["items"]["data"]:
        if item["price"]["recurring"]["usage_type"] == "metered":
            continue
        price = world.find("price", item["price"]["id"])
        amount = 0 if trial else catalog.cost(price, item["quantity"])
        name = world.find("product", price["product"])["name"]
        shown = f"Trial period for {name}" if trial else f"{item['quantity']} × {name} (at {money(price)})"
        period = item["current_period_start"], item["current_period_end"]
        lines.append(line(world, invoice, amount, shown, period, price, of_item(subscription, item), item["quantity"]))
    return lines


def money(price):
    recurring = price["recurring"]
    amount = price["unit_amount"]
    return f"${amount / 100:,.2f} / {recurring['interval']}" if amount is not None else f"per {recurring['interval']}"


def metered(world, invoice, subscription, used):
    lines = []
    for item in subscription["items"]["data"]:
        if item["price"]["recurring"]["usage_type"] == "metered":
            lines.append(line(world, invoice, 0, "", used, item["price"], of_item(subscription, item)))
            count(world, subscription, lines[-1])
    return lines


def count(world, subscription, line):
    """Sets what was used, as it is known now."""
    price = world.find("price", line["pricing"]["price_details"]["price"])
    meter = world.find("billing.meter", price["recurring"]["meter"])
    period = line["period"]
    usage = meters.usage(world, meter, subscription["customer"], period["start"], period["end"])
    amount = catalog.cost(price, usage)
    name = world.find("product", price["product"])["name"]
    line.update(
        amount=amount,
        subtotal=amount,
        quantity=int(usage),
        quantity_decimal=format(usage, "f"),
        description=f"{format(usage, 'f')} × {name} ({money(price)})",
    )


def recount(world, invoice, subscription):
    for each in invoice["lines"]["data"]:
        price = each["pricing"] and world.find("price", each["pricing"]["price_details"]["price"])
        proration = ((each["parent"] or {}).get("subscription_item_details") or {}).get("proration")
        if price and price["recurring"] and price["recurring"]["meter"] and not proration:
            count(world, subscription, each)


# Items that wait for the next invoice.


def add_item(
    world,
    customer,
    amount,
    currency,
    description,
    period,
    price=None,
    quantity=1,
    subscription=None,
    item=None,
    proration=False,
    given=None,
):
    parent = None
    if subscription:
        details = {"subscription": subscription["id"], "subscription_item": item}
        parent = {"type": "subscription_details", "subscription_details": details}
    pricing = None
    if price:
        details = {"price": price["id"], "product": price["product"]}
        pricing = {
            "type": "price_details",
            "price_details": details,
            "unit_amount_decimal": price["unit_amount_decimal"],
        }
    thing = world.make(
        "invoiceitem",
        "ii_1",
        amount=amount,
        currency=currency,
        customer=customer,
        date=period["start"],
        description=description,
        discountable=not proration,
        discounts=[],
        invoice=None,
        metadata=metadata({}, given),
        parent=parent,
        period=period,
        pricing=pricing,
        proration=proration,
        quantity=quantity,
        quantity_decimal=str(quantity),
        tax_rates=[],
        test_clock=world.find("customer", customer).get("test_clock"),
    )
    world.happened("invoiceitem.created", thing)
    return thing


def pending(world, invoice, customer, subscription):
    """Moves what waits for this customer, and for this subscription or none, on to the invoice."""
    lines = []
    for item in world.all("invoiceitem", customer=customer["id"], invoice=None):
        details = item["parent"] and item["parent"]["subscription_details"]
        if details and (subscription is None or details["subscription"] != subscription["id"]):
            continue
        if item["currency"] != invoice["currency"]:
            continue
        item["invoice"] = invoice["id"]
        price = item["pricing"] and world.find("price", item["pricing"]["price_details"]["price"])
        if details and details["subscription_item"]:
            parent = of_item(subscription, {"id": details["subscription_item"]}, item["proration"], item["id"])
        else:
            its = {"invoice_item": item["id"], "proration": item["proration"]}
            its["subscription"] = details and details["subscription"]
            parent = {"type": "invoice_item_details", "invoice_item_details": its}
        period = item["period"]["start"], item["period"]["end"]
        made = line(world, invoice, item["amount"], item["description"], period, price, parent, item["quantity"])
        made["metadata"] = item["metadata"]
        lines.append(made)
    return lines


@route("POST /v1/invoiceitems", "customer amount currency description invoice metadata period subscription")
def create(world, params):
    if not params.get("customer"):
        raise errors.missing("customer")
    customer = world.living("customer", params["customer"], "customer")
    now = world.now(customer)
    subscription = params.get("subscription") and world.find("subscription", params["subscription"], "subscription")
    item = add_item(
        world,
        customer["id"],
        params["amount"] if "amount" in params else missing_amount(),
        params.get("currency", "usd").lower(),
        params.get("description"),
        params.get("period", {"start": now, "end": now}),
        subscription=subscription or None,
        given=params.get("metadata"),
    )
    if params.get("invoice"):
        put_on(world, params["invoice"], customer, subscription or None)
    return item


def missing_amount():
    raise errors.missing("amount")


def put_on(world, name, customer, subscription):
    invoice = world.living("invoice", name, "invoice")
    if invoice["status"] != "draft":
        raise errors.invalid("This invoice is no longer editable", "invoice", "invoice_not_editable")
    invoice["lines"]["data"] += pending(world, invoice, customer, subscription)
    invoices.total(invoice)


@route("GET /v1/invoiceitems/{}")
def retrieve(world, params, name):
    return world.living("invoiceitem", name, status=404)


@route("GET /v1/invoiceitems", "customer invoice pending limit starting_after ending_before created")
def list_items(world, params):
    like = {name: params[name] for name in ("customer", "invoice") if name in params}
    found = world.all("invoiceitem", **like)
    return [each for each in found if params.get("pending") in (None, each["invoice"] is None)]


@route("DELETE /v1/invoiceitems/{}")
def delete(world, params, name):
    item = world.living("invoiceitem", name, status=404)
    if item["invoice"]:
        raise errors.invalid("An invoice item on an invoice cannot be deleted.", None, "invoice_not_editable")
    world.happened("invoiceitem.deleted", item)
    item["deleted"] = True
    return item
