"""Charges, refunds and disputes (https://docs.stripe.com/api/charges). No money moves, and every card is a test card."""

import errors
from routing import route
from world import listed, metadata

WORDS = {
    "fails": ("card_declined", "generic_decline", "Your card was declined."),
    "declined": ("card_declined", "generic_decline", "Your card was declined."),
    "insufficient_funds": ("card_declined", "insufficient_funds", "Your card has insufficient funds."),
    "expired": ("expired_card", "expired_card", "Your card has expired."),
}
SHOWN = ("brand", "last4", "exp_month", "exp_year", "country", "fingerprint", "funding")


def charge(world, invoice, customer, method):
    """Charges what is due. The refusal, if there is one."""
    conduct = world.conduct.get(method, "pays")
    intent = world.make(
        "payment_intent",
        "pi_3",
        amount=invoice["amount_due"],
        amount_capturable=0,
        amount_received=0,
        capture_method="automatic",
        client_secret=world.id("pi_secret_"),
        confirmation_method="automatic",
        currency=invoice["currency"],
        customer=customer["id"],
        created=world.now(invoice),
        description="Subscription creation"
        if invoice["billing_reason"] == "subscription_create"
        else "Subscription update",
        metadata={},
        payment_method=method,
        payment_method_types=["card"],
        setup_future_usage="off_session",
        status="requires_payment_method",
    )
    record(world, invoice, intent)
    if method is None:
        message = (
            "This customer has no attached payment source or default payment method. Please consider adding a default "
            "payment method."
        )
        world.happened("payment_intent.payment_failed", intent)
        return errors.invalid(message, None, "resource_missing", 402)
    code, decline, message = WORDS.get(conduct, (None, None, None))
    made = make_charge(world, intent, method, code, decline, message)
    intent["latest_charge"] = made["id"]
    if code:
        error = {"type": "card_error", "code": code, "decline_code": decline, "message": message, "charge": made["id"]}
        intent["last_payment_error"] = error
        world.happened("charge.failed", made)
        world.happened("payment_intent.payment_failed", intent)
        return errors.StripeError(402, "card_error", message, code, decline_code=decline, charge=made["id"])
    intent.update(status="succeeded", amount_received=intent["amount"])
    world.happened("charge.succeeded", made)
    world.happened("payment_intent.succeeded", intent)
    if conduct == "disputed":
        dispute(world, made, "fraudulent")
    return None


def record(world, invoice, intent):
    """What ties a payment to its invoice: neither the charge nor the intent names it any more."""
    for old in world.all("invoice_payment", invoice=invoice["id"], status="open"):
        old.update(status="canceled", is_default=False)
    world.make(
        "invoice_payment",
        "inpay_1",
        amount_requested=intent["amount"],
        currency=intent["currency"],
        invoice=invoice["id"],
        is_default=True,
        created=intent["created"],
        payment={"type": "payment_intent", "payment_intent": intent["id"]},
        status="open",
        status_transitions={},
    )


def make_charge(world, intent, method, code, decline, message):
    card = world.find("payment_method", method)
    failed = code is not None
    if not failed:
        payment = next(
            each for each in world.all("invoice_payment") if each["payment"]["payment_intent"] == intent["id"]
        )
        payment.update(status="paid", amount_paid=intent["amount"], status_transitions={"paid_at": intent["created"]})
    return world.make(
        "charge",
        "ch_3",
        amount=intent["amount"],
        amount_captured=0 if failed else intent["amount"],
        amount_refunded=0,
        billing_details=card["billing_details"],
        captured=not failed,
        currency=intent["currency"],
        customer=intent["customer"],
        created=intent["created"],
        description=intent["description"],
        disputed=False,
        failure_code=code,
        failure_message=message,
        fraud_details={},
        metadata={},
        outcome={
            "type": "issuer_declined" if failed else "authorized",
            "network_status": "declined_by_network" if failed else "approved_by_network",
            "reason": decline,
            "risk_level": "normal",
            "seller_message": "The bank did not return any further details." if failed else "Payment complete.",
        },
        paid=not failed,
        payment_intent=intent["id"],
        payment_method=method,
        payment_method_details={"type": "card", "card": {name: card["card"][name] for name in SHOWN}},
        receipt_url=None if failed else f"{world.url}/receipts/{intent['id']}",
        refunded=False,
        status="failed" if failed else "succeeded",
    )


@route("GET /v1/charges/{}")
def retrieve_charge(world, params, name):
    return world.find("charge", name, status=404)


@route("GET /v1/charges", "customer payment_intent limit starting_after ending_before created")
def list_charges(world, params):
    return world.all("charge", **{name: params[name] for name in ("customer", "payment_intent") if name in params})


@route("GET /v1/payment_intents/{}")
def retrieve_intent(world, params, name):
    return world.find("payment_intent", name, status=404)


@route("GET /v1/payment_intents", "customer limit starting_after ending_before created")
def list_intents(world, params):
    return world.all("payment_intent", **{name: params[name] for name in ("customer",) if name in params})


@route("GET /v1/invoice_payments/{}")
def retrieve_payment(world, params, name):
    return world.find("invoice_payment", name, status=404)


@route("GET /v1/invoice_payments", "invoice payment status limit starting_after ending_before created")
def list_payments(world, params):
    like = {name: params[name] for name in ("invoice", "status") if name in params}
    intent = params.get("payment", {}).get("payment_intent")
    return [
        each for each in world.all("invoice_payment", **like) if intent in (None, each["payment"]["payment_intent"])
    ]


# Refunds.


@route("POST /v1/refunds", "charge payment_intent amount reason metadata")
def refund(world, params):
    made = refunded_charge(world, params)
    left = made["amount"] - made["amount_refunded"]
    amount = params.get("amount", left)
    if made["refunded"] or left == 0:
        message = f"Charge {made['id']} has already been refunded."
        raise errors.invalid(message, None, "charge_already_refunded")
    if made["disputed"]:
        raise errors.invalid(
            f"Charge {made['id']} has been charged back; cannot issue a refund.", None, "charge_disputed"
        )
    if amount <= 0 or amount > left:
        message = f"Refund amount (${amount / 100:.2f}) is greater than unrefunded amount on charge (${left / 100:.2f})"
        raise errors.invalid(message, "amount")
    given = world.make(
        "refund",
        "re_3",
        amount=amount,
        charge=made["id"],
        currency=made["currency"],
        created=world.now(world.find("customer", made["customer"])),
        destination_details={"type": "card", "card": {"type": "refund", "reference_status": "pending"}},
        metadata=metadata({}, params.get("metadata")),
        payment_intent=made["payment_intent"],
        reason=params.get("reason"),
        status="succeeded",
    )
    before = {"amount_refunded": made["amount_refunded"], "refunded": made["refunded"]}
    total = made["amount_refunded"] + amount
    made.update(amount_refunded=total, refunded=total == made["amount"])
    world.happened("refund.created", given)
    world.happened("charge.refunded", made, before)
    return given


def refunded_charge(world, params):
    if ("charge" in params) == ("payment_intent" in params):
        message = "You must provide either `charge` or `payment_intent`, and not both."
        raise errors.invalid(message, "charge", "parameter_missing")
    if "charge" in params:
        return world.find("charge", params["charge"], "charge")
    intent = world.find("payment_intent", params["payment_intent"], "payment_intent")
    if intent["status"] != "succeeded":
        message = f"This PaymentIntent ({intent['id']}) does not have a successful charge to refund."
        raise errors.invalid(message, "payment_intent", "payment_intent_unexpected_state")
    return world.find("charge", intent["latest_charge"])


@route("GET /v1/refunds/{}")
def retrieve_refund(world, params, name):
    return world.find("refund", name, status=404)


@route("GET /v1/refunds", "charge payment_intent limit starting_after ending_before created")
def list_refunds(world, params):
    return world.all("refund", **{name: params[name] for name in ("charge", "payment_intent") if name in params})


# Disputes: who holds the card goes to their bank.


def dispute(world, made, reason):
    world.change(made, "charge.updated", disputed=True)
    now = world.now(world.find("customer", made["customer"]))
    thing = world.make(
        "dispute",
        "du_1",
        amount=made["amount"] - made["amount_refunded"],
        balance_transactions=[],
        charge=made["id"],
        currency=made["currency"],
        created=now,
        enhanced_eligibility_types=[],
        evidence={"enhanced_evidence": {}},
        evidence_details={
            "due_by": now + 9 * 86_400,
            "enhanced_eligibility": {},
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
            "submission_method": "not_submitted",
        },
        is_charge_refundable=False,
        metadata={},
        payment_intent=made["payment_intent"],
        reason=reason,
        status="needs_response",
    )
    world.happened("charge.dispute.created", thing)
    world.happened("charge.dispute.funds_withdrawn", thing)
    return thing


def close_dispute(world, thing, status):
    world.change(thing, "charge.dispute.closed", status=status)
    if status == "won":
        world.happened("charge.dispute.funds_reinstated", thing)


@route("POST /v1/disputes/{}/close")
def accept_dispute(world, params, name):
    thing = world.find("dispute", name, status=404)
    close_dispute(world, thing, "lost")
    return thing


@route("GET /v1/disputes/{}")
def retrieve_dispute(world, params, name):
    return world.find("dispute", name, status=404)


@route("GET /v1/disputes", "charge payment_intent limit starting_after ending_before created")
def list_disputes(world, params):
    return world.all("dispute", **{name: params[name] for name in ("charge", "payment_intent") if name in params})


def includable(world):
    world.includable["charge", "refunds"] = lambda made: listed(
        world.all("refund", charge=made["id"])[::-1], f"/v1/charges/{made['id']}/refunds"
    )
    world.includable["invoice", "payments"] = lambda invoice: listed(
        world.all("invoice_payment", invoice=invoice["id"])[::-1], f"/v1/invoice_payments?invoice={invoice['id']}"
    )
