"""Traffic that must go on whatever happens to the control plane: `outage.py before`, then `outage.py during`; or
`outage.py on NAME`, which goes on until its input ends.

boto3 tries nothing twice here: one failure is one too many.
"""

import sys
import threading

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


def on_and_on():
    """Until standard input ends: reads, writes, lists and deletes. What breaks off is tried again, as SDKs do; what is
    answered must be a success."""
    s3 = client(retries={"total_max_attempts": 10, "mode": "standard"})
    over = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), over.set()), daemon=True).start()
    requests = 0
    while not over.is_set():
        key = f"{sys.argv[2]}/{requests}"
        s3.put_object(Bucket=BUCKET, Key=key, Body=key.encode())
        assert body(s3.get_object(Bucket=BUCKET, Key=key)) == key.encode()
        assert s3.list_objects_v2(Bucket=BUCKET, Prefix=f"{sys.argv[2]}/")["KeyCount"] == 1
        s3.delete_object(Bucket=BUCKET, Key=key)
        requests += 4
        print(requests, flush=True)
    print(requests, "requests without one failure")


{"before": before, "during": during, "after": after, "on": on_and_on}[sys.argv[1]]()
