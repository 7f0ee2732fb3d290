"""A pytest plugin that keeps the suite's tests apart from each other.

As it comes, the suite clears all buckets before and after each test, and gives up at one that cannot be cleared: after
one object under a retention of years, or over an engine that lists no versions, every later test fails. Here each test
has names of its own for its buckets, and clearing does what it can.
"""

import fnmatch
import json
import os
from pathlib import Path

import pytest

FOLDER = Path(os.environ["CONFORMANCE_FOLDER"])


def pytest_configure(config):
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0")
    os.environ["S3TEST_CONF"] = str(FOLDER / f"{worker}.conf")


def pytest_collection_modifyitems(config, items):
    patterns = json.loads((FOLDER / "left-out.json").read_text())
    names = set(json.loads((FOLDER / "names.json").read_text()))

    def wanted(item):
        name = f"{item.path.stem}::{item.name}"
        return name in names if names else not any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)

    kept = [item for item in items if wanted(item)]
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = kept


@pytest.hookimpl(trylast=True)
def pytest_collection_finish(session):
    import s3tests.functional as suite

    def setup():
        suite.prefix = suite.choose_bucket_prefix("vt-{random}-")

    def teardown():
        for client in (suite.get_client(), suite.get_alt_client(), suite.get_tenant_client()):
            clear(client, suite.prefix)

    suite.setup, suite.teardown = setup, teardown


def clear(client, prefix):
    """Removes the buckets whose name begins with `prefix`, as far as they can be removed."""
    from botocore.exceptions import BotoCoreError, ClientError

    def attempt(call, **arguments):
        try:
            return call(**arguments)
        except (ClientError, BotoCoreError):
            return {}

    for bucket in attempt(client.list_buckets).get("Buckets", []):
        name = bucket["Name"]
        if not name.startswith(prefix):
            continue
        for upload in attempt(client.list_multipart_uploads, Bucket=name).get("Uploads", []):
            attempt(client.abort_multipart_upload, Bucket=name, Key=upload["Key"], UploadId=upload["UploadId"])
        for objects in batches(attempt, client, name):
            batch = {"Bucket": name, "Delete": {"Objects": objects, "Quiet": True}}
            # Who knows no retention may refuse the header that goes past it, and with it the whole batch.
            if not attempt(client.delete_objects, **batch, BypassGovernanceRetention=True):
                attempt(client.delete_objects, **batch)
        attempt(client.delete_bucket, Bucket=name)


def batches(attempt, client, bucket):
    """All versions in a bucket, up to 1,000 at a time; where versions cannot be listed, all objects."""
    markers = {}
    while page := attempt(client.list_object_versions, Bucket=bucket, **markers):
        found = page.get("Versions", []) + page.get("DeleteMarkers", [])
        if found:
            yield [{"Key": each["Key"], "VersionId": each["VersionId"]} for each in found]
        if not page.get("IsTruncated"):
            return
        following = {"KeyMarker": page.get("NextKeyMarker"), "VersionIdMarker": page.get("NextVersionIdMarker")}
        markers = {name: marker for name, marker in following.items() if marker}
    # Objects that stay although they were deleted must not keep it here.
    for _ in range(5):
        found = attempt(client.list_objects_v2, Bucket=bucket).get("Contents")
        if not found:
            return
        yield [{"Key": each["Key"]} for each in found]
