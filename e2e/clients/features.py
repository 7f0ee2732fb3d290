"""What the engine keeps for a bucket or an object, and what the gateway keeps itself: versions, tags, lifecycle, locks,
attributes, encryption with a customer's key, CORS, public buckets.
"""

import base64
import datetime
import hashlib
import os

import boto3
import botocore
import urllib3
from botocore.config import Config

from s3 import body, client, lacks, refused

s3 = client(signature_version="s3v4")
stranger = client(signature_version=botocore.UNSIGNED)
http = urllib3.PoolManager(retries=False)
ENDPOINT = os.environ["S3_ENDPOINT"]
ORIGIN = "https://app.example"


def put(bucket, key, content):
    return s3.put_object(Bucket=bucket, Key=key, Body=content)["VersionId"]


def versions(bucket, **more):
    pages = s3.get_paginator("list_object_versions").paginate(Bucket=bucket, **more)
    found = [entry for page in pages for entry in page.get("Versions", [])]
    return [(entry["Key"], entry["VersionId"]) for entry in found]


def empty(bucket):
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
        found = page.get("Versions", []) + page.get("DeleteMarkers", [])
        batch = [{"Key": entry["Key"], "VersionId": entry["VersionId"]} for entry in found]
        answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": batch})
        assert "Errors" not in answer, answer["Errors"]


def versioning():
    bucket = "versions"
    s3.create_bucket(Bucket=bucket)
    assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="a/1", Body=b"0")
    assert versions(bucket) == [("a/1", "null")]
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    first, second = put(bucket, "a/1", b"1"), put(bucket, "a/1", b"2")
    other = put(bucket, "a b", b"b")
    expected = [("a b", other), ("a/1", second), ("a/1", first), ("a/1", "null")]
    assert versions(bucket) == expected, versions(bucket)
    assert versions(bucket, PaginationConfig={"PageSize": 1}) == expected
    assert body(s3.get_object(Bucket=bucket, Key="a/1", VersionId=first)) == b"1"
    assert body(s3.get_object(Bucket=bucket, Key="a/1", VersionId="null")) == b"0"
    deleted = s3.delete_object(Bucket=bucket, Key="a/1")
    assert deleted["DeleteMarker"]
    gone = refused("NoSuchKey", s3.get_object, Bucket=bucket, Key="a/1")
    source = {"Bucket": bucket, "Key": "a/1", "VersionId": second}
    copied = s3.copy_object(Bucket=bucket, Key="copy", CopySource=source)
    assert copied["CopySourceVersionId"] == second
    assert body(s3.get_object(Bucket=bucket, Key="copy")) == b"2"
    # A version id is good for its own key alone.
    refused("InvalidArgument", s3.get_object, Bucket=bucket, Key="a b", VersionId=first)
    s3.delete_object(Bucket=bucket, Key="a/1", VersionId=deleted["VersionId"])
    assert body(s3.get_object(Bucket=bucket, Key="a/1")) == b"2"
    refused("BucketNotEmpty", s3.delete_bucket, Bucket=bucket)
    s3.delete_object(Bucket=bucket, Key="a b")
    s3.delete_object(Bucket=bucket, Key="a/1")
    s3.delete_object(Bucket=bucket, Key="copy")
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0
    refused("BucketNotEmpty", s3.delete_bucket, Bucket=bucket)
    empty(bucket)
    s3.delete_bucket(Bucket=bucket)


def tags():
    bucket = "tags"
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="k", Body=b"", Tagging="colour=red&size=a%20b")
    found = s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"]
    assert sorted(tag["Value"] for tag in found) == ["a b", "red"], found
    assert s3.head_object(Bucket=bucket, Key="k")["TagCount"] == 2
    tagging = {"TagSet": [{"Key": "colour", "Value": "a+b=c @:/"}]}
    s3.put_object_tagging(Bucket=bucket, Key="k", Tagging=tagging)
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == tagging["TagSet"]
    s3.delete_object_tagging(Bucket=bucket, Key="k")
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == []
    url = s3.generate_presigned_url(
        "put_object", {"Bucket": bucket, "Key": "presigned", "Tagging": "a=b"}
    )
    assert http.request("PUT", url, headers={"x-amz-tagging": "a=b"}).status == 200
    assert len(s3.get_object_tagging(Bucket=bucket, Key="presigned")["TagSet"]) == 1


def bucket_settings():
    bucket = "settings"
    s3.create_bucket(Bucket=bucket)
    refused("NoSuchTagSet", s3.get_bucket_tagging, Bucket=bucket)
    tagging = {"TagSet": [{"Key": "a", "Value": "b"}]}
    s3.put_bucket_tagging(Bucket=bucket, Tagging=tagging)
    assert s3.get_bucket_tagging(Bucket=bucket)["TagSet"] == tagging["TagSet"]
    s3.delete_bucket_tagging(Bucket=bucket)
    refused("NoSuchTagSet", s3.get_bucket_tagging, Bucket=bucket)
    refused("NoSuchLifecycleConfiguration", s3.get_bucket_lifecycle_configuration, Bucket=bucket)
    rule = {"ID": "r", "Status": "Enabled", "Filter": {"Prefix": "tmp/"}, "Expiration": {"Days": 3}}
    s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": [rule]})
    kept = s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    assert [(kept[0]["ID"], kept[0]["Expiration"]["Days"])] == [("r", 3)], kept
    s3.delete_bucket_lifecycle(Bucket=bucket)
    for question, code in [
        (s3.get_bucket_policy, "NoSuchBucketPolicy"),
        (s3.get_bucket_website, "NoSuchWebsiteConfiguration"),
        (s3.get_bucket_replication, "ReplicationConfigurationNotFoundError"),
        (s3.get_public_access_block, "NoSuchPublicAccessBlockConfiguration"),
        (s3.get_bucket_cors, "NoSuchCORSConfiguration"),
        (s3.get_object_lock_configuration, "ObjectLockConfigurationNotFoundError"),
    ]:
        refused(code, question, Bucket=bucket)
    assert s3.get_bucket_request_payment(Bucket=bucket)["Payer"] == "BucketOwner"
    assert "LoggingEnabled" not in s3.get_bucket_logging(Bucket=bucket)
    s3.delete_bucket(Bucket=bucket)


def locks():
    bucket = "locks"
    s3.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    kept = s3.get_object_lock_configuration(Bucket=bucket)["ObjectLockConfiguration"]
    assert kept["ObjectLockEnabled"] == "Enabled"
    held = put(bucket, "held", b"1")
    one = {"Bucket": bucket, "Key": "held", "VersionId": held}
    s3.put_object_legal_hold(**one, LegalHold={"Status": "ON"})
    assert s3.get_object_legal_hold(**one)["LegalHold"]["Status"] == "ON"
    refused("AccessDenied", s3.delete_object, **one)
    batch = {"Objects": [{"Key": "held", "VersionId": held}]}
    failed = s3.delete_objects(Bucket=bucket, Delete=batch)["Errors"]
    assert failed[0]["Code"] == "AccessDenied", failed
    s3.put_object_legal_hold(**one, LegalHold={"Status": "OFF"})
    until = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=1)
    retention = {"Mode": "GOVERNANCE", "RetainUntilDate": until}
    s3.put_object_retention(**one, Retention=retention)
    if not lacks("retention-reads"):
        assert s3.get_object_retention(**one)["Retention"]["Mode"] == "GOVERNANCE"
    refused("AccessDenied", s3.delete_object, **one)
    s3.delete_object(**one, BypassGovernanceRetention=True)
    s3.delete_bucket(Bucket=bucket)


def attributes():
    bucket = "attributes"
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="k", Body=b"hello")
    asked = {"ObjectAttributes": ["ETag", "ObjectSize"]}
    found = s3.get_object_attributes(Bucket=bucket, Key="k", **asked)
    assert (found["ObjectSize"], found["ETag"]) == (5, hashlib.md5(b"hello").hexdigest()), found
    refused("NoSuchKey", s3.get_object_attributes, Bucket=bucket, Key="none", **asked)


def customers_keys():
    bucket, key = "sealed", os.urandom(32)
    s3.create_bucket(Bucket=bucket)
    with_key = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": base64.b64encode(key).decode()}
    with_key["SSECustomerKeyMD5"] = base64.b64encode(hashlib.md5(key).digest()).decode()
    one = {"Bucket": bucket, "Key": "k"}
    written = raw("PUT", "put_object", {**one, **with_key}, body=b"secret")
    assert written.status == 200, written.data
    assert raw("GET", "get_object", one).status == 400
    read = raw("GET", "get_object", {**one, **with_key})
    assert (read.status, read.data) == (200, b"secret")


def raw(method, operation, parameters, **more):
    """botocore refuses keys over plain HTTP before it sends anything; a presigned URL does not ask."""
    headers = {
        "SSECustomerAlgorithm": "x-amz-server-side-encryption-customer-algorithm",
        "SSECustomerKey": "x-amz-server-side-encryption-customer-key",
        "SSECustomerKeyMD5": "x-amz-server-side-encryption-customer-key-md5",
    }
    plain = {name: value for name, value in parameters.items() if name not in headers}
    request = botocore.awsrequest.AWSRequest(
        method, f"{ENDPOINT}/{plain['Bucket']}/{plain['Key']}", data=more.get("body")
    )
    for name, header in headers.items():
        if name in parameters:
            request.headers[header] = parameters[name]
    credentials = boto3.Session().get_credentials()
    botocore.auth.S3SigV4Auth(credentials, "s3", "us-east-1").add_auth(request)
    return http.request(method, request.url, headers=dict(request.headers), body=more.get("body"))


def cors():
    bucket = "scripts"
    s3.create_bucket(Bucket=bucket)
    ask = {"Origin": ORIGIN, "Access-Control-Request-Method": "PUT"}
    ask["Access-Control-Request-Headers"] = "content-type,x-amz-date"
    url = f"{ENDPOINT}/{bucket}/k"
    assert http.request("OPTIONS", url, headers=ask).status == 403
    rule = {"AllowedOrigins": [ORIGIN], "AllowedMethods": ["GET", "PUT"], "AllowedHeaders": ["*"]}
    rule["ExposeHeaders"] = ["ETag"]
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [rule]})
    assert s3.get_bucket_cors(Bucket=bucket)["CORSRules"] == [rule]
    allowed = http.request("OPTIONS", url, headers=ask)
    assert allowed.status == 200, allowed.data
    assert allowed.headers["access-control-allow-origin"] == ORIGIN
    assert http.request("OPTIONS", url, headers={**ask, "Origin": "https://evil"}).status == 403
    s3.put_object(Bucket=bucket, Key="k", Body=b"1")
    signed = s3.generate_presigned_url("get_object", {"Bucket": bucket, "Key": "k"})
    read = http.request("GET", signed, headers={"Origin": ORIGIN})
    assert (read.data, read.headers["access-control-allow-origin"]) == (b"1", ORIGIN)
    s3.delete_bucket_cors(Bucket=bucket)
    assert http.request("OPTIONS", url, headers=ask).status == 403


def public():
    bucket = "open-to-all"
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="k", Body=b"hello")
    refused("AccessDenied", stranger.get_object, Bucket=bucket, Key="k")
    s3.put_bucket_acl(Bucket=bucket, ACL="public-read")
    grants = s3.get_bucket_acl(Bucket=bucket)["Grants"]
    assert [grant["Permission"] for grant in grants] == ["FULL_CONTROL", "READ"]
    assert body(stranger.get_object(Bucket=bucket, Key="k")) == b"hello"
    assert stranger.list_objects_v2(Bucket=bucket)["KeyCount"] == 1
    refused("AccessDenied", stranger.put_object, Bucket=bucket, Key="k", Body=b"evil")
    refused("AccessDenied", stranger.delete_object, Bucket=bucket, Key="k")
    s3.put_bucket_acl(Bucket=bucket, ACL="private")
    refused("AccessDenied", stranger.get_object, Bucket=bucket, Key="k")


def shared():
    """Where buckets share one of the engine's, its settings are nobody's."""
    bucket = "shared"
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="k", Body=b"1")
    on = {"Status": "Enabled"}
    refused("NotImplemented", s3.put_bucket_versioning, Bucket=bucket, VersioningConfiguration=on)
    tagging = {"TagSet": [{"Key": "a", "Value": "b"}]}
    refused("NotImplemented", s3.put_bucket_tagging, Bucket=bucket, Tagging=tagging)
    refused("NotImplemented", s3.create_bucket, Bucket="locked", ObjectLockEnabledForBucket=True)
    assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)
    assert versions(bucket) == [("k", "null")]


OWN = (shared,) if lacks("own-buckets") else (versioning, bucket_settings, locks)
SEALED = () if lacks("customers-keys") else (customers_keys,)
CHAPTERS = (*OWN, *SEALED, tags, attributes, cors, public)
