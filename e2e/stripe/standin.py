"""A stateful stand-in for Stripe, for tests: `standin.py --port 0` prints `listening on 127.0.0.1:PORT`.

It speaks the version of the API that the installed package `stripe` speaks. README.md says what it does.
"""

import argparse

import catalog
import checkout
import customers
import delivery
import events
import payments
import portal
import server
import subscriptions
from world import World


def main():
    parser = argparse.ArgumentParser(description="A stateful stand-in for Stripe, for tests.")
    parser.add_argument("--port", type=int, default=0, help="0 [the default] takes a free one")
    parser.add_argument("--name", default="127.0.0.1", help="of this machine in the addresses of its pages [127.0.0.1]")
    parser.add_argument("--livemode", action="store_true", help="objects and events say that they are real")
    parser.add_argument("--key", help="the secret key [sk_test_standin, or sk_live_standin]")
    parser.add_argument("--webhook-url", help="an endpoint that hears every event")
    parser.add_argument("--webhook-secret", default="whsec_standin", help="its signing secret [whsec_standin]")
    parser.add_argument("--now", type=int, help="a clock that stands at these seconds of Unix time [the real time]")
    given = parser.parse_args()

    world = World(given.livemode, given.now)
    for part in (catalog, checkout, customers, payments, subscriptions):
        part.includable(world)
    portal.begin(world)
    if given.webhook_url:
        events.make(world, given.webhook_url, ["*"], given.webhook_secret)
    key = given.key or ("sk_live_standin" if given.livemode else "sk_test_standin")
    listener = server.serve(server.Standin(world, delivery.Post(world), key), given.port)
    world.url = f"http://{given.name}:{listener.server_port}"
    print(f"listening on 127.0.0.1:{listener.server_port}", flush=True)
    listener.serve_forever()


if __name__ == "__main__":
    main()
