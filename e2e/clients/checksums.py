"""Checksums of every algorithm, in headers and in trailers, right and wrong, in the forms that boto3 sends by itself.

Over plain HTTP it signs the body and puts the checksum into a header; over TLS it sends `aws-chunked` with a trailer
and leaves the body unsigned. TLS_ENDPOINT, with the certificate TLS_CA, is the same data plane behind TLS.
"""

import base64
import hashlib
import io
import os
import zlib

from awscrt import checksums as crt

from s3 import body, client, lacks, refused

plain = client()
tls = client(os.environ["TLS_ENDPOINT"], session_settings={"verify": os.environ["TLS_CA"]})
BUCKET = "checksums"
NEWER = ("SHA512", "MD5", "XXHASH64", "XXHASH3", "XXHASH128")
ALGORITHMS = ("CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256", *NEWER)
DATA = bytes(range(256)) * 1000


def xxhash(kind, data):
    running = getattr(crt.XXHash, f"new_{kind}")()
    running.update(data)
    return running.finalize()


def computed(algorithm, data):
    """In base64, by code that is not boto3's own."""
    raw = {
        "CRC32": lambda: zlib.crc32(data).to_bytes(4, "big"),
        "CRC32C": lambda: crt.crc32c(data).to_bytes(4, "big"),
        "CRC64NVME": lambda: crt.crc64nvme(data).to_bytes(8, "big"),
        "SHA1": lambda: hashlib.sha1(data).digest(),
        "SHA256": lambda: hashlib.sha256(data).digest(),
        "SHA512": lambda: hashlib.sha512(data).digest(),
        "MD5": lambda: hashlib.md5(data).digest(),
        "XXHASH64": lambda: xxhash("xxhash64", data),
        "XXHASH3": lambda: xxhash("xxhash3_64", data),
        "XXHASH128": lambda: xxhash("xxhash3_128", data),
    }[algorithm]()
    return base64.b64encode(raw).decode()


class Sent:
    """Notes the headers of what a client sends."""

    def __init__(self, s3):
        self.headers = {}
        s3.meta.events.register("before-send.s3", self.note)

    def note(self, request, **_):
        self.headers = {name.lower(): value for name, value in request.headers.items()}


def text(value):
    return value.decode() if isinstance(value, bytes) else value


def begun():
    plain.create_bucket(Bucket=BUCKET)


def every_algorithm():
    for s3, way in ((plain, "plain"), (tls, "tls")):
        for algorithm in ALGORITHMS:
            key, member = f"{way}/{algorithm}", f"Checksum{algorithm}"
            expected = computed(algorithm, DATA)
            # boto3 computes all of them but MD5.
            asked = {member: expected} if algorithm == "MD5" else {"ChecksumAlgorithm": algorithm}
            put = s3.put_object(Bucket=BUCKET, Key=key, Body=DATA, **asked)
            assert put[member] == expected, (key, put)
            assert member not in s3.head_object(Bucket=BUCKET, Key=key), "nobody asked for it"
            head = s3.head_object(Bucket=BUCKET, Key=key, ChecksumMode="ENABLED")
            # boto3 verifies what it reads against the checksum that it is told.
            got = s3.get_object(Bucket=BUCKET, Key=key, ChecksumMode="ENABLED")
            assert body(got) == DATA and head["ContentLength"] == len(DATA), key
            # An engine that is not known to keep them may keep some.
            kept = {expected, None} if lacks("newer-checksums" if algorithm in NEWER else "checksums") else {expected}
            assert {head.get(member), got.get(member)} <= kept, (key, head)


def a_wrong_one_stores_nothing():
    for s3, way in ((plain, "plain"), (tls, "tls")):
        for algorithm in ALGORITHMS:
            wrong = {f"Checksum{algorithm}": computed(algorithm, b"other")}
            refused("BadDigest", s3.put_object, Bucket=BUCKET, Key="wrong", Body=DATA, **wrong)
            refused("404", s3.head_object, Bucket=BUCKET, Key="wrong")
            right = {f"Checksum{algorithm}": computed(algorithm, DATA)}
            s3.put_object(Bucket=BUCKET, Key=f"right/{way}/{algorithm}", Body=DATA, **right)
    md5 = lambda data: base64.b64encode(hashlib.md5(data).digest()).decode()
    refused("BadDigest", plain.put_object, Bucket=BUCKET, Key="wrong", Body=DATA, ContentMD5=md5(b"other"))
    refused("404", plain.head_object, Bucket=BUCKET, Key="wrong")
    plain.put_object(Bucket=BUCKET, Key="md5", Body=DATA, ContentMD5=md5(DATA))


def defaults():
    """What boto3 sends when nobody asks for anything."""
    sent, over_tls = Sent(plain), Sent(tls)
    plain.put_object(Bucket=BUCKET, Key="default", Body=DATA)
    assert "x-amz-checksum-crc32" in sent.headers, sent.headers
    assert text(sent.headers["x-amz-content-sha256"]) == hashlib.sha256(DATA).hexdigest()

    tls.put_object(Bucket=BUCKET, Key="default/tls", Body=io.BytesIO(DATA))
    assert text(over_tls.headers["x-amz-content-sha256"]) == "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
    assert text(over_tls.headers["x-amz-trailer"]) == "x-amz-checksum-crc32"
    assert "aws-chunked" in text(over_tls.headers["content-encoding"])
    got = tls.get_object(Bucket=BUCKET, Key="default/tls", ChecksumMode="ENABLED")
    kept = None if lacks("checksums") else computed("CRC32", DATA)
    assert body(got) == DATA and got.get("ChecksumCRC32") == kept
    assert "ContentEncoding" not in got, "aws-chunked is of the way there, not of the object"

    gzip = tls.put_object(Bucket=BUCKET, Key="gzip", Body=io.BytesIO(DATA), ContentEncoding="gzip")
    assert gzip["ETag"] and plain.head_object(Bucket=BUCKET, Key="gzip")["ContentEncoding"] == "gzip"
    for empty in (b"", io.BytesIO()):
        tls.put_object(Bucket=BUCKET, Key="empty", Body=empty)
        assert body(plain.get_object(Bucket=BUCKET, Key="empty")) == b""


class Pipe(io.RawIOBase):
    """Can be read once, from its beginning to its end."""

    def __init__(self, data):
        self.rest = io.BytesIO(data)

    def readable(self):
        return True

    def readinto(self, buffer):
        return self.rest.readinto(buffer)


def streams():
    data = DATA * 40  # 10 MB: more than one part
    for s3, key in ((plain, "pipe/plain"), (tls, "pipe/tls")):
        s3.upload_fileobj(Pipe(data), BUCKET, key)
        assert body(plain.get_object(Bucket=BUCKET, Key=key)) == data, key


def asked_for_only_when_required():
    quiet = dict(request_checksum_calculation="when_required", response_checksum_validation="when_required")
    for s3, key in (
        (client(**quiet), "quiet/plain"),
        (client(os.environ["TLS_ENDPOINT"], session_settings={"verify": os.environ["TLS_CA"]}, **quiet), "quiet/tls"),
    ):
        sent = Sent(s3)
        s3.put_object(Bucket=BUCKET, Key=key, Body=io.BytesIO(DATA))
        assert not [name for name in sent.headers if "checksum" in name or "trailer" in name], sent.headers
        assert body(s3.get_object(Bucket=BUCKET, Key=key)) == DATA
        # This one requires a checksum whatever is configured.
        s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": key}]})
        refused("404", s3.head_object, Bucket=BUCKET, Key=key)


CHAPTERS = (begun, every_algorithm, a_wrong_one_stores_nothing, defaults, streams, asked_for_only_when_required)
