"""Buckets as hosts, `bucket.s3.test`, as SDKs address them unless they are told otherwise. No such name is known here: this
program looks all of them up on this machine.
"""

import os
import socket
import urllib.parse

import urllib3

from s3 import body, client, refused

DOMAIN, BUCKET = os.environ["S3_DOMAIN"], "hosted.photos"
KEYS = ("a", "a b/ä+%&", "hosted.photos/x", "very/deep/" * 20 + "x")
address = urllib.parse.urlsplit(os.environ["S3_ENDPOINT"])
s3 = client(f"http://{DOMAIN}:{address.port}", s3={"addressing_style": "virtual"})
by_path = client()


def by_name(look_up=socket.getaddrinfo):
    def here(host, *more, **named):
        known = host.endswith(DOMAIN)
        return look_up(address.hostname if known else host, *more, **named)

    socket.getaddrinfo = here


def buckets_are_hosts():
    by_name()
    hosts = []
    s3.meta.events.register("before-send.s3", lambda request, **_: hosts.append(urllib.parse.urlsplit(request.url).hostname))
    s3.create_bucket(Bucket=BUCKET)
    for key in KEYS:
        s3.put_object(Bucket=BUCKET, Key=key, Body=key.encode())
        assert body(s3.get_object(Bucket=BUCKET, Key=key)) == key.encode(), key
        assert body(by_path.get_object(Bucket=BUCKET, Key=key)) == key.encode(), key
    s3.copy_object(Bucket=BUCKET, Key="copy", CopySource={"Bucket": BUCKET, "Key": KEYS[1]})
    assert body(s3.get_object(Bucket=BUCKET, Key="copy")) == KEYS[1].encode()
    listed = [entry["Key"] for entry in s3.list_objects_v2(Bucket=BUCKET)["Contents"]]
    assert listed == sorted([*KEYS, "copy"]), listed
    url = s3.generate_presigned_url("get_object", {"Bucket": BUCKET, "Key": KEYS[1]})
    assert urllib.parse.urlsplit(url).hostname == f"{BUCKET}.{DOMAIN}", url
    got = urllib3.PoolManager().request("GET", url)
    assert (got.status, got.data) == (200, KEYS[1].encode()), got.data
    # Signed for one bucket, sent to another.
    moved = url.replace(f"{BUCKET}.{DOMAIN}", f"another.{DOMAIN}")
    got = urllib3.PoolManager().request("GET", moved)
    assert got.status == 403 and b"SignatureDoesNotMatch" in got.data, got.data
    s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": key} for key in listed]})
    s3.delete_bucket(Bucket=BUCKET)
    refused("404", by_path.head_bucket, Bucket=BUCKET)
    assert set(hosts) == {f"{BUCKET}.{DOMAIN}"}, set(hosts)


CHAPTERS = (buckets_are_hosts,)
