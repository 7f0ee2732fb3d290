"""The pages that Stripe hosts, as plain as can be: Checkout, the portal, an invoice. They work without JavaScript.

What a test clicks has an id: `card`, `pay`, `cancel`, `cancel-plan`, `resume-plan`, `update-card`, `return`.
"""

import html

import checkout
import customers
import errors
import invoices
import subscriptions

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1"></head>
<body><main><p>Stand-in for Stripe: no money moves.</p><h1>{title}</h1>
{error}{body}</main></body></html>
"""
CARD = (
    '<label for="card">Card number</label> <input id="card" name="card" autocomplete="off" value="4242 4242 4242 4242">'
)


def page(title, body, error=None):
    shown = f'<p role="alert" id="error">{html.escape(error)}</p>' if error else ""
    return 200, PAGE.format(title=html.escape(title), body=body, error=shown)


def button(act, text, fields=""):
    hidden = f'<input type="hidden" name="act" value="{act}">'
    return f'<form method="post">{hidden}{fields}<button id="{act}">{text}</button></form>'


def link(name, url, text):
    return f'<p><a id="{name}" href="{html.escape(url)}">{text}</a></p>' if url else ""


def dollars(amount):
    return f"${amount / 100:,.2f}"


def form(tree):
    return {name: value for name, value in tree.items() if isinstance(value, str)}


def show(world, method, path, given):
    """(status, page), or (303, where to go)."""
    kind, name = path.strip("/").split("/", 2)[0], path.rstrip("/").rsplit("/", 1)[-1]
    place = {"c": checkout_page, "p": portal_page, "i": invoice_page}.get(kind)
    if place is None:
        return 404, "there is no such page"
    try:
        return place(world, name, form(given) if method == "POST" else None)
    except errors.StripeError as error:
        if error.status == 404 or error.body["error"].get("code") == "resource_missing":
            return 404, "there is no such page"
        raise


def checkout_page(world, name, given):
    session = world.find("checkout.session", name)
    error = None
    if session["status"] != "open":
        return page("Checkout", f"<p id='state'>This page is over: {session['status']}.</p>")
    if given is not None:
        try:
            checkout.pay(world, session, given.get("card", ""), given)
            return 303, session["success_url"].replace("{CHECKOUT_SESSION_ID}", session["id"])
        except errors.StripeError as refusal:
            error = refusal.body["error"]["message"]
    items = "".join(
        f"<li>{html.escape(each['description'])}: {dollars(each['amount_total'])}</li>"
        for each in world.checkouts[name]["items"]
    )
    body = f"<ul id='items'>{items}</ul><p id='total'>{dollars(session['amount_total'])}</p>"
    body += button("pay", "Subscribe", CARD + fields(session)) + link("cancel", session["cancel_url"], "Back")
    return page("Subscribe", body, error)


def fields(session):
    """What Checkout asks for besides the card, filled in already."""
    asked = []
    if session["tax_id_collection"]["enabled"]:
        asked += [("name", "Business name", ""), ("tax_id", "Tax id", "")]
    if session["billing_address_collection"] == "required":
        asked += [
            ("line1", "Address", "1 Engine Way"),
            ("city", "City", "London"),
            ("postal_code", "Postal code", "N1"),
        ]
        asked += [("country", "Country", "GB")]
    return "".join(
        f'<p><label for="{name}">{label}</label> <input id="{name}" name="{name}" value="{value}"></p>'
        for name, label, value in asked
    )


def portal_page(world, name, given):
    session = world.find("billing_portal.session", name)
    customer = world.living("customer", session["customer"])
    error = None
    if given is not None:
        try:
            act(world, customer, given)
            return 303, session["url"]
        except errors.StripeError as refusal:
            error = refusal.body["error"]["message"]
    own = world.all("subscription", customer=customer["id"])
    body = "".join(plan(world, each) for each in own if each["status"] not in subscriptions.OVER)
    for invoice in world.all("invoice", customer=customer["id"])[::-1]:
        if invoice["status"] != "draft":
            shown = f"{invoice['number']}: {dollars(invoice['total'])}, {invoice['status']}"
            body += link(f"invoice-{invoice['status']}", invoice["hosted_invoice_url"], shown)
    body += button("update-card", "Use this card from now on", CARD)
    body += link("return", session["return_url"], "Back")
    return page("Your plan", body, error)


def plan(world, subscription):
    product = world.find("product", subscription["items"]["data"][0]["price"]["product"])
    state = subscription["status"] + (", ends with its period" if subscription["cancel_at_period_end"] else "")
    field = f'<input type="hidden" name="subscription" value="{subscription["id"]}">'
    change = ("resume-plan", "Keep it") if subscription["cancel_at_period_end"] else ("cancel-plan", "Cancel it")
    return f"<p class='plan'>{html.escape(product['name'])}: {state}</p>" + button(*change, field)


def act(world, customer, given):
    if given.get("act") == "update-card":
        card = customers.use_card(world, customer, given.get("card", ""))
        for each in world.all("subscription", customer=customer["id"]):
            if each["status"] not in subscriptions.OVER:
                world.change(each, "customer.subscription.updated", default_payment_method=card["id"])
    elif given.get("act") in ("cancel-plan", "resume-plan"):
        subscription = world.find("subscription", given.get("subscription", ""))
        if subscription["customer"] != customer["id"]:
            raise errors.no_such("subscription", subscription["id"], "subscription", 404)
        subscriptions.update(world, {"cancel_at_period_end": given["act"] == "cancel-plan"}, subscription["id"])


def invoice_page(world, name, given):
    invoice = world.living("invoice", name)
    error = None
    if given is not None and invoice["status"] == "open":
        card = customers.use_card(world, world.living("customer", invoice["customer"]), given.get("card", ""))
        refusal = invoices.collect(world, invoice, card["id"])
        error = refusal and refusal.body["error"]["message"]
    lines = "".join(
        f"<li>{html.escape(each['description'] or '')}: {dollars(each['amount'])}</li>"
        for each in invoice["lines"]["data"]
    )
    body = f"<p id='state'>{invoice['status']}</p><ul>{lines}</ul><p id='total'>{dollars(invoice['total'])}</p>"
    if invoice["status"] == "open":
        body += button("pay", f"Pay {dollars(invoice['amount_remaining'])}", CARD)
    return page(f"Invoice {invoice['number']}", body, error)
