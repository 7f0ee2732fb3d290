"""Prints a presigned URL for any operation on one object: `presign.py head_object BUCKET KEY`."""

import sys

from s3 import client

operation, bucket, key = sys.argv[1:]
s3 = client(signature_version="s3v4")
print(s3.generate_presigned_url(operation, {"Bucket": bucket, "Key": key}, ExpiresIn=3600))
