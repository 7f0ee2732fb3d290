"""Writers at the edge of a quota, through every data plane at once.

`quota.py fill SEED ENDPOINT…` writes until every writer was refused three times in a row, and prints what it was told was stored.
`quota.py kept …` says what the engine itself holds (with the engine's own keys): objects, versions apart, and open uploads' parts.
"""

import json
import random
import sys
import threading
import time

from botocore.exceptions import BotoCoreError, ClientError
from s3 import body, client, refused

BUCKET = "limited"
WRITERS = 4
PART = 5 << 20


class Refused(Exception):
    """The quota is reached."""


def attempt(call, **arguments):
    """Whether it was stored, for sure (True) or perhaps (None); the quota's word is an exception."""
    try:
        call(**arguments)
        return True
    except ClientError as error:
        code = error.response["Error"]["Code"]
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        if code == "QuotaExceeded":
            assert status == 403, error.response
            raise Refused from error
        assert status in (500, 503), error.response
        return None
    except BotoCoreError:
        return None


def multipart(s3, key, size, chance):
    """An upload in parts, some of which are never completed."""
    try:
        upload = s3.create_multipart_upload(Bucket=BUCKET, Key=key)["UploadId"]
    except (ClientError, BotoCoreError):
        return None
    named = {"Bucket": BUCKET, "Key": key, "UploadId": upload}
    parts = []
    for number, begin in enumerate(range(0, size, PART), 1):
        try:
            piece = bytes(min(PART, size - begin))
            answer = s3.upload_part(**named, PartNumber=number, Body=piece)
            parts.append({"PartNumber": number, "ETag": answer["ETag"]})
        except ClientError as error:
            if error.response["Error"]["Code"] == "QuotaExceeded":
                raise Refused from error
            return None
        except BotoCoreError:
            return None
    if chance < 0.3:
        return None
    return attempt(s3.complete_multipart_upload, **named, MultipartUpload={"Parts": parts})


def write(endpoint, seed, told, most):
    chance = random.Random(seed)
    s3 = client(endpoint, retries={"total_max_attempts": 2}, read_timeout=20)
    refusals, number, failures = 0, 0, 0
    until = time.monotonic() + 200
    while refusals < 3 and failures < 2000 and time.monotonic() < until:
        number += 1
        key, size = f"{seed}/{number}", chance.randrange(most)
        kind = chance.random()
        try:
            if kind < 0.7:
                stored = attempt(s3.put_object, Bucket=BUCKET, Key=key, Body=bytes(size))
            elif kind < 0.85 and told:
                source, size = chance.choice(list(told.items()))
                stored = attempt(s3.copy_object, Bucket=BUCKET, Key=key, CopySource=f"{BUCKET}/{source}")
            elif most > PART:
                size = PART + size
                stored = multipart(s3, key, size, chance.random())
            else:
                continue
        except Refused:
            refusals += 1
            most = max(most // 2, 1)
            continue
        refusals = 0
        if stored:
            told[key] = size
        else:
            failures += 1
            time.sleep(0.05)


def fill(seed, most, *endpoints):
    told = {}
    threads = [
        threading.Thread(target=write, args=(endpoint, f"{seed}-{place}-{n}", told, int(most)))
        for place, endpoint in enumerate(endpoints)
        for n in range(WRITERS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps({"objects": len(told), "bytes": sum(told.values())}))


def kept(bucket, prefix=""):
    """Everything under a prefix of the engine's bucket."""
    s3 = client()
    objects = size = parts = 0
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for found in page.get("Contents", []):
            objects += 1
            size += found["Size"]
    for page in s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket, Prefix=prefix):
        for upload in page.get("Uploads", []):
            named = {"Bucket": bucket, "Key": upload["Key"], "UploadId": upload["UploadId"]}
            for listed in s3.get_paginator("list_parts").paginate(**named):
                parts += sum(part["Size"] for part in listed.get("Parts", []))
    print(json.dumps({"objects": objects, "bytes": size, "parts": parts}))


def make():
    client().create_bucket(Bucket=BUCKET)


def again(size):
    """Full; then something is deleted, and the same is stored within five seconds."""
    s3 = client(retries={"total_max_attempts": 1})
    size = int(size)
    # With boto3's own settings, which try again what could succeed.
    answer = refused("QuotaExceeded", client().put_object, Bucket=BUCKET, Key="more", Body=bytes(size))
    error = answer["Error"]
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 403, answer
    assert answer["ResponseMetadata"]["RetryAttempts"] == 0, answer
    assert "Delete something" in error["Message"] and error["Quota"] == "StoredBytes", error
    listed = s3.list_objects_v2(Bucket=BUCKET)["Contents"]
    gone = freed = 0
    for found in listed:
        if freed < size + int(error["Used"]) - int(error["Limit"]) + 1:
            s3.delete_object(Bucket=BUCKET, Key=found["Key"])
            gone, freed = gone + 1, freed + found["Size"]
    begun = time.monotonic()
    while True:
        try:
            s3.put_object(Bucket=BUCKET, Key="more", Body=bytes(size))
            break
        except ClientError as error:
            assert error.response["Error"]["Code"] in ("QuotaExceeded", "ServiceUnavailable"), error
            assert time.monotonic() - begun < 5, "no room within five seconds"
    took = time.monotonic() - begun
    print(json.dumps({"deleted": gone, "freed": freed, "seconds": took, "used": int(error_used(error))}))


def error_used(error):
    return error["Used"] if isinstance(error, dict) else error.response["Error"].get("Used", 0)


def egress():
    """What is read is at most the quota, and then nothing more."""
    s3 = client()
    size = 100_000
    s3.put_object(Bucket=BUCKET, Key="read", Body=bytes(size))
    read = 0
    try:
        while True:
            read += len(body(s3.get_object(Bucket=BUCKET, Key="read")))
    except ClientError as error:
        assert error.response["Error"]["Code"] == "QuotaExceeded", error.response
        assert error.response["ResponseMetadata"]["RetryAttempts"] == 0, error.response
    s3.head_object(Bucket=BUCKET, Key="read")
    print(json.dumps({"bytes": read}))


chapters = {"make": make, "fill": fill, "kept": kept, "again": again, "egress": egress}
chapters[sys.argv[1]](*sys.argv[2:])
