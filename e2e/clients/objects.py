"""Objects one by one: ranges, conditions, metadata, copies, deletion in batches."""

import datetime

from s3 import body, client, lacks, refused

s3 = client()
BUCKET = "objects"
LETTERS = b"abcdefghijklmnopqrstuvwxyz"


def buckets():
    made = s3.create_bucket(Bucket=BUCKET)
    print("CreateBucket's request id is", made["ResponseMetadata"]["RequestId"])
    s3.create_bucket(Bucket="second")
    assert [b["Name"] for b in s3.list_buckets()["Buckets"]] == [BUCKET, "second"]
    assert s3.head_bucket(Bucket=BUCKET)["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert s3.get_bucket_location(Bucket=BUCKET)["LocationConstraint"] is None
    assert "Status" not in s3.get_bucket_versioning(Bucket=BUCKET)
    refused("BucketAlreadyOwnedByYou", s3.create_bucket, Bucket="second")
    s3.delete_bucket(Bucket="second")
    refused("404", s3.head_bucket, Bucket="second")
    refused("NoSuchBucket", s3.delete_bucket, Bucket="second")
    refused("NoSuchBucket", s3.put_object, Bucket="second", Key="k", Body=b"x")
    refused("InvalidBucketName", s3.create_bucket, Bucket="Not_A_Name")
    website = {"IndexDocument": {"Suffix": "index.html"}}
    refused(
        "NotImplemented", s3.put_bucket_website, Bucket=BUCKET, WebsiteConfiguration=website
    )
    assert [b["Name"] for b in s3.list_buckets()["Buckets"]] == [BUCKET]


def ranges():
    s3.put_object(Bucket=BUCKET, Key="letters", Body=LETTERS)
    for asked, expected, content_range in [
        ("bytes=0-0", b"a", "bytes 0-0/26"),
        ("bytes=5-9", b"fghij", "bytes 5-9/26"),
        ("bytes=20-", b"uvwxyz", "bytes 20-25/26"),
        ("bytes=-3", b"xyz", "bytes 23-25/26"),
        ("bytes=24-999", b"yz", "bytes 24-25/26"),
    ]:
        answer = s3.get_object(Bucket=BUCKET, Key="letters", Range=asked)
        assert body(answer) == expected, asked
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 206
        assert answer["ContentRange"] == content_range
        assert answer["ContentLength"] == len(expected)
    answer = refused("InvalidRange", s3.get_object, Bucket=BUCKET, Key="letters", Range="bytes=26-")
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 416
    assert s3.head_object(Bucket=BUCKET, Key="letters")["AcceptRanges"] == "bytes"
    refused("NoSuchKey", s3.get_object, Bucket=BUCKET, Key="none")
    refused("404", s3.head_object, Bucket=BUCKET, Key="none")


def conditions():
    at = {"Bucket": BUCKET, "Key": "letters"}
    head = s3.head_object(**at)
    etag, changed = head["ETag"], head["LastModified"]
    assert body(s3.get_object(**at, IfMatch=etag)) == LETTERS
    assert body(s3.get_object(**at, IfNoneMatch='"other"')) == LETTERS
    refused("304", s3.get_object, **at, IfNoneMatch=etag)
    refused("304", s3.head_object, **at, IfNoneMatch=etag)
    refused("PreconditionFailed", s3.get_object, **at, IfMatch='"other"')
    hour = datetime.timedelta(hours=1)
    assert body(s3.get_object(**at, IfModifiedSince=changed - hour)) == LETTERS
    refused("304", s3.get_object, **at, IfModifiedSince=changed)
    assert body(s3.get_object(**at, IfUnmodifiedSince=changed)) == LETTERS
    refused("PreconditionFailed", s3.get_object, **at, IfUnmodifiedSince=changed - hour)
    # Writing, too.
    refused("PreconditionFailed", s3.put_object, **at, Body=b"lost", IfNoneMatch="*")
    refused("PreconditionFailed", s3.put_object, **at, Body=b"lost", IfMatch='"other"')
    assert body(s3.get_object(**at)) == LETTERS
    s3.put_object(**at, Body=LETTERS, IfMatch=etag)
    s3.put_object(Bucket=BUCKET, Key="first", Body=b"1", IfNoneMatch="*")
    assert body(s3.get_object(Bucket=BUCKET, Key="first")) == b"1"


def metadata():
    expires = datetime.datetime(2031, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc)
    said = {
        "ContentType": "text/x-story; charset=utf-8",
        "CacheControl": "max-age=60, private",
        "ContentDisposition": 'attachment; filename="a b.txt"',
        "ContentEncoding": "identity",
        "ContentLanguage": "en-GB",
    }
    own = {"author": "Ada  Lovelace", "empty-not": "0", "mixed-case": "a+b/c=d%20"}
    s3.put_object(Bucket=BUCKET, Key="meta", Body=b"m", Metadata=own, Expires=expires, **said)
    for answer in (s3.head_object(Bucket=BUCKET, Key="meta"), s3.get_object(Bucket=BUCKET, Key="meta")):
        for name, value in said.items():
            assert answer[name] == value, (name, answer)
        assert answer["Expires"] == expires, answer
        assert answer["Metadata"] == own, answer
        assert "Server" not in answer["ResponseMetadata"]["HTTPHeaders"]
    answer = s3.get_object(Bucket=BUCKET, Key="meta", ResponseContentType="a/b", ResponseCacheControl="no-store")
    assert (answer["ContentType"], answer["CacheControl"]) == ("a/b", "no-store")
    s3.put_object(Bucket=BUCKET, Key="empty", Body=b"")
    assert body(s3.get_object(Bucket=BUCKET, Key="empty")) == b""


def copies():
    copied = s3.copy_object(Bucket=BUCKET, Key="copy of å + %", CopySource={"Bucket": BUCKET, "Key": "meta"})
    head = s3.head_object(Bucket=BUCKET, Key="copy of å + %")
    assert copied["CopyObjectResult"]["ETag"] == head["ETag"]
    assert head["Metadata"]["mixed-case"] == "a+b/c=d%20" and head["ContentLanguage"] == "en-GB"
    s3.copy_object(
        Bucket=BUCKET,
        Key="again",
        CopySource={"Bucket": BUCKET, "Key": "copy of å + %"},
        MetadataDirective="REPLACE",
        Metadata={"new": "yes"},
        ContentType="c/d",
    )
    head = s3.head_object(Bucket=BUCKET, Key="again")
    assert head["Metadata"] == {"new": "yes"} and head["ContentType"] == "c/d"
    assert body(s3.get_object(Bucket=BUCKET, Key="again")) == b"m"
    refused("NoSuchKey", s3.copy_object, Bucket=BUCKET, Key="x", CopySource={"Bucket": BUCKET, "Key": "none"})
    refused("NoSuchBucket", s3.copy_object, Bucket=BUCKET, Key="x", CopySource={"Bucket": "nowhere", "Key": "meta"})
    if not lacks("copy-conditions"):
        refused(
            "PreconditionFailed",
            s3.copy_object,
            Bucket=BUCKET,
            Key="x",
            CopySource={"Bucket": BUCKET, "Key": "meta"},
            CopySourceIfMatch='"other"',
        )
    refused("404", s3.head_object, Bucket=BUCKET, Key="x")


def deletion():
    for key in ("d1", "d2", "d/3 &<>"):
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"d")
    s3.delete_object(Bucket=BUCKET, Key="d1")
    s3.delete_object(Bucket=BUCKET, Key="d1")
    refused("404", s3.head_object, Bucket=BUCKET, Key="d1")
    # One key of the batch cannot be: it alone is refused.
    keys = ["d2", "d/3 &<>", "never was", "a/../first"]
    answer = s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": key} for key in keys]})
    assert sorted(d["Key"] for d in answer["Deleted"]) == sorted(keys[:3]), answer
    assert [e["Key"] for e in answer["Errors"]] == ["a/../first"], answer
    assert body(s3.get_object(Bucket=BUCKET, Key="first")) == b"1"
    quiet = s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": "again"}], "Quiet": True})
    assert "Deleted" not in quiet and "Errors" not in quiet
    refused("404", s3.head_object, Bucket=BUCKET, Key="d2")


def cleared():
    refused("BucketNotEmpty", s3.delete_bucket, Bucket=BUCKET)
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET):
        s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": o["Key"]} for o in page["Contents"]]})
    s3.delete_bucket(Bucket=BUCKET)
    refused("NoSuchBucket", s3.list_objects_v2, Bucket=BUCKET)


CHAPTERS = (buckets, ranges, conditions, metadata, copies, deletion, cleared)
