"""Pages of lists, and `expand`: ids become what they name (https://docs.stripe.com/api/expanding_objects)."""

import copy

import errors
import shapes

DEEPEST = 4


def paged(things, params, path):
    """The newest first, from `starting_after` on or up to `ending_before`, `limit` [10] of them."""
    things = things[::-1]
    created = params.get("created")
    if created is not None:
        things = [each for each in things if within(each["created"], created)]
    limit = params.get("limit", 10)
    if not 1 <= limit <= 100:
        message = f"Invalid integer: {limit} must be between 1 and 100"
        raise errors.invalid(message, "limit", "parameter_invalid_integer")
    ids = [each["id"] for each in things]
    if "ending_before" in params:
        before = things[: place(ids, params, "ending_before")]
        return {"object": "list", "data": before[-limit:], "has_more": len(before) > limit, "url": path}
    rest = things[place(ids, params, "starting_after") + 1 :] if "starting_after" in params else things
    return {"object": "list", "data": rest[:limit], "has_more": len(rest) > limit, "url": path}


def place(ids, params, name):
    if params[name] not in ids:
        raise errors.no_such("object", params[name], name)
    return ids.index(params[name])


def within(created, wanted):
    if isinstance(wanted, int):
        return created == wanted
    compare = {"gt": int.__gt__, "gte": int.__ge__, "lt": int.__lt__, "lte": int.__le__}
    return all(compare[name](created, bound) for name, bound in wanted.items())


def expand(world, thing, path):
    steps = path.split(".")
    if len(steps) > DEEPEST:
        raise errors.invalid(f"You cannot expand more than {DEEPEST} levels of a property", "expand")
    walk(world, thing, steps, path)


def walk(world, thing, steps, path):
    if isinstance(thing, list):
        for each in thing:
            walk(world, each, steps, path)
        return
    if not steps:
        return
    step, rest = steps[0], steps[1:]
    include = world.includable.get((thing.get("object"), step))
    if include and not thing.get(step):
        thing[step] = copy.deepcopy(include(thing))
    elif step not in thing and "object" in thing and not known(thing, step):
        raise errors.invalid(f"This property cannot be expanded ({path}).", "expand")
    value = thing.get(step)
    if isinstance(value, str):
        found = world.anything(value)
        if found is None:
            raise errors.invalid(f"This property cannot be expanded ({path}).", "expand")
        value = thing[step] = copy.deepcopy(found)
    if isinstance(value, (dict, list)):
        walk(world, value, rest, path)


def known(thing, step):
    return step in shapes.hints_of(shapes.class_of(thing["object"]))
