"""The stand-in's own judge is judged: an object that is not as Stripe's package has it does not pass."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

import shapes
from stand import refused, tell

PRODUCT = {
    "object": "product",
    "id": "prod_1",
    "active": True,
    "created": 1,
    "images": [],
    "livemode": False,
    "marketing_features": [],
    "metadata": {},
    "name": "Business",
    "type": "service",
    "updated": 1,
}


def as_it_should_be():
    whole = shapes.complete(PRODUCT)
    assert whole["description"] is None and "deleted" not in whole and whole["name"] == "Business"
    deleted = shapes.complete({**PRODUCT, "deleted": True})
    assert deleted == {"id": "prod_1", "object": "product", "deleted": True}


def as_it_should_not():
    cases = [
        ({"colour": "red"}, "Stripe has no product.colour"),
        ({"created": "1"}, "product.created is '1'"),
        ({"created": True}, "product.created is True"),
        ({"active": 1}, "product.active is 1"),
        ({"type": "thing"}, "product.type is 'thing'"),
        ({"name": None}, "product.name is null"),
        ({"images": ["x", 1]}, "product.images[1] is 1"),
        ({"tax_code": 7}, "product.tax_code is 7"),
        ({"marketing_features": [{"title": "x"}]}, "Stripe has no product.marketing_features[0].title"),
        ({"object": "product_line"}, "Stripe has no object product_line"),
    ]
    for change, says in cases:
        refused(shapes.Misshapen, shapes.complete, {**PRODUCT, **change}, says=says)
    without = {name: value for name, value in PRODUCT.items() if name != "name"}
    refused(shapes.Misshapen, shapes.complete, without, says="product.name is missing")


def what_it_names():
    price = {
        "object": "price",
        "id": "price_1",
        "active": True,
        "billing_scheme": "per_unit",
        "created": 1,
        "currency": "usd",
        "livemode": False,
        "metadata": {},
        "product": "prod_1",
        "type": "one_time",
    }
    assert shapes.complete(price)["product"] == "prod_1"
    assert shapes.complete({**price, "product": PRODUCT})["product"]["url"] is None
    refused(shapes.Misshapen, shapes.complete, {**price, "product": price}, says="price.product")


if __name__ == "__main__":
    tell(as_it_should_be, as_it_should_not, what_it_names)
