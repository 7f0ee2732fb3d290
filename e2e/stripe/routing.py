"""Which function answers which route. A route that Stripe does not have cannot be registered, nor a parameter."""

import schema

STRIPES = schema.routes()
HANDLERS = {}


class Handler:
    def __init__(self, function, route, takes):
        self.function = function
        self.route = route
        self.takes = takes


def route(line, takes=""):
    """Answers `METHOD /path/{}`. `takes` names the parameters that are acted upon: what Stripe has beyond them is refused
    as lacking here, so that no test rests on what does nothing."""
    method, path = line.split(" ")
    known = STRIPES[method, path]
    names = set(takes.split()) | {"expand"}
    assert names - {"expand"} <= set(known.parameters()), f"Stripe's {line} takes no {names - set(known.parameters())}"

    def register(function):
        HANDLERS[method, path] = Handler(function, known, names)
        return function

    return register


def find(method, path):
    """(Stripe's route, our handler or None, what the path's variables are); None if Stripe has no such route."""
    found = [(known, known.pattern.match(path)) for known in STRIPES.values() if known.method == method]
    found = [(known, match) for known, match in found if match]
    if not found:
        return None
    # `/v1/invoices/upcoming` goes before `/v1/invoices/{}`.
    known, match = min(found, key=lambda pair: pair[0].path.count("{}"))
    return known, HANDLERS.get((known.method, known.path)), match.groups()
