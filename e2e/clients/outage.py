"""Traffic that must go on whatever happens to the control plane: `outage.py before`, then `outage.py during`.

boto3 tries nothing twice here: one failure is one too many.
"""

import sys

from s3 import body, client, refused

s3 = client(retries={"total_max_attempts": 1})
BUCKET = "going-on"


def before():
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key="old", Body=b"from before")


def during():
    requests = 0
    for number in range(25):
        key = f"new/{number}"
        s3.put_object(Bucket=BUCKET, Key=key, Body=key.encode())
        assert body(s3.get_object(Bucket=BUCKET, Key=key)) == key.encode()
        assert body(s3.get_object(Bucket=BUCKET, Key="old")) == b"from before"
        assert s3.list_objects_v2(Bucket=BUCKET, Prefix="new/")["KeyCount"] == number + 1
        requests += 4
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key="parts")["UploadId"]
    part = s3.upload_part(Bucket=BUCKET, Key="parts", UploadId=upload, PartNumber=1, Body=b"part")
    done = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    s3.complete_multipart_upload(Bucket=BUCKET, Key="parts", UploadId=upload, MultipartUpload=done)
    assert [b["Name"] for b in s3.list_buckets()["Buckets"]] == [BUCKET]
    gone = [{"Key": f"new/{number}"} for number in range(25)]
    assert len(s3.delete_objects(Bucket=BUCKET, Delete={"Objects": gone})["Deleted"]) == 25
    # What changes the configuration cannot be now, and says so.
    for call, bucket in ((s3.create_bucket, "another"), (s3.delete_bucket, BUCKET)):
        answer = refused("ServiceUnavailable", call, Bucket=bucket)["ResponseMetadata"]
        assert answer["HTTPStatusCode"] == 503 and int(answer["HTTPHeaders"]["retry-after"]) > 0, answer
    print(requests + 5, "requests without one failure")


def after():
    s3.create_bucket(Bucket="another")
    s3.put_object(Bucket="another", Key="k", Body=b"x")
    assert body(s3.get_object(Bucket=BUCKET, Key="old")) == b"from before"


{"before": before, "during": during, "after": after}[sys.argv[1]]()
