"""Stripe's errors as it words them (https://docs.stripe.com/api/errors), and one of our own for what the stand-in lacks."""


class StripeError(Exception):
    def __init__(self, status, kind, message, code=None, param=None, **further):
        super().__init__(message)
        self.status = status
        error = {"message": message, "type": kind}
        if code:
            error["code"] = code
            error["doc_url"] = f"https://stripe.com/docs/error-codes/{code.replace('_', '-')}"
        if param:
            error["param"] = param
        error.update(further)
        self.body = {"error": error}


def invalid(message, param=None, code=None, status=400):
    return StripeError(status, "invalid_request_error", message, code, param)


def unknown(param):
    return invalid(f"Received unknown parameter: {param}", param, "parameter_unknown")


def missing(param):
    return invalid(f"Missing required param: {param}.", param, "parameter_missing")


def empty(param):
    message = (
        f"You passed an empty string for '{param}'. We assume empty values are an attempt to unset a parameter; however "
        f"'{param}' cannot be unset. You should remove '{param}' from your request or supply a non-empty value."
    )
    return invalid(message, param, "parameter_invalid_empty")


def no_such(kind, name, param, status=400):
    return invalid(f"No such {kind}: '{name}'", param, "resource_missing", status)


def declined(code="card_declined", decline_code="generic_decline", **further):
    return StripeError(402, "card_error", "Your card was declined.", code, decline_code=decline_code, **further)


def lacks(what):
    """Stripe has it, this stand-in does not: a test that needs it adds it here."""
    return StripeError(501, "api_error", f"The stand-in lacks {what}, which Stripe has.", "stand_in_lacks")
