"""What S3 has and Vaultaire has not: everything that the SDK's own model of S3 names and docs/S3-COMPATIBILITY.md does not
is refused, and changes nothing, however much it looks like something else.
"""

import hashlib
import os
import re
from pathlib import Path

import botocore.session
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.httpsession import URLLib3Session

from s3 import body, client

s3 = client()
http = URLLib3Session()
BUCKET, KEY, KEPT = "operations", "k", b"kept"
TABLE = Path(__file__).parent.parent.parent / "docs" / "S3-COMPATIBILITY.md"
# Other words for one that is there, with the same method and address.
ALIASES = {"GetBucketLifecycle", "PutBucketLifecycle", "GetBucketNotification", "ListDirectoryBuckets"}
# At a host of its own; here it is a form for a bucket of that name that is none.
ELSEWHERE = {"WriteGetObjectResponse"}


def ours():
    table = TABLE.read_text().partition("| --- |")[2].partition("<!-- end -->")[0]
    return set(re.findall(r"^\| ([A-Z]\w+) \|", table, re.MULTILINE))


def ask(method, address):
    """The answer's status and code."""
    sent = b"" if method in ("GET", "HEAD", "DELETE") else b"<x/>"
    headers = {"x-amz-content-sha256": hashlib.sha256(sent).hexdigest()}
    request = AWSRequest(method, os.environ["S3_ENDPOINT"] + address, headers, sent)
    credentials = s3._request_signer._credentials.get_frozen_credentials()
    S3SigV4Auth(credentials, "s3", "us-east-1").add_auth(request)
    answer = http.send(request.prepare())
    code = re.search(rb"<Code>(\w+)</Code>", answer.content)
    return answer.status_code, code and code[1].decode()


def address(operation):
    uri = operation.http["requestUri"].replace("{Bucket}", BUCKET).replace("{Key+}", KEY)
    members = operation.input_shape.members.values() if operation.input_shape else ()
    names = [m.serialization["name"] for m in members if m.serialization.get("location") == "querystring"]
    more = "&".join(f"{name}=1" for name in names)
    return uri + (("&" if "?" in uri else "?") + more if more else "")


def what_is_not_there_changes_nothing():
    known = ours()
    assert {"GetObject", "PutObject", "DeleteObjects"} <= known, known
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key=KEY, Body=KEPT)
    before = s3.head_object(Bucket=BUCKET, Key=KEY)
    model = botocore.session.get_session().get_service_model("s3")
    missing = sorted(set(model.operation_names) - known - ALIASES)
    assert len(missing) > 30, missing
    for name in missing:
        operation = model.operation_model(name)
        answer = ask(operation.http["method"], address(operation))
        expected = (412, "PreconditionFailed") if name in ELSEWHERE else (501, "NotImplemented")
        assert answer == expected, (name, address(operation), answer)
    after = s3.head_object(Bucket=BUCKET, Key=KEY)
    for what in ("ETag", "LastModified", "ContentLength"):
        assert before[what] == after[what], what
    assert body(s3.get_object(Bucket=BUCKET, Key=KEY)) == KEPT
    assert [bucket["Name"] for bucket in s3.list_buckets(Prefix=BUCKET)["Buckets"]] == [BUCKET]
    print(f"        {len(missing)} operations of S3 are refused")


CHAPTERS = (what_is_not_there_changes_nothing,)
