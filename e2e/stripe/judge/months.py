"""Test clocks: ends of months, prorations to the cent, trials, and who does not pay."""

import datetime

from stand import DAY, client, does, shop, subscribe, tell, with_card

v1 = client()


def at(text):
    return int(datetime.datetime.fromisoformat(f"{text}+00:00").timestamp())


def advance(clock, to):
    asked = v1.test_helpers.test_clocks.advance(clock.id, {"frozen_time": to})
    assert asked.status == "advancing"
    assert v1.test_helpers.test_clocks.retrieve(clock.id).status == "ready"


def period(subscription):
    item = v1.subscriptions.retrieve(subscription.id)["items"].data[0]
    return item.current_period_start, item.current_period_end


def ends_of_months():
    _, price, customer, clock = shop(v1, clock=at("2027-12-31T10:00:00"))
    with_card(v1, customer)
    subscription = subscribe(v1, customer, price)
    ends = ["2028-01-31", "2028-02-29", "2028-03-31", "2028-04-30", "2028-05-31"]
    begun = at("2027-12-31T10:00:00")
    for end in ends:
        end = at(f"{end}T10:00:00")
        assert period(subscription) == (begun, end)
        advance(clock, end + 2 * 3_600)
        begun = end
    invoices = v1.invoices.list({"subscription": subscription.id}).data
    assert [each.total for each in invoices] == [149_900] * 6 and {each.status for each in invoices} == {"paid"}
    charges = v1.charges.list({"customer": customer.id}).data
    assert len(charges) == 6, "each month is charged once"


def one_leap_over_a_year():
    _, price, customer, clock = shop(v1, clock=at("2026-01-30T00:00:00"))
    with_card(v1, customer)
    subscription = subscribe(v1, customer, price)
    advance(clock, at("2027-01-30T02:00:00"))
    invoices = v1.invoices.list({"subscription": subscription.id, "limit": 100}).data
    assert len(invoices) == 13
    days = [datetime.datetime.fromtimestamp(each.created, datetime.timezone.utc).day for each in invoices[::-1]]
    assert days == [30, 28, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30]


def changes_to_the_cent():
    product, price, customer, clock = shop(v1, clock=at("2026-04-01T00:00:00"), amount=10_000)
    dearer = v1.prices.create(
        {"product": product.id, "currency": "usd", "unit_amount": 20_001, "recurring": {"interval": "month"}}
    )
    with_card(v1, customer)
    subscription = subscribe(v1, customer, price)
    advance(clock, at("2026-04-11T00:00:00"))
    item = subscription["items"].data[0].id
    change = {"items": [{"id": item, "price": dearer.id}], "proration_behavior": "always_invoice"}
    v1.subscriptions.update(subscription.id, change)
    invoice = v1.invoices.list({"subscription": subscription.id}).data[0]
    # 20 of 30 days: 6,666.67 given back, 13,334 charged.
    assert sorted(line.amount for line in invoice.lines.data) == [-6_667, 13_334]
    assert (invoice.total, invoice.status, invoice.billing_reason) == (6_667, "paid", "subscription_update")
    advance(clock, at("2026-04-21T00:00:00"))
    v1.subscriptions.update(subscription.id, {"items": [{"id": item, "price": price.id}]})
    advance(clock, at("2026-05-01T02:00:00"))
    invoice = v1.invoices.list({"subscription": subscription.id}).data[0]
    assert sorted(line.amount for line in invoice.lines.data) == [-6_667, 3_333, 10_000]
    assert (invoice.total, invoice.status) == (6_666, "paid")
    # More is given back than is due: it stays on the customer's balance.
    v1.subscriptions.update(
        subscription.id, {"items": [{"id": item, "price": dearer.id}], "proration_behavior": "none"}
    )
    change = {"items": [{"id": item, "price": price.id}], "proration_behavior": "always_invoice"}
    v1.subscriptions.update(subscription.id, change)
    invoice = v1.invoices.list({"subscription": subscription.id}).data[0]
    assert (invoice.status, invoice.amount_due) == ("paid", 0) and invoice.total < -9_900
    assert v1.customers.retrieve(customer.id).balance == invoice.total


def trials():
    _, price, customer, clock = shop(v1, clock=at("2026-04-01T00:00:00"))
    with_card(v1, customer)
    subscription = subscribe(v1, customer, price, trial_period_days=14)
    assert subscription.status == "trialing" and period(subscription)[1] == at("2026-04-15T00:00:00")
    first = v1.invoices.list({"subscription": subscription.id}).data[0]
    assert (first.total, first.status) == (0, "paid")
    advance(clock, at("2026-04-12T00:00:00"))
    told = [each.data.object["id"] for each in v1.events.list({"type": "customer.subscription.trial_will_end"}).data]
    assert told == [subscription.id]
    advance(clock, at("2026-04-15T02:00:00"))
    now = v1.subscriptions.retrieve(subscription.id)
    assert now.status == "active" and period(subscription)[1] == at("2026-05-15T00:00:00")
    assert v1.invoices.list({"subscription": subscription.id}).data[0].total == 149_900


def who_does_not_pay():
    _, price, customer, clock = shop(v1, clock=at("2026-04-01T00:00:00"))
    with_card(v1, customer)
    subscription = subscribe(v1, customer, price)

    def status():
        return v1.subscriptions.retrieve(subscription.id).status

    does(f"customers/{customer.id}/conduct", conduct="fails")
    advance(clock, at("2026-05-01T02:00:00"))
    invoice = v1.invoices.list({"subscription": subscription.id}).data[0]
    assert (status(), invoice.status, invoice.attempt_count) == ("past_due", "open", 1)
    assert invoice.next_payment_attempt == at("2026-05-04T01:00:00")
    assert v1.customers.retrieve(customer.id).delinquent
    advance(clock, at("2026-05-10T00:00:00"))
    assert (status(), v1.invoices.retrieve(invoice.id).attempt_count) == ("past_due", 3)
    advance(clock, at("2026-05-17T00:00:00"))
    assert (status(), v1.invoices.retrieve(invoice.id).next_payment_attempt) == ("unpaid", None)
    does(f"customers/{customer.id}/conduct", conduct="pays")
    assert v1.invoices.pay(invoice.id).status == "paid"
    assert status() == "active" and not v1.customers.retrieve(customer.id).delinquent


def first_payments_that_fail():
    _, price, customer, clock = shop(v1, clock=at("2026-04-01T00:00:00"))
    with_card(v1, customer, "pm_card_chargeCustomerFail")
    subscription = subscribe(v1, customer, price)
    assert subscription.status == "incomplete"
    advance(clock, at("2026-04-02T00:00:00"))
    assert v1.subscriptions.retrieve(subscription.id).status == "incomplete_expired"
    assert v1.invoices.list({"subscription": subscription.id}).data[0].status == "void"


def endings():
    _, price, customer, clock = shop(v1, clock=at("2026-04-01T00:00:00"))
    with_card(v1, customer)
    ends = subscribe(v1, customer, price, cancel_at_period_end=True)
    now = subscribe(v1, customer, price)
    gone = v1.subscriptions.cancel(now.id)
    assert (gone.status, gone.ended_at, gone.cancellation_details.reason) == (
        "canceled",
        at("2026-04-01T00:00:00"),
        "cancellation_requested",
    )
    advance(clock, at("2026-05-02T00:00:00"))
    over = v1.subscriptions.retrieve(ends.id)
    assert (over.status, over.ended_at) == ("canceled", at("2026-05-01T00:00:00"))
    assert len(v1.invoices.list({"subscription": ends.id}).data) == 1, "nothing is charged after the end"
    assert v1.subscriptions.list({"customer": customer.id}).data == []


def everybodys_clock():
    _, price, customer, _ = shop(v1)
    with_card(v1, customer)
    subscription = subscribe(v1, customer, price)
    does("clock", advance=32 * DAY)
    assert len(v1.invoices.list({"subscription": subscription.id}).data) == 2


def time_that_passes_for_others():
    """What fell due has happened, all is older, and the clock says what it said."""
    _, price, customer, _ = shop(v1)
    with_card(v1, customer)
    subscription = subscribe(v1, customer, price)
    does(f"customers/{customer.id}/conduct", conduct="fails")
    now, (start, end) = does("clock", advance=0)["now"], period(subscription)
    does("pass", seconds=end - start + 2 * DAY)
    assert 0 <= does("clock", advance=0)["now"] - now < 60
    aged = period(subscription)
    assert aged[0] == start - 2 * DAY, "it was renewed two days ago"
    assert v1.subscriptions.retrieve(subscription.id).status == "past_due"
    invoice = v1.invoices.list({"subscription": subscription.id}).data[0]
    assert invoice.status_transitions.finalized_at == start - 2 * DAY + 3_600
    does("pass", seconds=20 * DAY)
    assert v1.subscriptions.retrieve(subscription.id).status == "unpaid"
    does(f"customers/{customer.id}/conduct", conduct="pays")
    v1.invoices.pay(invoice.id)
    assert v1.subscriptions.retrieve(subscription.id).status == "active"


if __name__ == "__main__":
    tell(
        ends_of_months,
        one_leap_over_a_year,
        changes_to_the_cent,
        trials,
        who_does_not_pay,
        first_payments_that_fail,
        endings,
        everybodys_clock,
        time_that_passes_for_others,
    )
