"""Uploads in parts: every operation of the family, with checksums, copies of parts, and what is refused."""

from s3 import body, client, lacks, refused

s3 = client()
BUCKET = "multipart"
MIB = 1 << 20
FIRST, LAST = b"1" * (5 * MIB), b"2" * 100
KEY = "big/ü 100%.bin"


def begun():
    s3.create_bucket(Bucket=BUCKET)


def uploads():
    """Several at once under neighbouring keys. SeaweedFS lists them by their ids, not by their keys."""
    ids = {}
    for key in ("a", "a", "b/1", "b/2"):
        answer = s3.create_multipart_upload(Bucket=BUCKET, Key=key)
        assert (answer["Bucket"], answer["Key"]) == (BUCKET, key)
        ids.setdefault(key, []).append(answer["UploadId"])
    all_of_them = sorted((key, upload) for key, several in ids.items() for upload in several)

    def listed(**asked):
        found = []
        pages = s3.get_paginator("list_multipart_uploads").paginate(Bucket=BUCKET, **asked)
        for page in pages:
            found += [(u["Key"], u["UploadId"]) for u in page.get("Uploads", [])]
        return sorted(found)

    every = listed()
    assert [key for key, _ in every] == ["a", "a", "b/1", "b/2"]
    page = s3.list_multipart_uploads(Bucket=BUCKET, MaxUploads=1)
    if not lacks("upload-pages"):
        assert page["IsTruncated"] and len(page["Uploads"]) == 1
    for size in (1, 2, 3):
        found = listed(PaginationConfig={"PageSize": size})
        assert [key for key, _ in found] == [key for key, _ in every], size
    assert [key for key, _ in listed(Prefix="b/")] == ["b/1", "b/2"]
    # An id that the list tells is one that can be used.
    for key, upload in every:
        s3.abort_multipart_upload(Bucket=BUCKET, Key=key, UploadId=upload)
    assert listed() == []
    key, upload = all_of_them[0]
    refused("NoSuchUpload", s3.list_parts, Bucket=BUCKET, Key=key, UploadId=upload)
    if not lacks("part-refusals"):
        refused("NoSuchUpload", s3.upload_part, Bucket=BUCKET, Key=key, UploadId=upload, PartNumber=1, Body=b"x")


def parts():
    at = {"Bucket": BUCKET, "Key": KEY}
    upload = s3.create_multipart_upload(
        **at, Metadata={"story": "parts"}, ContentType="a/b", ChecksumAlgorithm="CRC32"
    )
    at["UploadId"] = upload["UploadId"]
    if not lacks("checksums"):
        assert upload["ChecksumAlgorithm"] == "CRC32"
    s3.put_object(Bucket=BUCKET, Key="source", Body=b"0123456789" * MIB)

    done = []
    part = s3.upload_part(**at, PartNumber=1, Body=FIRST)
    assert part["ChecksumCRC32"]
    done.append({"PartNumber": 1, "ETag": part["ETag"], "ChecksumCRC32": part["ChecksumCRC32"]})
    copied = s3.upload_part_copy(
        **at,
        PartNumber=2,
        CopySource={"Bucket": BUCKET, "Key": "source"},
        CopySourceRange=f"bytes=5-{5 * MIB + 4}",
    )["CopyPartResult"]
    done.append({"PartNumber": 2, "ETag": copied["ETag"]})
    if "ChecksumCRC32" in copied:
        done[-1]["ChecksumCRC32"] = copied["ChecksumCRC32"]
    part = s3.upload_part(**at, PartNumber=10, Body=LAST)
    done.append({"PartNumber": 10, "ETag": part["ETag"], "ChecksumCRC32": part["ChecksumCRC32"]})

    listed = s3.list_parts(**at)
    assert [(p["PartNumber"], p["Size"]) for p in listed["Parts"]] == [(1, 5 * MIB), (2, 5 * MIB), (10, 100)]
    assert [p["ETag"] for p in listed["Parts"]] == [p["ETag"] for p in done]
    for size in (1, 2):
        pages = s3.get_paginator("list_parts").paginate(**at, PaginationConfig={"PageSize": size})
        assert [p["PartNumber"] for page in pages for p in page["Parts"]] == [1, 2, 10]

    # Sent again, a part replaces what was sent before. (SeaweedFS still lists both.)
    again = LAST[::-1] + b"again"
    part = s3.upload_part(**at, PartNumber=10, Body=again)
    done[-1].update(ETag=part["ETag"], ChecksumCRC32=part["ChecksumCRC32"])

    wrong = [{**done[0], "ETag": '"00000000000000000000000000000000"'}]
    refused("InvalidPart", s3.complete_multipart_upload, **at, MultipartUpload={"Parts": wrong})
    refused("InvalidPartOrder", s3.complete_multipart_upload, **at, MultipartUpload={"Parts": done[::-1]})
    refused("404", s3.head_object, Bucket=BUCKET, Key=KEY)
    whole = s3.complete_multipart_upload(**at, MultipartUpload={"Parts": done})
    assert (whole["Bucket"], whole["Key"]) == (BUCKET, KEY) and whole["ETag"].endswith('-3"')

    expected = FIRST + (b"0123456789" * MIB)[5 : 5 * MIB + 5] + again
    answer = s3.get_object(Bucket=BUCKET, Key=KEY)
    assert body(answer) == expected
    assert answer["Metadata"] == {"story": "parts"} and answer["ContentType"] == "a/b"
    assert answer["ETag"] == whole["ETag"]
    tail = s3.get_object(Bucket=BUCKET, Key=KEY, Range="bytes=-150")
    assert body(tail) == expected[-150:]


def too_small():
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key="small")
    at = {"Bucket": BUCKET, "Key": "small", "UploadId": upload["UploadId"]}
    done = [
        {"PartNumber": n, "ETag": s3.upload_part(**at, PartNumber=n, Body=b"s")["ETag"]} for n in (1, 2)
    ]
    refused("EntityTooSmall", s3.complete_multipart_upload, **at, MultipartUpload={"Parts": done})
    # One part alone may be of any size.
    s3.complete_multipart_upload(**at, MultipartUpload={"Parts": done[:1]})
    assert body(s3.get_object(Bucket=BUCKET, Key="small")) == b"s"


def of_another_object():
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key="mine")["UploadId"]
    for key in ("other", "mine/"):
        refused("NoSuchUpload", s3.list_parts, Bucket=BUCKET, Key=key, UploadId=upload)
    for bad in ("made-up", upload[:-1], upload + "A", "../" + upload):
        refused("NoSuchUpload", s3.list_parts, Bucket=BUCKET, Key="mine", UploadId=bad)
    s3.list_parts(Bucket=BUCKET, Key="mine", UploadId=upload)
    s3.abort_multipart_upload(Bucket=BUCKET, Key="mine", UploadId=upload)


CHAPTERS = (begun, uploads, parts, too_small, of_another_object)
