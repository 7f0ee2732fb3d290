"""What the package says of Stripe's objects. Every object that leaves the stand-in is held against it: a field that Stripe
does not have, or lacks, or has in another type, is a defect of the stand-in and fails the request.
"""

import functools
import importlib
import typing
from decimal import Decimal

from stripe._list_object import ListObject
from stripe._object_classes import OBJECT_CLASSES
from stripe._stripe_object import StripeObject, UntypedStripeObject

# They are there only when asked for by `expand`, or only on what was deleted.
ABSENT = {
    "customer": {"deleted", "subscriptions", "tax_ids", "sources", "tax", "cash_balance", "invoice_credit_balance"},
    "checkout.session": {"line_items"},
    "invoice": {"deleted", "payments", "confirmation_secret"},
    "charge": {"refunds"},
    "price": {"deleted", "tiers", "currency_options"},
    "webhook_endpoint": {"secret", "deleted"},
}


class Misshapen(Exception):
    pass


@functools.cache
def class_of(kind):
    try:
        module, name = OBJECT_CLASSES[kind]
    except KeyError:
        raise Misshapen(f"Stripe has no object {kind}") from None
    return getattr(importlib.import_module(module), name)


@functools.cache
def hints_of(cls):
    hints = {name: hint for name, hint in cls.__annotations__.items() if typing.get_origin(hint) is not typing.ClassVar}
    return {name: hint for name, hint in hints.items() if not name.startswith("_")}


def complete(thing):
    """The object with null where Stripe says that there may be nothing."""
    kind = thing["object"]
    if kind == "list":
        return {**thing, "data": [complete(each) for each in thing["data"]]}
    if thing.get("deleted") is True:
        return {name: thing[name] for name in ("id", "object", "deleted")}
    absent = ABSENT.get(kind, {"deleted"})
    return fill(hints_of(class_of(kind)), thing, kind, absent)


def fill(hints, thing, place, absent=frozenset()):
    for name in thing:
        if name not in hints:
            raise Misshapen(f"Stripe has no {place}.{name}")
    result = {}
    for name, hint in hints.items():
        where = f"{place}.{name}"
        if name in thing:
            result[name] = fit(hint, thing[name], where)
        elif name not in absent:
            if type(None) not in typing.get_args(hint):
                raise Misshapen(f"{where} is missing")
            result[name] = None
    return result


def fit(hint, value, place):
    kinds = flat(hint)
    if value is None:
        if type(None) in kinds:
            return None
        raise Misshapen(f"{place} is null")
    words = [word for kind in kinds if typing.get_origin(kind) is typing.Literal for word in typing.get_args(kind)]
    for kind in kinds:
        if kind is str and words:
            continue
        fitted = fit_one(kind, value, place)
        if fitted is not None:
            return fitted[0]
    raise Misshapen(f"{place} is {value!r}, not {hint}")


def flat(hint):
    if typing.get_origin(hint) is typing.Union or type(hint).__name__ == "UnionType":
        return [kind for each in typing.get_args(hint) for kind in flat(each)]
    return [hint]


def fit_one(kind, value, place):
    """(the value as it goes out,), or None if it is no such thing."""
    origin = typing.get_origin(kind)
    if origin is typing.Literal:
        return (value,) if value in typing.get_args(kind) and value is not False else None
    if isinstance(value, dict):
        return fit_hash(kind, origin, value, place)
    if isinstance(value, list):
        if origin is not list:
            return None
        inner = typing.get_args(kind)[0]
        return ([fit(inner, each, f"{place}[{number}]") for number, each in enumerate(value)],)
    plain = {bool: bool, str: str, int: int, float: (int, float), Decimal: str}.get(kind)
    if plain and isinstance(value, plain) and isinstance(value, bool) == (kind is bool):
        return (value,)
    return None


def fit_hash(kind, origin, value, place):
    if origin is UntypedStripeObject or kind is UntypedStripeObject or origin is dict:
        return (value,)
    if origin is ListObject:
        return (complete(value),)
    if isinstance(kind, (str, typing.ForwardRef)):
        # Another resource, whose class names itself.
        name = kind if isinstance(kind, str) else kind.__forward_arg__
        wanted = value.get("object") and class_of(value["object"]).__name__
        return (complete(value),) if wanted in (name, name.removesuffix("Resource")) else None
    if isinstance(kind, type) and issubclass(kind, StripeObject):
        if isinstance(value.get("object"), str) and "object" in hints_of(kind):
            return (complete(value),)
        return (fill(hints_of(kind), value, place),)
    return None
