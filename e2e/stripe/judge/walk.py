"""Stripe's Python package walks through everything that Vaultaire may ask: catalog, Checkout, subscription, invoice, meter,
portal, refund, test clock. Its own classes read the answers.
"""

import stripe
from stand import DAY, ask, client, does, raw, refused, shop, subscribe, tell, with_card

v1 = client()


def catalog():
    product = v1.products.create({"name": "Storage", "metadata": {"plan": "business", "old": "x"}})
    product = v1.products.update(product.id, {"metadata": {"old": "", "new": "y"}})
    assert product.metadata.to_dict() == {"plan": "business", "new": "y"}, "metadata is merged"
    price = {"product": product.id, "currency": "usd", "unit_amount": 149_900, "recurring": {"interval": "month"}}
    first = v1.prices.create({**price, "lookup_key": "business"})
    refused(stripe.InvalidRequestError, v1.prices.create, {**price, "lookup_key": "business"}, param="lookup_key")
    second = v1.prices.create({**price, "unit_amount": 159_900, "lookup_key": "business", "transfer_lookup_key": True})
    found = v1.prices.list({"lookup_keys": ["business"]}).data
    assert [each.id for each in found] == [second.id]
    assert v1.prices.retrieve(first.id).lookup_key is None
    assert first.recurring.usage_type == "licensed" and str(first.unit_amount_decimal) == "149900"
    tiered = v1.prices.create(
        {
            "product": product.id,
            "currency": "usd",
            "billing_scheme": "tiered",
            "tiers_mode": "graduated",
            "tiers": [{"up_to": 10, "unit_amount": 0}, {"up_to": "inf", "unit_amount_decimal": "2.5"}],
            "recurring": {"interval": "month"},
            "expand": ["tiers"],
        }
    )
    assert [tier.up_to for tier in tiered.tiers] == [10, None]


def customers_and_their_tax_ids():
    customer = v1.customers.create(
        {
            "email": "ada@engines.example",
            "tax_id_data": [{"type": "eu_vat", "value": "DE123456789"}],
            "expand": ["tax_ids"],
        }
    )
    assert customer.tax_ids.data[0].country == "DE"
    made = v1.customers.tax_ids.create(customer.id, {"type": "us_ein", "value": "12-3456789"})
    assert {each.id for each in v1.customers.tax_ids.list(customer.id).data} == {made.id, customer.tax_ids.data[0].id}
    v1.customers.tax_ids.delete(customer.id, made.id)
    assert len(v1.customers.tax_ids.list(customer.id).data) == 1
    assert v1.customers.list({"email": "ada@engines.example"}).data[0].id == customer.id
    assert v1.customers.delete(customer.id).deleted
    assert v1.customers.retrieve(customer.id).deleted


def checkout():
    _, price, customer, _ = shop(v1)
    wanted = {
        "mode": "subscription",
        "customer": customer.id,
        "client_reference_id": "tenant-1",
        "line_items": [{"price": price.id, "quantity": 1}],
        "success_url": "http://127.0.0.1:1/billing?session={CHECKOUT_SESSION_ID}",
        "cancel_url": "http://127.0.0.1:1/billing",
        "subscription_data": {"metadata": {"tenant": "tenant-1"}},
    }
    tax = {"tax_id_collection": {"enabled": True}}
    refused(stripe.InvalidRequestError, v1.checkout.sessions.create, {**wanted, **tax}, param="customer_update[name]")
    tax["customer_update"] = {"name": "auto", "address": "auto"}
    session = v1.checkout.sessions.create({**wanted, **tax, "billing_address_collection": "required"})
    assert (session.status, session.payment_status, session.amount_total) == ("open", "unpaid", 149_900)
    status, page, _ = ask("GET", path(session.url))
    assert status == 200 and "$1,499.00" in page and 'id="pay"' in page
    status, page, _ = pressed(session.url, "card=4000000000000002")
    assert status == 200 and "Your card was declined." in page
    assert v1.checkout.sessions.retrieve(session.id).status == "open"
    typed = "&name=Engines+GmbH&tax_id=DE123456789&country=DE&city=Berlin"
    status, _, headers = pressed(session.url, "card=4242+4242+4242+4242" + typed)
    assert (status, headers["Location"]) == (303, f"http://127.0.0.1:1/billing?session={session.id}")
    expanded = {"expand": ["subscription.latest_invoice", "line_items", "customer"]}
    session = v1.checkout.sessions.retrieve(session.id, expanded)
    assert (session.status, session.payment_status) == ("complete", "paid")
    assert session.subscription.status == "active"
    assert session.subscription.metadata.to_dict() == {"tenant": "tenant-1"}
    assert (session.subscription.latest_invoice.status, session.subscription.latest_invoice.total) == ("paid", 149_900)
    assert session.line_items.data[0].price.id == price.id and session.customer.id == customer.id
    assert (session.customer.name, session.customer.address.city) == ("Engines GmbH", "Berlin")
    assert [each.value for each in session.customer_details.tax_ids] == ["DE123456789"]
    status, page, _ = pressed(f"/c/pay/{session.id}", "card=4242424242424242")
    assert "This page is over" in page, "nobody pays twice"
    assert len(v1.subscriptions.list({"customer": customer.id}).data) == 1
    other = v1.checkout.sessions.create(wanted)
    assert v1.checkout.sessions.expire(other.id).status == "expired"


def path(url):
    return "/" + url.split("/", 3)[3]


def pressed(url, form):
    place = path(url) if "://" in url else url
    return ask("POST", place, form.encode(), {"Content-Type": "application/x-www-form-urlencoded"})


def what_was_used():
    product, price, customer, clock = shop(v1, clock=1_775_000_400)
    meter = v1.billing.meters.create(
        {"display_name": "Stored", "event_name": "stored_gb_hours", "default_aggregation": {"formula": "sum"}}
    )
    metered = v1.prices.create(
        {
            "product": product.id,
            "currency": "usd",
            "unit_amount_decimal": "0.5",
            "recurring": {"interval": "month", "usage_type": "metered", "meter": meter.id},
        }
    )
    with_card(v1, customer)
    subscription = subscribe(v1, customer, price, metered)
    event = {"event_name": "stored_gb_hours", "payload": {"stripe_customer_id": customer.id, "value": "1000"}}
    v1.billing.meter_events.create({**event, "identifier": "hour-1"})
    again = {**event, "identifier": "hour-1"}
    refused(stripe.InvalidRequestError, v1.billing.meter_events.create, again, param="identifier")
    late = {**event, "identifier": "old", "timestamp": clock.frozen_time - 36 * DAY}
    refused(stripe.InvalidRequestError, v1.billing.meter_events.create, late, param="timestamp")
    v1.test_helpers.test_clocks.advance(clock.id, {"frozen_time": clock.frozen_time + 5 * DAY})
    v1.billing.meter_events.create({**event, "identifier": "hour-2", "payload": {**event["payload"], "value": "1"}})
    window = {"start_time": 1_775_000_400, "end_time": 1_775_000_400 + 6 * DAY}
    sums = v1.billing.meters.event_summaries.list(meter.id, {"customer": customer.id, **window})
    assert [each.aggregated_value for each in sums.data] == [1001.0]
    end = subscription["items"].data[0].current_period_end
    v1.test_helpers.test_clocks.advance(clock.id, {"frozen_time": end + 60})
    draft = v1.invoices.list({"customer": customer.id}).data[0]
    assert (draft.status, draft.billing_reason, draft.total) == ("draft", "subscription_cycle", 149_900 + 501)
    # What comes within the hour, for the period that is over, is still counted.
    late = {**event, "identifier": "hour-3", "timestamp": end - 60, "payload": {**event["payload"], "value": "10"}}
    v1.billing.meter_events.create(late)
    v1.test_helpers.test_clocks.advance(clock.id, {"frozen_time": end + 2 * 3_600})
    paid = v1.invoices.retrieve(draft.id, {"expand": ["payments"]})
    assert (paid.status, paid.total, paid.amount_paid) == ("paid", 149_900 + 506, 149_900 + 506)
    assert [(line.amount, line.quantity) for line in paid.lines.data] == [(149_900, 1), (506, 1011)]
    intent = paid.payments.data[0].payment.payment_intent
    payments = v1.invoice_payments.list({"payment": {"type": "payment_intent", "payment_intent": intent}})
    assert [each.invoice for each in payments.data] == [paid.id]


def portal():
    _, price, customer, _ = shop(v1)
    with_card(v1, customer)
    subscription = subscribe(v1, customer, price)
    session = v1.billing_portal.sessions.create({"customer": customer.id, "return_url": "http://127.0.0.1:1/billing"})
    status, page, _ = ask("GET", path(session.url))
    assert status == 200 and "Business: active" in page and "http://127.0.0.1:1/billing" in page
    pressed(session.url, f"act=cancel-plan&subscription={subscription.id}")
    now = v1.subscriptions.retrieve(subscription.id)
    assert now.cancel_at_period_end and now.cancel_at == now["items"].data[0].current_period_end
    pressed(session.url, f"act=resume-plan&subscription={subscription.id}")
    now = v1.subscriptions.retrieve(subscription.id)
    assert not now.cancel_at_period_end and now.cancel_at is None
    pressed(session.url, "act=update-card&card=5555555555554444")
    method = v1.subscriptions.retrieve(subscription.id, {"expand": ["default_payment_method"]}).default_payment_method
    assert method.card.last4 == "4444"


def refunds_and_disputes():
    _, price, customer, _ = shop(v1)
    with_card(v1, customer)
    subscribe(v1, customer, price)
    charge = v1.charges.list({"customer": customer.id}).data[0]
    v1.refunds.create({"charge": charge.id, "amount": 900})
    refused(stripe.InvalidRequestError, v1.refunds.create, {"charge": charge.id, "amount": 149_001}, param="amount")
    v1.refunds.create({"payment_intent": charge.payment_intent, "reason": "requested_by_customer"})
    refused(stripe.InvalidRequestError, v1.refunds.create, {"charge": charge.id}, code="charge_already_refunded")
    charge = v1.charges.retrieve(charge.id, {"expand": ["refunds"]})
    assert charge.refunded and [each.amount for each in charge.refunds.data] == [149_000, 900]
    other = v1.customers.create({"email": "eve@engines.example"})
    with_card(v1, other, "pm_card_createDispute")
    subscribe(v1, other, price)
    dispute = v1.disputes.list().data[0]
    assert v1.charges.retrieve(dispute.charge).disputed and dispute.amount == 149_900
    refused(stripe.InvalidRequestError, v1.refunds.create, {"charge": dispute.charge}, code="charge_disputed")
    does(f"disputes/{dispute.id}/close", status="won")
    assert v1.disputes.retrieve(dispute.id).status == "won"


def invoices_by_hand():
    customer = v1.customers.create({"email": "ada@engines.example"})
    with_card(v1, customer)
    v1.invoice_items.create({"customer": customer.id, "amount": 5_000, "currency": "usd", "description": "Migration"})
    draft = v1.invoices.create({"customer": customer.id, "pending_invoice_items_behavior": "include"})
    assert (draft.status, draft.total, draft.number) == ("draft", 5_000, None)
    refused(stripe.InvalidRequestError, v1.invoices.void_invoice, draft.id, says="This invoice is draft")
    ready = v1.invoices.finalize_invoice(draft.id)
    assert ready.status == "open" and ready.hosted_invoice_url and ready.number.endswith("-0001")
    refused(stripe.InvalidRequestError, v1.invoices.delete, draft.id)
    assert v1.invoices.pay(draft.id).status == "paid"
    refused(stripe.InvalidRequestError, v1.invoices.pay, draft.id, says="already paid")
    second = v1.invoices.create({"customer": customer.id})
    assert v1.invoices.delete(second.id).deleted


def lists_and_keys():
    made = [v1.customers.create({"email": "list@engines.example"}).id for _ in range(5)][::-1]
    first = v1.customers.list({"email": "list@engines.example", "limit": 2})
    assert [each.id for each in first.data] == made[:2] and first.has_more
    rest = v1.customers.list({"email": "list@engines.example", "limit": 3, "starting_after": made[1]})
    assert [each.id for each in rest.data] == made[2:] and not rest.has_more
    every = v1.customers.list({"email": "list@engines.example", "limit": 2}).auto_paging_iter()
    assert [each.id for each in every] == made
    same = [v1.customers.create({"name": "Once"}, {"idempotency_key": "once"}).id for _ in range(2)]
    assert same[0] == same[1]
    status, _, headers = raw("POST", "/v1/customers", "name=Twice", Idempotency_Key="twice")
    again = raw("POST", "/v1/customers", "name=Twice", Idempotency_Key="twice")
    assert status == again[0] == 200 and headers["Idempotent-Replayed"] is None
    assert again[2]["Idempotent-Replayed"] == "true"
    other = {"idempotency_key": "once"}
    refused(stripe.IdempotencyError, v1.customers.create, {"name": "Other"}, other, says="same parameters")


if __name__ == "__main__":
    tell(
        catalog,
        customers_and_their_tax_ids,
        checkout,
        what_was_used,
        portal,
        refunds_and_disputes,
        invoices_by_hand,
        lists_and_keys,
    )
