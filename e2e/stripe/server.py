"""The stand-in as a server: keys, idempotency, lists, `expand`, and Stripe's errors. What the API does is elsewhere."""

import base64
import copy
import hashlib
import http.server
import json
import sys
import threading
import traceback

import clocks
import control
import errors
import expansion
import forms
import pages
import routing
import schema
import shapes

LARGEST = 1_000_000


class Standin:
    """The world, one request at a time."""

    def __init__(self, world, post, key):
        self.world, self.post, self.key = world, post, key
        self.lock = threading.RLock()
        # Idempotency key to what it was first used with, and what was answered.
        self.done = {}
        self.requests = []
        self.outage = None

    def api(self, method, path, query, body, headers):
        """(status, JSON, headers) of a request to Stripe's API."""
        with self.lock:
            clocks.tick(self.world)
            request = self.world.id("req_", 14)
            further = {"Request-Id": request, "Stripe-Version": schema.VERSION}
            if headers.get("Idempotency-Key"):
                further["Idempotency-Key"] = headers["Idempotency-Key"]
            told = {"method": method, "path": path, "idempotency_key": headers.get("Idempotency-Key")}
            self.requests.append(told)
            outage = self.falls_out()
            if outage and not outage["after"]:
                return self.out(outage, told, further)
            try:
                status, answer = self.idempotent(method, path, query, body, headers, request, told, further)
            except errors.StripeError as error:
                status, answer = error.status, error.body
                answer["error"]["request_log_url"] = f"https://dashboard.stripe.com/test/logs/{request}"
            except Exception:
                traceback.print_exc()
                last = traceback.format_exc().strip().splitlines()[-1]
                status, answer = 500, {"error": {"type": "api_error", "message": f"The stand-in is at fault: {last}"}}
            told["status"] = status
            if outage:
                return self.out(outage, told, further)
            return status, answer, further

    def falls_out(self):
        if not self.outage or not self.outage["requests"]:
            return None
        self.outage["requests"] -= 1
        return self.outage

    def out(self, outage, told, further):
        told["status"] = outage["status"]
        message = "Sorry, something went wrong on Stripe's end (as the test asked for)."
        return outage["status"], {"error": {"type": "api_error", "message": message}}, further

    def idempotent(self, method, path, query, body, headers, request, told, further):
        self.check_key(headers)
        self.check_version(headers)
        tree = forms.decode(body if method == "POST" else query)
        told["params"] = tree
        key = headers.get("Idempotency-Key") if method == "POST" else None
        if key is None:
            return self.handle(method, path, tree, request, None)
        if len(key) > 255:
            raise errors.StripeError(400, "idempotency_error", "Idempotency keys are at most 255 characters long.")
        used = (method, path, body)
        if key in self.done:
            first, answer = self.done[key]
            if first != used:
                message = (
                    "Keys for idempotent requests can only be used with the same parameters they were first used with. Try "
                    f"using a key other than '{key}' if you meant to execute a different request."
                )
                raise errors.StripeError(400, "idempotency_error", message)
            further["Idempotent-Replayed"] = "true"
            return copy.deepcopy(answer)
        try:
            answer = self.handle(method, path, tree, request, key)
        except errors.StripeError as error:
            # What was not even begun may be tried again with the same key.
            if error.status not in (400, 401, 404, 501):
                self.done[key] = used, (error.status, error.body)
            raise
        self.done[key] = used, copy.deepcopy(answer)
        return answer

    def check_key(self, headers):
        given = headers.get("Authorization", "")
        scheme, _, rest = given.partition(" ")
        if scheme == "Basic":
            rest = base64.b64decode(rest, validate=False).decode(errors="replace").removesuffix(":")
        if not rest.strip():
            message = "You did not provide an API key. You need to provide your API key in the Authorization header."
            raise errors.invalid(message, status=401)
        if hashlib.sha256(rest.encode()).digest() != hashlib.sha256(self.key.encode()).digest():
            raise errors.invalid(f"Invalid API Key provided: {rest[:8]}{'*' * 8}{rest[-4:]}", status=401)

    def check_version(self, headers):
        version = headers.get("Stripe-Version", schema.VERSION)
        if version != schema.VERSION:
            raise errors.invalid(f"Invalid Stripe API version: {version}. This stand-in speaks {schema.VERSION}.")

    def handle(self, method, path, tree, request, key):
        found = routing.find(method, path)
        if found is None:
            message = f"Unrecognized request URL ({method}: {path}). Please see https://stripe.com/docs."
            raise errors.invalid(message, status=404)
        route, handler, named = found
        params = schema.check(route, tree)
        if handler is None:
            raise errors.lacks(f"{method} {route.path}")
        for name in params:
            if name not in handler.takes:
                raise errors.lacks(f"the parameter {name} of {method} {route.path}")
        expand = params.pop("expand", [])
        self.world.request = {"id": request, "idempotency_key": key}
        try:
            answer = handler.function(self.world, params, *named)
        finally:
            self.world.request = {"id": None, "idempotency_key": None}
        if isinstance(answer, list):
            answer = expansion.paged(answer, params, path)
        answer = copy.deepcopy(answer)
        for each in expand:
            expansion.expand(self.world, answer, each)
        if method == "DELETE" and answer.get("deleted"):
            return 200, {name: answer[name] for name in ("id", "object", "deleted")}
        return 200, shapes.complete(answer)

    def page(self, method, path, body):
        with self.lock:
            return pages.show(self.world, method, path, forms.decode(body) if method == "POST" else {})

    def test(self, method, path, body):
        with self.lock:
            try:
                status, answer = control.answer(self, method, path, json.loads(body or "{}"))
            except errors.StripeError as error:
                return error.status, error.body
            except Exception as error:
                traceback.print_exc()
                return 500, {"error": f"the stand-in is at fault: {type(error).__name__}: {error}"}
        return status, answer() if callable(answer) else answer


def serve(standin, port):
    """A server that listens on 127.0.0.1."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Head and body leave in two pieces; the second must not wait for the first one's acknowledgement.
        disable_nagle_algorithm = True

        def answer(self):
            path, _, query = self.path.partition("?")
            length = int(self.headers.get("Content-Length") or 0)
            if length > LARGEST:
                return self.send(413, {"error": {"type": "invalid_request_error", "message": "too large"}})
            body = self.rfile.read(length).decode()
            if path.startswith("/_test/"):
                return self.send(*standin.test(self.command, path, body))
            if path.startswith(("/v1/", "/v2/")):
                status, answer, further = standin.api(self.command, path, query, body, self.headers)
                if status == 0:
                    self.close_connection = True
                    return None
                return self.send(status, answer, further)
            status, text = standin.page(self.command, path, body)
            if status == 303:
                return self.write(303, b"", "text/plain", {"Location": text})
            return self.write(status, text.encode(), "text/html; charset=utf-8", {})

        do_GET = do_POST = do_DELETE = answer

        def send(self, status, answer, further=None):
            body = json.dumps(answer, indent=2, ensure_ascii=False).encode()
            self.write(status, body, "application/json", further or {})

        def write(self, status, body, kind, further):
            self.send_response(status)
            for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **further}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format, *arguments):
            print(format % arguments, file=sys.stderr, flush=True)

    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 64

    return Server(("127.0.0.1", port), Handler)
