"""What Stripe's own Python package says of the API: every route, and the parameters that each takes.

The types are read, not copied: a newer package is a newer API. Enumerations are closed here, as Stripe has them, though
the package leaves them open for what may come.
"""

import ast
import functools
import importlib
import pathlib
import re
import typing
from decimal import Decimal, InvalidOperation

import stripe
import typing_extensions
from stripe._api_version import _ApiVersion
from stripe._request_options import RequestOptions

import errors
import forms

VERSION = _ApiVersion.CURRENT
OPTIONS = set(RequestOptions.__annotations__)
PACKAGE = pathlib.Path(stripe.__file__).parent


class Route(typing.NamedTuple):
    """`pattern` names its variables; `module` and `name` say where the type of its parameters is, if it takes any."""

    method: str
    path: str
    pattern: re.Pattern
    module: str | None
    name: str | None

    def parameters(self):
        """Name to type of each parameter."""
        if self.name is None:
            return {}
        return fields(getattr(importlib.import_module(self.module), self.name))


def routes():
    """Every route of Stripe's API, by the services of the package."""
    found = {}
    for file in sorted(PACKAGE.rglob("_*_service.py")):
        tree = ast.parse(file.read_text())
        places = {
            alias.name: node.module
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and node.module.startswith("stripe.params")
            for alias in node.names
        }
        for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
            for call in (node for node in ast.walk(function) if is_request(node)):
                method, path = call.args[0].value.upper(), literal(call.args[1])
                name = parameter_type(function)
                # The variables' names differ from service to service; the path is the same.
                plain = re.sub(r"\{[^}]*\}", "{}", path)
                pattern = re.compile("^" + re.escape(plain).replace(r"\{\}", "([^/]+)") + "$")
                found[method, plain] = Route(method, plain, pattern, places.get(name), name)
    return found


def is_request(node):
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "_request"


def literal(node):
    """The text of `"…"` or of `"…".format(…)`."""
    return node.value if isinstance(node, ast.Constant) else node.func.value.value


def parameter_type(function):
    for argument in function.args.args:
        if argument.arg == "params":
            match = re.search(r"\w+Params\b", ast.unparse(argument.annotation))
            return match[0] if match else None
    return None


@functools.cache
def fields(typed):
    """Name to type, without the options of a request, which every type of parameters inherits."""
    own = {name: hint for name, hint in typed.__annotations__.items() if name not in OPTIONS}
    alike = type(typed.__name__, (), {"__annotations__": own, "__module__": typed.__module__})
    return typing_extensions.get_type_hints(alike, include_extras=True)


def check(route, tree):
    """The parameters in their types, or Stripe's refusal."""
    return hash_of(route.parameters(), tree, "")


def hash_of(hints, tree, place):
    def named(name):
        return f"{place}[{name}]" if place else name

    for name in tree:
        if name not in hints:
            raise errors.unknown(named(name))
    result = {}
    for name, hint in hints.items():
        required = typing_extensions.get_origin(hint) is not typing_extensions.NotRequired
        hint = hint if required else typing_extensions.get_args(hint)[0]
        if name in tree:
            result[name] = value_of(hint, tree[name], named(name))
        elif required:
            raise errors.missing(named(name))
    return result


def value_of(hint, value, place):
    kinds = alternatives(hint)
    literals = [word for kind in kinds if typing.get_origin(kind) is typing.Literal for word in typing.get_args(kind)]
    if value == "":
        if "" in literals:
            return ""
        raise errors.empty(place)
    if isinstance(value, dict):
        return compound(kinds, value, place)
    return scalar(kinds, [word for word in literals if word != ""], value, place)


def alternatives(hint):
    if typing.get_origin(hint) is typing.Union or type(hint).__name__ == "UnionType":
        return [kind for each in typing.get_args(hint) for kind in alternatives(each)]
    return [hint]


def compound(kinds, value, place):
    for kind in kinds:
        origin = typing.get_origin(kind)
        if origin is list and forms.items(value) is not None:
            inner = typing.get_args(kind)[0]
            return [value_of(inner, each, f"{place}[{number}]") for number, each in enumerate(forms.items(value))]
        if origin is dict:
            return metadata(value, place)
        if typing_extensions.is_typeddict(kind):
            return hash_of(fields(kind), value, place)
    wanted = "array" if any(typing.get_origin(kind) is list for kind in kinds) else "string"
    raise errors.invalid(f"Invalid {wanted}: {value}", place)


def metadata(value, place):
    """Limits: https://docs.stripe.com/metadata"""
    if len(value) > 50:
        raise errors.invalid("Metadata can have at most 50 keys", place)
    for name, text in value.items():
        if not isinstance(text, str):
            raise errors.invalid(f"Invalid string: {text}", f"{place}[{name}]")
        if len(name) > 40 or len(text) > 500:
            raise errors.invalid(f"Metadata values can have up to 500 characters, names 40: {name}", f"{place}[{name}]")
    return dict(value)


def scalar(kinds, words, value, place):
    if value in words:
        return value
    plain = [kind for kind in kinds if kind in (bool, int, float, Decimal)]
    for kind in plain:
        try:
            return number(kind, value)
        except (ValueError, InvalidOperation):
            pass
    if str in kinds and not words and not plain:
        return value
    if plain:
        name = {bool: "boolean", int: "integer"}.get(plain[0], "decimal")
        code = "parameter_invalid_integer" if plain[0] is int else None
        raise errors.invalid(f"Invalid {name}: {value}", place, code)
    if words:
        shown = words[0] if len(words) == 1 else f"{', '.join(words[:-1])}, or {words[-1]}"
        raise errors.invalid(f"Invalid {place}: must be one of {shown}", place)
    wanted = "array" if any(typing.get_origin(kind) is list for kind in kinds) else "object"
    raise errors.invalid(f"Invalid {wanted}", place)


def number(kind, value):
    if kind is bool:
        return {"true": True, "false": False}[value] if value in ("true", "false") else fail(value)
    if kind is int:
        return int(value) if re.fullmatch(r"-?\d+", value) else fail(value)
    # Decimals keep every digit, as text.
    Decimal(value)
    return value if kind is Decimal else float(value)


def fail(value):
    raise ValueError(value)
