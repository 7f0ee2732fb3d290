"""One object of any size, made while it is sent and forgotten while it is read:
`stream.py put|parts|get BUCKET KEY SIZE [SECONDS]` prints its SHA-256 and the seconds that it took. `put` and `get` are
one request to a presigned URL, `parts` an upload in parts by boto3. An upload takes SECONDS at least.
"""

import hashlib
import http.client
import itertools
import random
import sys
import time
import urllib.parse

from s3 import client

BLOCK = 1 << 20
PART = 16 << 20
FILLING = random.Random(1).randbytes(BLOCK - 8)


def blocks(size, digest, seconds):
    begun, count = time.monotonic(), -(-size // BLOCK)
    for number in range(count):
        time.sleep(max(0, begun + seconds * number / count - time.monotonic()))
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


def presigned(s3, operation, bucket, key):
    return s3.generate_presigned_url(operation, {"Bucket": bucket, "Key": key})


def put(s3, bucket, key, size, digest, seconds):
    url = presigned(s3, "put_object", bucket, key)
    body = blocks(size, digest, seconds)
    answer("PUT", url, body=body, headers={"Content-Length": str(size)}).read()


def parts(s3, bucket, key, size, digest, seconds):
    upload = {"Bucket": bucket, "Key": key}
    upload["UploadId"] = s3.create_multipart_upload(**upload)["UploadId"]
    done, part = [], b""
    for block in itertools.chain(blocks(size, digest, seconds), [None]):
        part += block or b""
        if block is None or len(part) >= PART:
            number = len(done) + 1
            sent = s3.upload_part(**upload, PartNumber=number, Body=part)
            done.append({"PartNumber": number, "ETag": sent["ETag"]})
            part = b""
    s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": done})


def get(s3, bucket, key, size, digest, seconds):
    response = answer("GET", presigned(s3, "get_object", bucket, key))
    assert response.length == size, response.length
    while block := response.read(BLOCK):
        digest.update(block)


def main(way, bucket, key, size, seconds="0"):
    s3 = client(signature_version="s3v4")
    digest, begun = hashlib.sha256(), time.monotonic()
    {"put": put, "parts": parts, "get": get}[way](s3, bucket, key, int(size), digest, int(seconds))
    print(digest.hexdigest(), f"{time.monotonic() - begun:.2f}")


main(*sys.argv[1:])
