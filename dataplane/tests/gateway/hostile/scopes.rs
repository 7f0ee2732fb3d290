//! Keys that are limited to buckets or prefixes, at every operation that there is.

use wire::{Action, EngineCapabilities, Permission, Scope};

use super::{assert_refused, assert_tells_nothing};
use crate::client::{Answer, Client};
use crate::world::World;

/// What an operation is about.
#[derive(Clone, Copy, PartialEq)]
pub enum Reach {
    /// One object; the scope's prefixes decide.
    Object,
    /// Keys below the `prefix` that it asks for.
    Listing,
    /// A bucket's settings, to be read.
    Bucket,
    /// A bucket, or its settings, to be changed.
    Configuration,
}
use Reach::*;

pub struct Operation {
    pub name: &'static str,
    method: &'static str,
    /// With `BUCKET` and `KEY`.
    target: &'static str,
    header: Option<(&'static str, &'static str)>,
    reach: Reach,
}

const fn operation(
    name: &'static str,
    method: &'static str,
    target: &'static str,
    reach: Reach,
) -> Operation {
    Operation {
        name,
        method,
        target,
        header: None,
        reach,
    }
}

const fn with(mut operation: Operation, name: &'static str, value: &'static str) -> Operation {
    operation.header = Some((name, value));
    operation
}

const SOURCE: &str = "/shared-name/in/source";

/// Every operation on a bucket or an object but DeleteObjects, whose keys are answered one by one, and OptionsObject, which
/// bears no signature.
#[rustfmt::skip]
pub const OPERATIONS: &[Operation] = &[
    operation("AbortMultipartUpload", "DELETE", "/BUCKET/KEY?uploadId=u", Object),
    operation("CompleteMultipartUpload", "POST", "/BUCKET/KEY?uploadId=u", Object),
    with(operation("CopyObject", "PUT", "/BUCKET/KEY", Object), "x-amz-copy-source", SOURCE),
    operation("CreateBucket", "PUT", "/BUCKET", Configuration),
    operation("CreateMultipartUpload", "POST", "/BUCKET/KEY?uploads", Object),
    operation("DeleteBucket", "DELETE", "/BUCKET", Configuration),
    operation("DeleteBucketCors", "DELETE", "/BUCKET?cors", Configuration),
    operation("DeleteBucketEncryption", "DELETE", "/BUCKET?encryption", Configuration),
    operation("DeleteBucketLifecycle", "DELETE", "/BUCKET?lifecycle", Configuration),
    operation("DeleteBucketTagging", "DELETE", "/BUCKET?tagging", Configuration),
    operation("DeleteObject", "DELETE", "/BUCKET/KEY", Object),
    operation("DeleteObjectTagging", "DELETE", "/BUCKET/KEY?tagging", Object),
    operation("GetBucketAccelerateConfiguration", "GET", "/BUCKET?accelerate", Bucket),
    operation("GetBucketAcl", "GET", "/BUCKET?acl", Bucket),
    operation("GetBucketCors", "GET", "/BUCKET?cors", Bucket),
    operation("GetBucketEncryption", "GET", "/BUCKET?encryption", Bucket),
    operation("GetBucketLifecycleConfiguration", "GET", "/BUCKET?lifecycle", Bucket),
    operation("GetBucketLocation", "GET", "/BUCKET?location", Bucket),
    operation("GetBucketLogging", "GET", "/BUCKET?logging", Bucket),
    operation("GetBucketNotificationConfiguration", "GET", "/BUCKET?notification", Bucket),
    operation("GetBucketOwnershipControls", "GET", "/BUCKET?ownershipControls", Bucket),
    operation("GetBucketPolicy", "GET", "/BUCKET?policy", Bucket),
    operation("GetBucketPolicyStatus", "GET", "/BUCKET?policyStatus", Bucket),
    operation("GetBucketReplication", "GET", "/BUCKET?replication", Bucket),
    operation("GetBucketRequestPayment", "GET", "/BUCKET?requestPayment", Bucket),
    operation("GetBucketTagging", "GET", "/BUCKET?tagging", Bucket),
    operation("GetBucketVersioning", "GET", "/BUCKET?versioning", Bucket),
    operation("GetBucketWebsite", "GET", "/BUCKET?website", Bucket),
    operation("GetObject", "GET", "/BUCKET/KEY", Object),
    operation("GetObjectAcl", "GET", "/BUCKET/KEY?acl", Object),
    with(operation("GetObjectAttributes", "GET", "/BUCKET/KEY?attributes", Object), "x-amz-object-attributes", "ETag"),
    operation("GetObjectLegalHold", "GET", "/BUCKET/KEY?legal-hold", Object),
    operation("GetObjectLockConfiguration", "GET", "/BUCKET?object-lock", Bucket),
    operation("GetObjectRetention", "GET", "/BUCKET/KEY?retention", Object),
    operation("GetObjectTagging", "GET", "/BUCKET/KEY?tagging", Object),
    operation("GetPublicAccessBlock", "GET", "/BUCKET?publicAccessBlock", Bucket),
    operation("HeadBucket", "HEAD", "/BUCKET", Bucket),
    operation("HeadObject", "HEAD", "/BUCKET/KEY", Object),
    operation("ListMultipartUploads", "GET", "/BUCKET?prefix=KEY&uploads", Listing),
    operation("ListObjectVersions", "GET", "/BUCKET?prefix=KEY&versions", Listing),
    operation("ListObjects", "GET", "/BUCKET?prefix=KEY", Listing),
    operation("ListObjectsV2", "GET", "/BUCKET?list-type=2&prefix=KEY", Listing),
    operation("ListParts", "GET", "/BUCKET/KEY?uploadId=u", Object),
    with(operation("PutBucketAcl", "PUT", "/BUCKET?acl", Configuration), "x-amz-acl", "private"),
    operation("PutBucketCors", "PUT", "/BUCKET?cors", Configuration),
    operation("PutBucketEncryption", "PUT", "/BUCKET?encryption", Configuration),
    operation("PutBucketLifecycleConfiguration", "PUT", "/BUCKET?lifecycle", Configuration),
    operation("PutBucketTagging", "PUT", "/BUCKET?tagging", Configuration),
    operation("PutBucketVersioning", "PUT", "/BUCKET?versioning", Configuration),
    operation("PutObject", "PUT", "/BUCKET/KEY", Object),
    with(operation("PutObjectAcl", "PUT", "/BUCKET/KEY?acl", Object), "x-amz-acl", "private"),
    operation("PutObjectLegalHold", "PUT", "/BUCKET/KEY?legal-hold", Object),
    operation("PutObjectLockConfiguration", "PUT", "/BUCKET?object-lock", Configuration),
    operation("PutObjectRetention", "PUT", "/BUCKET/KEY?retention", Object),
    operation("PutObjectTagging", "PUT", "/BUCKET/KEY?tagging", Object),
    operation("UploadPart", "PUT", "/BUCKET/KEY?partNumber=1&uploadId=u", Object),
    with(operation("UploadPartCopy", "PUT", "/BUCKET/KEY?partNumber=1&uploadId=u", Object), "x-amz-copy-source", SOURCE),
];

impl Operation {
    pub fn target(&self, bucket: &str, key: &str) -> String {
        self.target.replace("BUCKET", bucket).replace("KEY", key)
    }

    pub async fn send(&self, client: &Client, target: &str) -> Answer {
        let mut call = client.call(self.method, target);
        if let Some((name, value)) = self.header {
            call = call.header(name, value);
        }
        call.send().await
    }
}

pub async fn limited_to(scope: Scope) -> World {
    World::with(|snapshot| {
        snapshot.settings.engines[0].capabilities = EngineCapabilities {
            exact_keys: true,
            byte_order: true,
            ..EngineCapabilities::default()
        };
        snapshot.tenants[0].access_keys[0].scope = scope;
    })
    .await
}

fn denied(answer: &Answer) -> bool {
    answer.status == 403
}

#[test]
fn every_documented_operation_is_tried() {
    let documented = include_str!("../../../../docs/S3-COMPATIBILITY.md");
    let rows = documented
        .lines()
        .filter(|line| line.contains("| yes |") || line.contains("| no |"));
    let elsewhere = [
        "DeleteObjects",
        "ListBuckets",
        "OptionsObject",
        "PostObject",
        "operation",
    ];
    let missing: Vec<&str> = rows
        .filter_map(|line| line.split('|').nth(1).map(str::trim))
        .filter(|name| !elsewhere.contains(name))
        .filter(|name| OPERATIONS.iter().all(|operation| operation.name != *name))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert!(OPERATIONS.len() > 50);
}

#[tokio::test]
async fn row_32_a_key_for_a_prefix_reaches_nothing_beside_it() {
    let world = limited_to(Scope {
        prefixes: vec!["in/".into()],
        ..Scope::default()
    })
    .await;
    for operation in OPERATIONS {
        let name = operation.name;
        let outside = operation.target("abkt", "out/x");
        let answer = operation.send(&world.a, &outside).await;
        if operation.reach == Bucket {
            assert!(!denied(&answer), "{name}: {}", answer.body);
            continue;
        }
        world.assert_engine_saw_nothing(name);
        assert!(denied(&answer), "{name}: {} {}", answer.status, answer.body);
        assert_tells_nothing(&world, &answer, name);
        if operation.reach != Configuration {
            let inside = operation.target("abkt", "in/x");
            let answer = operation.send(&world.a, &inside).await;
            assert!(!denied(&answer), "{name}: {}", answer.body);
        }
        if operation.reach == Listing {
            for half in ["", "in", "./in/"] {
                let answer = operation
                    .send(&world.a, &operation.target("abkt", half))
                    .await;
                assert!(denied(&answer), "{name} of '{half}'");
            }
        }
        world.engine.take_seen();
    }
}

#[tokio::test]
async fn row_33_a_key_for_a_bucket_reaches_no_other() {
    let world = limited_to(Scope {
        buckets: vec!["shared-name".into()],
        ..Scope::default()
    })
    .await;
    for operation in OPERATIONS {
        let name = operation.name;
        let other = operation.target("abkt", "in/x");
        let answer = operation.send(&world.a, &other).await;
        world.assert_engine_saw_nothing(name);
        assert!(denied(&answer), "{name}: {} {}", answer.status, answer.body);
        assert_tells_nothing(&world, &answer, name);
        if operation.reach != Configuration {
            let own = operation.target("shared-name", "in/x");
            let answer = operation.send(&world.a, &own).await;
            assert!(!denied(&answer), "{name}: {}", answer.body);
        }
        world.engine.take_seen();
    }
}

#[tokio::test]
async fn row_34_a_copy_reads_no_more_than_its_key_may() {
    let world = limited_to(Scope {
        prefixes: vec!["in/".into()],
        ..Scope::default()
    })
    .await;
    let copy = |source| {
        let call = world.a.call("PUT", "/abkt/in/x");
        call.header("x-amz-copy-source", source)
    };
    for source in [
        "/abkt/out/x",
        "abkt%2Fout%2Fx",
        "/abkt/out/x?versionId=null",
    ] {
        let answer = copy(source).send().await;
        assert_refused(&world, &answer, (403, "AccessDenied"), source);
    }
    assert_eq!(copy("/abkt/in/y").send().await.status, 200);

    let write_only = limited_to(Scope {
        permission: Permission::Write,
        ..Scope::default()
    })
    .await;
    let call = write_only.a.call("PUT", "/abkt/x");
    let answer = call.header("x-amz-copy-source", "/abkt/y").send().await;
    assert_refused(&write_only, &answer, (403, "AccessDenied"), "write only");
    assert_eq!(write_only.a.put("/abkt/x", "v").await.status, 200);
}

#[tokio::test]
async fn row_35_a_batch_deletes_no_more_than_its_key_may() {
    let world = limited_to(Scope {
        prefixes: vec!["in/".into()],
        ..Scope::default()
    })
    .await;
    let batch = |keys: &[&str]| {
        let objects: String = keys
            .iter()
            .map(|key| format!("<Object><Key>{key}</Key></Object>"))
            .collect();
        let document = format!("<Delete>{objects}</Delete>");
        world
            .a
            .call("POST", "/abkt?delete")
            .body(document.as_bytes())
    };
    let answer = batch(&["out/x", "in"]).send().await;
    assert_eq!(answer.body.matches("<Code>AccessDenied</Code>").count(), 2);
    assert_tells_nothing(&world, &answer, "a batch");
    world.assert_engine_saw_nothing("a batch of others' keys");
    assert_eq!(batch(&["out/x", "in/x"]).send().await.status, 200);
    let sent = world.engine.take_seen().remove(0).body.unwrap();
    let sent = String::from_utf8(sent.to_vec()).unwrap();
    assert!(sent.contains("in/x") && !sent.contains("out/x"), "{sent}");
}

fn looks(operation: &Operation) -> bool {
    ["GET", "HEAD"].contains(&operation.method)
}

fn lists(operation: &Operation) -> bool {
    looks(operation) && operation.reach != Object
}

/// A copy reads, too; that of a part is not asked for its source before its upload.
fn writes(operation: &Operation) -> bool {
    operation.reach == Object && !looks(operation) && operation.name != "CopyObject"
}

#[tokio::test]
async fn row_45_a_permission_holds_at_every_operation() {
    type May = fn(&Operation) -> bool;
    let elsewhere = "10.0.0.0/8".parse().unwrap();
    let scopes: [(Scope, May); 4] = [
        (
            Scope {
                permission: Permission::Read,
                ..Scope::default()
            },
            looks,
        ),
        (
            Scope {
                permission: Permission::Write,
                ..Scope::default()
            },
            writes,
        ),
        (
            Scope {
                actions: vec![Action::List],
                ..Scope::default()
            },
            lists,
        ),
        (
            Scope {
                source_addresses: vec![elsewhere],
                ..Scope::default()
            },
            |_| false,
        ),
    ];
    for (scope, may) in scopes {
        let world = limited_to(scope.clone()).await;
        for operation in OPERATIONS {
            let target = operation.target("abkt", "k");
            let answer = operation.send(&world.a, &target).await;
            let what = format!("{} {scope:?}", operation.name);
            assert_eq!(!denied(&answer), may(operation), "{what}: {}", answer.body);
            if denied(&answer) {
                world.assert_engine_saw_nothing(&what);
                assert_tells_nothing(&world, &answer, &what);
            }
            world.engine.take_seen();
        }
    }
}

/// By the address that the connection comes from: what a header says of it is the client's own word.
#[tokio::test]
async fn a_key_is_used_from_where_it_may_be() {
    for (networks, may) in [
        (&["127.0.0.1/32"][..], true),
        (&["10.0.0.0/8", "127.0.0.0/8"], true),
        (&["127.0.0.2/32", "::1/128"], false),
        (&["10.0.0.0/8"], false),
    ] {
        let world = limited_to(Scope {
            source_addresses: networks.iter().map(|net| net.parse().unwrap()).collect(),
            ..Scope::default()
        })
        .await;
        for (name, value) in [
            ("x-forwarded-for", "10.0.0.1"),
            ("x-real-ip", "10.0.0.1"),
            ("forwarded", "for=10.0.0.1"),
        ] {
            let call = world.a.call("PUT", "/abkt/k").header(name, value);
            let answer = call.body(b"v").send().await;
            if may {
                assert_eq!(answer.status, 200, "{networks:?}: {}", answer.body);
            } else {
                assert_refused(&world, &answer, (403, "AccessDenied"), name);
            }
        }
    }
}
