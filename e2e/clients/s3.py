"""What the boto3 stories share: clients as anybody would make them, and how to say what must be refused.

Settings come by environment: S3_ENDPOINT and AWS's own names; nothing else of boto3 is changed. ENGINE_LACKS names what the
engine underneath has not of S3.
"""

import os
import sys
import time

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError


def client(endpoint=None, keys=None, session_settings=None, **config):
    """A client of `endpoint` [S3_ENDPOINT], with the environment's keys or `keys` = (id, secret)."""
    named = dict(session_settings or {})
    if keys:
        named.update(aws_access_key_id=keys[0], aws_secret_access_key=keys[1])
    return boto3.client(
        "s3",
        endpoint_url=endpoint or os.environ["S3_ENDPOINT"],
        region_name="us-east-1",
        config=Config(**config) if config else None,
        **named,
    )


def lacks(what):
    """Whether the engine underneath lacks `what`, one of: exact-keys (it folds `a//b`), checksums (it keeps none),
    newer-checksums (those that S3 took up later), copy-conditions (`x-amz-copy-source-if-…`), upload-pages (`max-uploads`),
    part-refusals (of a part of no upload), line-feeds (in keys), v1-prefixes (ListObjects with a delimiter),
    own-buckets (settings of a bucket), retention-reads (GetObjectRetention), customers-keys (SSE-C)."""
    return what in os.environ["ENGINE_LACKS"].split()


def refused(expected, call, **arguments):
    """The answer's error, which must have the code `expected` (or one of several)."""
    codes = (expected,) if isinstance(expected, str) else expected
    try:
        answer = call(**arguments)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        assert code in codes, f"expected {codes}, got {error.response}"
        return error.response
    raise AssertionError(f"expected {codes}, but it succeeded: {answer}")


def body(answer):
    return answer["Body"].read()


def tell(*chapters):
    """Runs each chapter, and says which one failed and how long each took."""
    for chapter in chapters:
        begun = time.monotonic()
        name = f"{chapter.__module__}.{chapter.__name__}"
        try:
            chapter()
        except Exception:
            print(f"FAILED {name}", flush=True)
            raise
        print(f"{time.monotonic() - begun:6.2f} s  {name}", flush=True)
    sys.stdout.flush()
