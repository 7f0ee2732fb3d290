"""One object of any size, made while it is sent and forgotten while it is read, over a presigned URL:
`stream.py put|get BUCKET KEY SIZE` prints its SHA-256 and the seconds that it took.
"""

import hashlib
import http.client
import random
import sys
import time
import urllib.parse

from s3 import client

BLOCK = 1 << 20
FILLING = random.Random(1).randbytes(BLOCK - 8)


def blocks(size, digest):
    for number in range(-(-size // BLOCK)):
        block = (number.to_bytes(8, "big") + FILLING)[: size - number * BLOCK]
        digest.update(block)
        yield block


def answer(method, url, **request):
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=120)
    connection.request(method, f"{parts.path}?{parts.query}", **request)
    response = connection.getresponse()
    assert response.status == 200, (response.status, response.read())
    return response


def put(url, size, digest):
    answer("PUT", url, body=blocks(size, digest), headers={"Content-Length": str(size)}).read()


def get(url, size, digest):
    response = answer("GET", url)
    assert response.length == size, response.length
    while block := response.read(BLOCK):
        digest.update(block)


def main(way, bucket, key, size):
    s3 = client(signature_version="s3v4")
    operation = {"put": "put_object", "get": "get_object"}[way]
    url = s3.generate_presigned_url(operation, {"Bucket": bucket, "Key": key})
    digest, begun = hashlib.sha256(), time.monotonic()
    {"put": put, "get": get}[way](url, int(size), digest)
    print(digest.hexdigest(), f"{time.monotonic() - begun:.2f}")


main(*sys.argv[1:])
