"""Listings of keys that are hard to write, in pages of every size, both versions, with and without a delimiter.

What is expected is computed here from the keys alone. The order of a listing is the engine's: SeaweedFS lists folder by
folder, so that `a/1` comes before `a b`; every key must come, and come once. (It loses `a/1` when `a` ends a page and is
the last entry of its folder: no such page is asked for here.)
"""

from s3 import body, client, lacks, refused

s3 = client()
BUCKET = "listing"
KEYS = [
    "%",
    "%2F",
    "+",
    " ",
    "a",
    "a b/c d",
    "a&b<c>\"d'",
    "a+b/c%d",
    "a/1",
    "a/2",
    "a/é",
    "deep/er/and/deeper",
    "e\u0301/nfd",
    "emoji/\U0001f5c4\ufe0f",
    "line\nfeed/x",
    "z",
    "\u00e9/nfc",
    "\u00e9",
    "e\u0301",
    "日本/語",
    "\U0001f5c4",
]
if lacks("line-feeds"):
    KEYS.remove("line\nfeed/x")
#: What no key may hold, and what some engines would fold into another key.
REFUSED = ["a/../z", "..", "a/./1", "./a", "a/.."]
(REFUSED if lacks("exact-keys") else KEYS).extend(["a//1", "/a", "a\\1"])


def begun():
    s3.create_bucket(Bucket=BUCKET)
    for key in KEYS:
        s3.put_object(Bucket=BUCKET, Key=key, Body=key.encode())
    for key in KEYS:
        assert body(s3.get_object(Bucket=BUCKET, Key=key)) == key.encode(), key


def expected(prefix, delimiter):
    keys, prefixes = [], []
    for key in KEYS:
        if not key.startswith(prefix):
            continue
        at = key.find(delimiter, len(prefix)) if delimiter else -1
        if at < 0:
            keys.append(key)
        elif key[: at + len(delimiter)] not in prefixes:
            prefixes.append(key[: at + len(delimiter)])
    return sorted(keys), sorted(prefixes)


def walk(operation, size, prefix, delimiter):
    asked = {"Bucket": BUCKET}
    if prefix:
        asked["Prefix"] = prefix
    if delimiter:
        asked["Delimiter"] = delimiter
    keys, prefixes = [], []
    for page in s3.get_paginator(operation).paginate(**asked, PaginationConfig={"PageSize": size}):
        here = [o["Key"] for o in page.get("Contents", [])]
        under = [p["Prefix"] for p in page.get("CommonPrefixes", [])]
        # SeaweedFS does not count the folder beside an object of its name.
        assert len(here) + len([p for p in under if p[:-1] not in here]) <= size, page
        if operation == "list_objects_v2":
            assert page["KeyCount"] == len(here) + len(under), page
        keys += here
        prefixes += under
    return sorted(keys), sorted(prefixes)


def pages():
    for operation in ("list_objects", "list_objects_v2"):
        for prefix, delimiter in (("", ""), ("", "/"), ("a", "/"), ("a/", ""), ("\u00e9/", ""), ("e\u0301/", "/")):
            if operation == "list_objects" and delimiter and lacks("v1-prefixes"):
                continue
            for size in (1, 2, 3, 1000):
                found = walk(operation, size, prefix, delimiter)
                assert found == expected(prefix, delimiter), (operation, size, prefix, delimiter, found)


def details():
    page = s3.list_objects_v2(Bucket=BUCKET, Prefix="a/1")
    (found,) = page["Contents"]
    head = s3.head_object(Bucket=BUCKET, Key="a/1")
    assert (found["ETag"], found["Size"]) == (head["ETag"], 3)
    assert abs((found["LastModified"] - head["LastModified"]).total_seconds()) < 1
    assert "Owner" not in found
    (found,) = s3.list_objects_v2(Bucket=BUCKET, Prefix="a/1", FetchOwner=True)["Contents"]
    assert found["Owner"]["ID"]
    after = s3.list_objects_v2(Bucket=BUCKET, StartAfter="emoji/")
    assert sorted(o["Key"] for o in after["Contents"]) == sorted(k for k in KEYS if k > "emoji/"), after
    none = s3.list_objects_v2(Bucket=BUCKET, MaxKeys=0)
    assert none["KeyCount"] == 0 and not none["IsTruncated"]
    refused("InvalidArgument", s3.list_objects_v2, Bucket=BUCKET, ContinuationToken="made-up")
    # Without an encoding, what XML can write arrives as it is.
    if not lacks("line-feeds"):
        assert s3.list_objects_v2(Bucket=BUCKET, Prefix="line")["Contents"][0]["Key"] == "line\nfeed/x"


def refused_keys():
    for key in REFUSED:
        refused("InvalidURI", s3.put_object, Bucket=BUCKET, Key=key, Body=b"harm")
        refused(("InvalidURI", "400"), s3.get_object, Bucket=BUCKET, Key=key)
        refused("InvalidURI", s3.delete_object, Bucket=BUCKET, Key=key)
        refused("InvalidURI", s3.copy_object, Bucket=BUCKET, Key=key, CopySource={"Bucket": BUCKET, "Key": "z"})
        refused("InvalidURI", s3.create_multipart_upload, Bucket=BUCKET, Key=key)
    found = walk("list_objects_v2", 1000, "", "")
    assert found == expected("", ""), found
    for key in KEYS:
        assert body(s3.get_object(Bucket=BUCKET, Key=key)) == key.encode(), key


def cleared():
    objects = [{"Key": key} for key in KEYS]
    answer = s3.delete_objects(Bucket=BUCKET, Delete={"Objects": objects})
    assert sorted(d["Key"] for d in answer["Deleted"]) == sorted(KEYS), answer
    assert "Contents" not in s3.list_objects_v2(Bucket=BUCKET)
    s3.delete_bucket(Bucket=BUCKET)


CHAPTERS = (begun, pages, details, refused_keys, cleared)
