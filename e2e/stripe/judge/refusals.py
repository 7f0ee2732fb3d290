"""What Stripe refuses, the stand-in refuses with the same error; each beside the request that passes."""

import stripe
from stand import client, does, raw, refused, shop, tell

v1 = client()


def error(method, path, form="", **further):
    status, body, _ = raw(method, path, form, **further)
    return status, body.get("error", {})


def unknown_parameters():
    assert raw("POST", "/v1/customers", "email=a%40b.example")[0] == 200
    status, told = error("POST", "/v1/customers", "emial=a%40b.example")
    assert status == 400 and told["type"] == "invalid_request_error"
    assert (told["code"], told["param"]) == ("parameter_unknown", "emial")
    assert told["message"] == "Received unknown parameter: emial"
    status, told = error("POST", "/v1/customers", "address[town]=London")
    assert (status, told["param"]) == (400, "address[town]")
    status, told = error("GET", "/v1/customers?mail=x")
    assert (status, told["param"]) == (400, "mail")
    _, price, customer, _ = shop(v1)
    form = f"customer={customer.id}&items[0][price]={price.id}&items[0][plann]=x"
    status, told = error("POST", "/v1/subscriptions", form)
    assert (status, told["param"]) == (400, "items[0][plann]")
    # It had this one for years.
    status, told = error("POST", "/v1/subscriptions", f"customer={customer.id}&items[0][price]={price.id}&coupon=x")
    assert (status, told["param"]) == (400, "coupon")


def missing_and_wrong():
    assert error("POST", "/v1/prices", "unit_amount=1")[1]["code"] == "parameter_missing"
    cases = [
        ("currency=usd&unit_amount=abc", "parameter_invalid_integer", "unit_amount"),
        ("currency=usd&unit_amount=1.5", "parameter_invalid_integer", "unit_amount"),
        ("currency=usd&unit_amount=1&active=yes", None, "active"),
        ("currency=usd&unit_amount=1&recurring[interval]=fortnight", None, "recurring[interval]"),
        ("currency=usd&unit_amount=1&recurring=month", None, "recurring"),
        ("currency=usd&unit_amount=1&nickname=", "parameter_invalid_empty", "nickname"),
        ("currency=usd&unit_amount=1&product=prod_nothing", "resource_missing", "product"),
    ]
    for form, code, param in cases:
        status, told = error("POST", "/v1/prices", form)
        assert (status, told.get("code"), told["param"]) == (400, code, param), (form, told)
    status, told = error("POST", "/v1/prices", "currency=usd&unit_amount=1&recurring[interval]=fortnight")
    assert told["message"] == "Invalid recurring[interval]: must be one of day, month, week, or year"
    assert raw("POST", "/v1/prices", "currency=usd&unit_amount=1&product_data[name]=x")[0] == 200
    # An empty value unsets where Stripe lets it.
    assert raw("POST", "/v1/customers", "metadata=")[0] == 200


def nobody_and_nothing():
    assert raw("GET", "/v1/customers", key="sk_test_other")[0] == 401
    status, body, _ = raw("GET", "/v1/customers", key="")
    assert status == 401 and "did not provide an API key" in body["error"]["message"]
    refused(stripe.AuthenticationError, client("sk_test_other").customers.list)
    assert error("GET", "/v1/nothing")[0] == 404
    assert error("GET", "/v1/customers/cus_nobody")[:1] == (404,)
    refused(stripe.InvalidRequestError, v1.customers.retrieve, "cus_nobody", code="resource_missing")
    status, told = error("GET", "/v1/customers", Stripe_Version="2019-01-01")
    assert status == 400 and "Stripe API version" in told["message"]
    assert raw("GET", "/v1/customers", Stripe_Version=stripe.api_version)[0] == 200


def what_is_lacking_is_said():
    """Nothing that Stripe has is taken here and then ignored."""
    status, told = error("POST", "/v1/coupons", "percent_off=10&duration=once")
    assert (status, told["code"]) == (501, "stand_in_lacks")
    status, told = error("POST", "/v1/customers", "balance=100")
    assert (status, told["code"]) == (501, "stand_in_lacks") and "balance" in told["message"]


def an_outage():
    does("outage", requests=1, status=503)
    refused(stripe.APIError, v1.customers.list)
    assert v1.customers.list().object == "list"
    does("outage", requests=1, status=0, after=True)
    refused(stripe.APIConnectionError, v1.customers.list)
    # What was done and not answered is done once: the key tells.
    does("outage", requests=1, status=500, after=True)
    once = {"idempotency_key": "gone"}
    refused(stripe.APIError, v1.customers.create, {"email": "gone@engines.example"}, once)
    v1.customers.create({"email": "gone@engines.example"}, once)
    assert len(v1.customers.list({"email": "gone@engines.example"}).data) == 1


if __name__ == "__main__":
    tell(unknown_parameters, missing_and_wrong, nobody_and_nothing, what_is_lacking_is_said, an_outage)
