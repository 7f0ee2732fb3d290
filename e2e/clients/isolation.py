"""Two tenants, A and B, with buckets of the same name: `isolation.py apart`; and keys of A with a scope:
`isolation.py scoped`. Keys come by environment: A_KEY, B_KEY, READ_KEY, PREFIX_KEY as `id:secret`.
"""

import os
import re
import sys
import urllib.error
import urllib.request

import urllib3
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from s3 import body, client, refused, tell

ENDPOINT = os.environ["S3_ENDPOINT"]
SAME, ONLY_A, NOBODYS = "same-name", "only-of-a", "of-nobody"


def keys(name):
    return tuple(os.environ[name].split(":"))


def raw(who, method, path, data=b"", headers=()):
    """Status, headers and body of one request, signed by botocore and sent as it is."""
    request = AWSRequest(method, ENDPOINT + path, data=data, headers=dict(headers))
    S3SigV4Auth(Credentials(*who), "s3", "us-east-1").add_auth(request)
    sent = request.prepare()
    answer = urllib3.PoolManager(retries=False).request(method, sent.url, body=data, headers=dict(sent.headers))
    return answer.status, dict(answer.headers), answer.data


def shown(answer, bucket):
    """What a client can tell: all but the request's id, the time, and the name that it asked for itself."""
    status, headers, data = answer
    for name in ("x-amz-request-id", "x-amz-id-2"):
        data = data.replace(headers.pop(name).encode(), b"ID")
    headers.pop("date")
    return status, sorted(headers.items()), data.replace(bucket.encode(), b"BUCKET")


a, b = client(keys=keys("A_KEY")), client(keys=keys("B_KEY"))


def the_same_name_twice():
    for s3, text in ((a, b"of a"), (b, b"of b")):
        s3.create_bucket(Bucket=SAME)
        s3.put_object(Bucket=SAME, Key="who", Body=text)
    a.put_object(Bucket=SAME, Key="secret of a", Body=b"a")
    a.create_bucket(Bucket=ONLY_A)
    a.put_object(Bucket=ONLY_A, Key="k", Body=b"a")
    for s3, text, names in ((a, b"of a", ["secret of a", "who"]), (b, b"of b", ["who"])):
        assert body(s3.get_object(Bucket=SAME, Key="who")) == text
        assert [o["Key"] for o in s3.list_objects_v2(Bucket=SAME)["Contents"]] == names
    assert [x["Name"] for x in a.list_buckets()["Buckets"]] == [ONLY_A, SAME]
    assert [x["Name"] for x in b.list_buckets()["Buckets"]] == [SAME]
    refused("NoSuchKey", b.get_object, Bucket=SAME, Key="secret of a")


def a_foreign_bucket_is_none():
    """Byte for byte what a bucket answers that nobody has."""
    who = keys("B_KEY")
    delete = b'<Delete><Object><Key>k</Key></Object></Delete>'
    upload = a.create_multipart_upload(Bucket=ONLY_A, Key="k")["UploadId"]
    requests = [
        ("GET", "", b""),
        ("HEAD", "", b""),
        ("DELETE", "", b""),
        ("GET", "?list-type=2", b""),
        ("GET", "?location", b""),
        ("GET", "?versioning", b""),
        ("GET", "?uploads", b""),
        ("GET", "?policy", b""),
        ("POST", "?delete", delete),
        ("GET", "/k", b""),
        ("HEAD", "/k", b""),
        ("PUT", "/k", b"x"),
        ("DELETE", "/k", b""),
        ("POST", "/k?uploads", b""),
        ("GET", f"/k?uploadId={upload}", b""),
        ("PUT", f"/k?partNumber=1&uploadId={upload}", b"x"),
        ("DELETE", f"/k?uploadId={upload}", b""),
    ]
    for method, rest, data in requests:
        foreign, none = (
            shown(raw(who, method, f"/{name}{rest}", data), name) for name in (ONLY_A, NOBODYS)
        )
        assert foreign == none, (method, rest, foreign, none)
        assert foreign[0] >= 400, (method, rest, foreign)
    for name in (ONLY_A, NOBODYS):
        copy = raw(who, "PUT", f"/{SAME}/copied", headers={"x-amz-copy-source": f"{name}/k"}.items())
        assert shown(copy, name)[0] == 404 and b"NoSuchBucket" in copy[2], copy
    refused("404", b.head_object, Bucket=SAME, Key="copied")
    assert body(a.get_object(Bucket=ONLY_A, Key="k")) == b"a"
    assert raw(keys("A_KEY"), "GET", f"/{ONLY_A}/k")[0] == 200


def what_was_handed_out_is_the_others():
    """Upload ids and continuation tokens of A, in B's bucket of the same name."""
    mine = a.create_multipart_upload(Bucket=SAME, Key="who")["UploadId"]
    part = a.upload_part(Bucket=SAME, Key="who", UploadId=mine, PartNumber=1, Body=b"part")
    at = {"Bucket": SAME, "Key": "who", "UploadId": mine}
    done = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    refused("NoSuchUpload", b.list_parts, **at)
    refused("NoSuchUpload", b.upload_part, **at, PartNumber=1, Body=b"x")
    refused("NoSuchUpload", b.complete_multipart_upload, **at, MultipartUpload=done)
    refused("NoSuchUpload", b.abort_multipart_upload, **at)
    assert len(a.list_parts(**at)["Parts"]) == 1
    a.abort_multipart_upload(**at)
    assert "Uploads" not in b.list_multipart_uploads(Bucket=SAME)

    token = a.list_objects_v2(Bucket=SAME, MaxKeys=1)["NextContinuationToken"]
    refused("InvalidArgument", b.list_objects_v2, Bucket=SAME, ContinuationToken=token)
    refused("InvalidArgument", a.list_objects_v2, Bucket=ONLY_A, ContinuationToken=token)
    assert a.list_objects_v2(Bucket=SAME, ContinuationToken=token)["Contents"][0]["Key"] == "who"


def fetched(url, method="GET"):
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method=method)) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def a_presigned_url_is_for_what_it_says():
    signing = client(keys=keys("A_KEY"), signature_version="s3v4")
    url = signing.generate_presigned_url("get_object", {"Bucket": SAME, "Key": "who"}, ExpiresIn=300)
    assert fetched(url) == (200, b"of a")
    for altered in (
        url.replace("/who", "/secret%20of%20a"),
        url.replace(f"/{SAME}/", f"/{ONLY_A}/"),
        url.replace("X-Amz-Expires=300", "X-Amz-Expires=3000"),
        url.replace(keys("A_KEY")[0], keys("B_KEY")[0]),
        url + "&response-content-type=text/html",
        re.sub(r"(X-Amz-Signature=)(.)", lambda m: m[1] + ("0" if m[2] != "0" else "1"), url),
    ):
        assert altered != url
        status, answer = fetched(altered)
        assert status == 403 and b"<Code>SignatureDoesNotMatch</Code>" in answer, (altered, answer)
    assert fetched(url, "PUT")[0] == 403 and fetched(url, "DELETE")[0] == 403
    # The client cannot choose an age beyond S3's seven days, nor send a second identity along.
    long = signing.generate_presigned_url("get_object", {"Bucket": SAME, "Key": "who"}, ExpiresIn=700_000)
    assert fetched(long)[0] == 400, fetched(long)
    assert fetched(url) == (200, b"of a")


def prepared():
    a.create_bucket(Bucket="scoped")
    a.create_bucket(Bucket="other")
    for key in ("in/1", "in/2", "out/1"):
        a.put_object(Bucket="scoped", Key=key, Body=key.encode())
    a.put_object(Bucket="other", Key="in/1", Body=b"other")


def reads_only_there():
    s3 = client(keys=keys("READ_KEY"))
    assert body(s3.get_object(Bucket="scoped", Key="in/1")) == b"in/1"
    assert [o["Key"] for o in s3.list_objects_v2(Bucket="scoped", Prefix="in/")["Contents"]] == ["in/1", "in/2"]
    assert [x["Name"] for x in s3.list_buckets()["Buckets"]] == ["scoped"]
    for call, arguments in (
        (s3.get_object, {"Bucket": "scoped", "Key": "out/1"}),
        (s3.get_object, {"Bucket": "other", "Key": "in/1"}),
        (s3.list_objects_v2, {"Bucket": "scoped"}),
        (s3.list_objects_v2, {"Bucket": "scoped", "Prefix": "i"}),
        (s3.put_object, {"Bucket": "scoped", "Key": "in/3", "Body": b"x"}),
        (s3.delete_object, {"Bucket": "scoped", "Key": "in/1"}),
        (s3.create_multipart_upload, {"Bucket": "scoped", "Key": "in/3"}),
        (s3.create_bucket, {"Bucket": "third"}),
        (s3.delete_bucket, {"Bucket": "scoped"}),
    ):
        refused("AccessDenied", call, **arguments)
    assert body(a.get_object(Bucket="scoped", Key="in/1")) == b"in/1"


def does_all_but_only_there():
    s3 = client(keys=keys("PREFIX_KEY"))
    s3.put_object(Bucket="scoped", Key="in/3", Body=b"3")
    s3.copy_object(Bucket="scoped", Key="in/4", CopySource={"Bucket": "scoped", "Key": "in/3"})
    source = {"Bucket": "scoped", "Key": "out/1"}
    refused("AccessDenied", s3.copy_object, Bucket="scoped", Key="in/5", CopySource=source)
    refused("AccessDenied", s3.put_object, Bucket="scoped", Key="out/1", Body=b"x")
    refused("AccessDenied", s3.list_objects, Bucket="scoped", Prefix="out/")
    refused("AccessDenied", s3.create_bucket, Bucket="third")
    answer = s3.delete_objects(Bucket="scoped", Delete={"Objects": [{"Key": "in/4"}, {"Key": "out/1"}]})
    assert [d["Key"] for d in answer["Deleted"]] == ["in/4"], answer
    assert [(e["Key"], e["Code"]) for e in answer["Errors"]] == [("out/1", "AccessDenied")], answer
    assert body(a.get_object(Bucket="scoped", Key="out/1")) == b"out/1"


STORIES = {
    "apart": (
        the_same_name_twice,
        a_foreign_bucket_is_none,
        what_was_handed_out_is_the_others,
        a_presigned_url_is_for_what_it_says,
    ),
    "scoped": (prepared, reads_only_there, does_all_but_only_there),
}
tell(*STORIES[sys.argv[1]])
