"""Browsers' uploads: boto3 signs the policy, and urllib3 writes the form."""

import hashlib
import os
import xml.etree.ElementTree as ElementTree

import urllib3

from s3 import body, client, refused

s3 = client(signature_version="s3v4")
http = urllib3.PoolManager(retries=False)
BUCKET = "forms"
LARGE = 20 * 1024 * 1024


def post(form, content, name="a b.txt", kind="text/html", behind=(), **changes):
    """Uploads `content` as a browser would: the fields, the file, and nothing but `behind` behind it."""
    fields = [*{**form["fields"], **changes}.items(), ("file", (name, content, kind)), *behind]
    return http.request("POST", form["url"], fields=fields, redirect=False)


def failed(answer, status, code):
    told = ElementTree.fromstring(answer.data).findtext("Code")
    assert (answer.status, told) == (status, code), answer.data


def keys():
    return [found["Key"] for found in s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])]


def stored():
    s3.create_bucket(Bucket=BUCKET)
    fields = {"Content-Type": "text/x-story", "x-amz-meta-colour": "red", "acl": "private"}
    conditions = [{name: value} for name, value in fields.items()]
    form = s3.generate_presigned_post(BUCKET, "in/${filename}", fields, conditions)
    answer = post(form, b"hello")
    assert (answer.status, answer.data) == (204, b"")
    read = s3.get_object(Bucket=BUCKET, Key="in/a b.txt")
    assert body(read) == b"hello"
    assert (read["ContentType"], read["Metadata"]) == ("text/x-story", {"colour": "red"})
    assert answer.headers["etag"] == read["ETag"]
    empty = post(s3.generate_presigned_post(BUCKET, "empty"), b"")
    assert (empty.status, s3.head_object(Bucket=BUCKET, Key="empty")["ContentLength"]) == (204, 0)


def large():
    content = os.urandom(LARGE)
    form = s3.generate_presigned_post(BUCKET, "large")
    answer = post(form, content)
    assert answer.status == 204
    assert answer.headers["etag"] == f'"{hashlib.md5(content).hexdigest()}"'
    assert body(s3.get_object(Bucket=BUCKET, Key="large")) == content


def answers():
    def form(**fields):
        conditions = [{name: value} for name, value in fields.items()]
        return s3.generate_presigned_post(BUCKET, "é/<b>", fields, conditions)

    created = post(form(success_action_status="201"), b"1")
    told = ElementTree.fromstring(created.data)
    assert (created.status, told.tag, told.findtext("Key")) == (201, "PostResponse", "é/<b>")
    assert told.findtext("Location") == created.headers["location"]
    sent_on = post(form(success_action_redirect="http://page.test/?a=1"), b"2")
    place = "http://page.test/?a=1&bucket=forms&key=%C3%A9%2F%3Cb%3E&etag=%22"
    assert sent_on.status == 303 and sent_on.headers["location"].startswith(place)
    assert body(s3.get_object(Bucket=BUCKET, Key="é/<b>")) == b"2"


def refusals():
    before = keys()
    ranged = [["content-length-range", 2, 4]]
    form = s3.generate_presigned_post(BUCKET, "refused", Conditions=ranged)
    failed(post(form, b"1"), 400, "EntityTooSmall")
    failed(post(form, b"12345"), 400, "EntityTooLarge")
    failed(post(form, b"123", key="other"), 403, "AccessDenied")
    failed(post(form, b"123", extra="1"), 403, "AccessDenied")
    failed(post(form, b"123", **{"x-amz-signature": "0" * 64}), 403, "SignatureDoesNotMatch")
    plain = s3.generate_presigned_post(BUCKET, "refused")
    for content in [b"123", b"1" * LARGE]:
        behind = post(plain, content, behind=[("submit", "go")])
        failed(behind, 400, "MalformedPOSTRequest")
    expired = s3.generate_presigned_post(BUCKET, "refused", ExpiresIn=-1)
    failed(post(expired, b"1"), 403, "AccessDenied")
    old = client(signature_version="s3")
    failed(post(old.generate_presigned_post(BUCKET, "refused"), b"1"), 400, "InvalidRequest")
    assert keys() == before
    refused("404", s3.head_object, Bucket=BUCKET, Key="refused")
    assert post(form, b"123").status == 204


CHAPTERS = [stored, large, answers, refusals]
