"""Stripe's request bodies: forms whose names have brackets, `items[0][price]=…`, `expand[]=…`. It knows no parameter."""

import re
import urllib.parse

from errors import invalid

NAME = re.compile(r"^([^\[\]]+)((?:\[[^\[\]]*\])*)$")


def decode(text):
    """The tree of a form or query: dictionaries and strings; lists are dictionaries with numbers for names."""
    tree = {}
    for name, value in urllib.parse.parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text)):
        match = NAME.match(name)
        if not match:
            raise invalid(f"Invalid request (check that your parameter names are well formed): {name}")
        path = [match[1], *re.findall(r"\[([^\[\]]*)\]", match[2])]
        place = tree
        for step in path[:-1]:
            place = place.setdefault(numbered(place, step), {})
            if not isinstance(place, dict):
                raise invalid(f"Invalid request: {name} is given both as a value and as a hash")
        place[numbered(place, path[-1])] = value
    return tree


def numbered(place, step):
    return step if step else str(len(place))


def items(tree):
    """The elements if the tree is a list, else None."""
    if isinstance(tree, dict) and all(name.isdigit() for name in tree):
        return [value for _, value in sorted(tree.items(), key=lambda pair: int(pair[0]))]
    return None
