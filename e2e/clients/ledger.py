"""What a client knows that was answered: `ledger.py FILE BUCKET SECONDS-BETWEEN ENDPOINT...`.

FILE holds access keys, as a list of objects; a writer or a reader takes the next one when its own has seen a few answers
break off, so that what is unsure stays little beside what is known. It runs until standard input ends, and then prints
one line of JSON for each key: what was answered in full, and what broke off. Nothing is tried twice.
"""

import hashlib
import hmac
import http.client
import json
import random
import sys
import threading
import time

FILE, BUCKET, PAUSE, *ENDPOINTS = sys.argv[1:]
BROKEN_AT_MOST = 10
KEYS = json.load(open(FILE))
STOP = threading.Event()
LOCK = threading.Lock()
LEDGERS = []
WRITTEN = []


def signed(key, method, host, path):
    """Headers of Signature Version 4, with a body that is not signed."""
    now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    scope = f"{now[:8]}/us-east-1/s3/aws4_request"
    names = "host;x-amz-content-sha256;x-amz-date"
    canonical = f"{method}\n{path}\n\nhost:{host}\nx-amz-content-sha256:UNSIGNED-PAYLOAD\nx-amz-date:{now}\n\n{names}\nUNSIGNED-PAYLOAD"
    text = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    derived = ("AWS4" + key["secret_access_key"]).encode()
    for part in (now[:8], "us-east-1", "s3", "aws4_request", text):
        derived = hmac.new(derived, part.encode(), "sha256").digest()
    return {
        "host": host,
        "x-amz-date": now,
        "x-amz-content-sha256": "UNSIGNED-PAYLOAD",
        "authorization": f"AWS4-HMAC-SHA256 Credential={key['access_key_id']}/{scope}, SignedHeaders={names}, Signature={derived.hex()}",
    }


class Worker(threading.Thread):
    def __init__(self, act):
        super().__init__(daemon=True)
        self.act, self.connections = act, {}
        self.turn()

    def turn(self):
        with LOCK:
            self.key = KEYS.pop()
            self.ledger = {
                "access_key_id": self.key["access_key_id"], "writes": self.act is write,
                "requests": 0, "bytes_in": 0, "bytes_out": 0, "refused": 0, "broken": [],
            }
            LEDGERS.append(self.ledger)

    def run(self):
        while not STOP.wait(float(PAUSE)):
            self.act(self)
            if len(self.ledger["broken"]) >= BROKEN_AT_MOST and len(KEYS) > 0:
                self.turn()

    def ask(self, method, path, body=b"", expected=0):
        """The status, or None when it broke off; `expected`: the most that the answer's body has."""
        host = random.choice(ENDPOINTS).removeprefix("http://")
        path = f"/{BUCKET}/{path}"
        ledger, asked = self.ledger, False
        try:
            if host not in self.connections:
                self.connections[host] = http.client.HTTPConnection(host, timeout=30)
                self.connections[host].connect()
            connection = self.connections[host]
            asked = True
            connection.request(method, path, body=body, headers=signed(self.key, method, host, path))
            answer = connection.getresponse()
            status, length = answer.status, len(answer.read())
        except (OSError, http.client.HTTPException):
            self.connections.pop(host, None)
            if asked:
                ledger["broken"].append([len(body), expected])
            return None
        if status in (200, 204, 206, 304, 404, 412, 416):
            ledger["requests"] += 1
            ledger["bytes_in"] += len(body)
            ledger["bytes_out"] += length
        else:
            ledger["refused"] += 1
        return status


def write(worker):
    name, size = f"{random.getrandbits(64):x}", random.randrange(1, 100_000)
    if worker.ask("PUT", name, b"x" * size) == 200:
        with LOCK:
            WRITTEN.append((name, size))


def read(worker):
    with LOCK:
        name, size = random.choice(WRITTEN or [("nothing", 1000)])
    worker.ask(random.choice(["GET", "GET", "HEAD"]), random.choice([name, name, name, "missing"]), expected=max(size, 1000))


workers = [Worker(act) for act in (write, write, read, read)]
for worker in workers:
    worker.start()
sys.stdin.read()
STOP.set()
for worker in workers:
    worker.join()
for ledger in LEDGERS:
    print(json.dumps(ledger))
