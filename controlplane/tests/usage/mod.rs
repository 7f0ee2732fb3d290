//! Usage, as nodes send it over a real stream: booked once, in any order, and read back.

mod shown;

use controlplane::ids::TenantId;
use controlplane::{Actor, Origin, buckets};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgConnection};
use wire::{Freed, FromNode, RequestClass, ToNode, UploadChange, UploadEnd, UsageLine};

use crate::plane::{Plane, Stream, eventually, noon};

struct World {
    plane: Plane,
    tenant: TenantId,
    bucket: String,
    stream: Stream,
}

impl World {
    async fn start() -> World {
        let plane = Plane::start().await;
        let tenant = plane.tenant("one@example.com").await.id;
        let node = plane.node().await;
        let mut stream = plane.connect(&node, 0).await;
        let revision = stream.snapshot().await.revision;
        stream.ack(revision).await;
        let (making, hearing) = (make(&plane, tenant), async {
            let document = stream.tenant().await;
            stream.ack(document.revision).await;
            document.buckets[0].id.clone()
        });
        let (_, bucket) = tokio::join!(making, hearing);
        World {
            plane,
            tenant,
            bucket,
            stream,
        }
    }

    fn line(&self, requests: u64) -> UsageLine {
        UsageLine {
            hour: u32::try_from(noon().timestamp() / 3600).unwrap(),
            tenant_id: self.tenant.to_string(),
            bucket_id: self.bucket.clone(),
            access_key_id: "VLTKEY".into(),
            class: RequestClass::A,
            requests,
            bytes_in: 10 * requests,
            bytes_out: 0,
            stored_bytes: 0,
            stored_objects: 0,
            freed: vec![],
            uploads: vec![],
        }
    }

    async fn send(&mut self, sequence: u64, lines: Vec<UsageLine>) {
        let boot = "00000000000000aa".to_owned();
        let batch = FromNode::Usage {
            boot: boot.clone(),
            sequence,
            lines,
            taken: vec![],
        };
        self.stream.say(&batch).await;
        loop {
            match self.stream.hear().await {
                ToNode::Booked {
                    boot: booked,
                    sequence: number,
                } => {
                    assert_eq!((booked, number), (boot, sequence));
                    return;
                }
                ToNode::Tenant(document) => self.stream.ack(document.revision).await,
                other => panic!("{other:?}"),
            }
        }
    }

    async fn stored(&self) -> (i64, i64) {
        let (status, body) = self
            .plane
            .admin(Method::GET, &format!("/tenants/{}", self.tenant), None)
            .await;
        assert_eq!(status, StatusCode::OK);
        let figure = |name: &str| body[name].as_i64().unwrap();
        (figure("stored_bytes"), figure("objects"))
    }

    async fn usage(&self, query: &str) -> Vec<Value> {
        let path = format!("/tenants/{}/usage?{query}", self.tenant);
        let (status, body) = self.plane.admin(Method::GET, &path, None).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        body["rows"].as_array().unwrap().clone()
    }
}

async fn make(plane: &Plane, tenant: TenantId) {
    let new = buckets::NewBucket {
        name: "photos".to_owned(),
        ..Default::default()
    };
    buckets::create(&plane.cp, tenant, new, Actor::System, Origin::default())
        .await
        .unwrap();
}

async fn sum(conn: &mut PgConnection, what: &str) -> i64 {
    let sql = format!("SELECT COALESCE(sum({what}), 0)::bigint FROM usage_hours");
    sqlx::query_scalar(AssertSqlSafe(sql))
        .fetch_one(conn)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_batch_is_booked_once_however_often_it_comes() {
    let mut world = World::start().await;
    let put = UsageLine {
        stored_bytes: 30,
        stored_objects: 3,
        ..world.line(3)
    };
    for _ in 0..3 {
        world.send(1, vec![put.clone()]).await;
    }
    assert_eq!(world.stored().await, (30, 3));
    world.send(2, vec![put.clone()]).await;
    assert_eq!(world.stored().await, (60, 6));
    let mut conn = world.plane.database.superuser().await;
    assert_eq!(sum(&mut conn, "requests").await, 6);
    let kept: i64 = sqlx::query_scalar("SELECT count(*) FROM usage_batches")
        .fetch_one(&mut conn)
        .await
        .unwrap();
    assert_eq!(kept, 2);
    world.plane.stop().await;
}

#[tokio::test]
async fn what_two_requests_found_is_given_back_once() {
    let mut world = World::start().await;
    let put = UsageLine {
        stored_bytes: 5,
        stored_objects: 1,
        ..world.line(1)
    };
    let old = Freed {
        what: u64::MAX,
        bytes: 5,
    };
    let overwrite = UsageLine {
        freed: vec![old],
        ..put.clone()
    };
    world.send(3, vec![overwrite.clone()]).await;
    world.send(2, vec![overwrite]).await;
    world.send(1, vec![put]).await;
    assert_eq!(world.stored().await, (10, 2));
    world.plane.stop().await;
}

#[tokio::test]
async fn an_upload_holds_its_parts_and_then_its_object_in_any_order() {
    let mut world = World::start().await;
    let upload = |upload, part_bytes, end| UploadChange {
        upload,
        part_bytes,
        end,
    };
    let of = |change, world: &World| UsageLine {
        uploads: vec![change],
        ..world.line(1)
    };
    let completed = UploadEnd::Completed { bytes: Some(7) };
    let ended = of(upload(1, 0, completed), &world);
    let part = of(upload(1, 9, UploadEnd::Open), &world);
    world.send(1, vec![ended]).await;
    assert_eq!(world.stored().await, (7, 1));
    world.send(2, vec![part]).await;
    assert_eq!(world.stored().await, (7, 1));
    let part = of(upload(2, 9, UploadEnd::Open), &world);
    world.send(3, vec![part.clone()]).await;
    assert_eq!(world.stored().await, (16, 1));
    let aborted = of(upload(2, 0, UploadEnd::Aborted), &world);
    world.send(4, vec![aborted, part]).await;
    assert_eq!(world.stored().await, (7, 1));
    world.plane.stop().await;
}

#[tokio::test]
async fn usage_of_nobody_is_dropped_and_the_node_goes_on() {
    let mut world = World::start().await;
    let stranger = UsageLine {
        tenant_id: "f".repeat(32),
        ..world.line(1)
    };
    let unreadable = UsageLine {
        tenant_id: "nobody".into(),
        ..world.line(1)
    };
    let good = world.line(2);
    world.send(1, vec![stranger, unreadable, good]).await;
    let mut conn = world.plane.database.superuser().await;
    assert_eq!(sum(&mut conn, "requests").await, 2);
    world.plane.stop().await;
}

#[tokio::test]
async fn what_is_stored_counts_for_every_hour_that_it_stays() {
    let mut world = World::start().await;
    let hour = world.line(0).hour;
    let put = UsageLine {
        hour: hour - 5,
        stored_bytes: 100,
        stored_objects: 1,
        ..world.line(1)
    };
    let removed = UsageLine {
        hour: hour - 2,
        freed: vec![Freed {
            what: 1,
            bytes: 100,
        }],
        class: RequestClass::Free,
        ..world.line(1)
    };
    // The later batch first: each falls into its own hour.
    world.send(2, vec![removed]).await;
    world.send(1, vec![put]).await;
    let rows = world
        .usage("from=2026-03-01T06:00:00Z&to=2026-03-01T12:00:00Z&by=hour")
        .await;
    let held: Vec<i64> = rows
        .iter()
        .map(|row| row["byte_hours"].as_i64().unwrap())
        .collect();
    assert_eq!(held, [0, 100, 100, 100, 0, 0]);
    assert_eq!(rows[1]["bucket"], "photos");
    // From the middle on, what was stored before is known.
    let rows = world
        .usage("from=2026-03-01T08:00:00Z&to=2026-03-01T12:00:00Z&by=day")
        .await;
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0]["byte_hours"], 200);
    assert_eq!(rows[0]["stored_bytes"], 0);
    let rows = world.usage("group=class&by=day").await;
    let classes: Vec<(&str, i64)> = rows
        .iter()
        .map(|row| {
            let requests = row["requests"].as_i64().unwrap();
            (row["class"].as_str().unwrap(), requests)
        })
        .collect();
    assert_eq!(classes, [("a", 1), ("free", 1)]);
    let rows = world.usage("group=key&by=day").await;
    assert_eq!(rows[0]["access_key_id"], "VLTKEY");
    assert_eq!(rows[0]["bytes_in"], 20);
    let path = format!("/tenants/{}/usage?by=year", world.tenant);
    let (status, _) = world.plane.admin(Method::GET, &path, None).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    world.plane.stop().await;
}

#[tokio::test]
async fn an_inventory_puts_right_what_was_booked() {
    let mut world = World::start().await;
    let put = UsageLine {
        stored_bytes: 100,
        stored_objects: 1,
        ..world.line(1)
    };
    world.send(1, vec![put]).await;
    let engine_bucket = world.plane.engine.buckets().remove(0);
    for key in ["a", "b"] {
        world
            .plane
            .engine
            .change(&engine_bucket, |bucket| bucket.put(key));
    }
    let path = format!("/tenants/{}/inventory", world.tenant);
    let asked = Some(json!({ "bucket": "photos" }));
    let (status, body) = world.plane.admin(Method::POST, &path, asked).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let expected = json!([{
        "bucket": "photos", "found_bytes": 14, "found_objects": 2,
        "corrected_bytes": -86, "corrected_objects": 1, "exact": true,
    }]);
    assert_eq!(body["buckets"], expected);
    assert_eq!(world.stored().await, (14, 2));
    let mut conn = world.plane.database.superuser().await;
    assert_eq!(sum(&mut conn, "stored_delta").await, 14);
    let asked = Some(json!({ "bucket": "nowhere" }));
    let (status, _) = world.plane.admin(Method::POST, &path, asked).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    world.plane.stop().await;
}

#[tokio::test]
async fn a_deleted_bucket_holds_nothing_whatever_is_booked_later() {
    let mut world = World::start().await;
    let put = UsageLine {
        stored_bytes: 100,
        stored_objects: 1,
        ..world.line(1)
    };
    world.send(1, vec![put.clone()]).await;
    assert_eq!(world.stored().await, (100, 1));
    let (cp, tenant) = (world.plane.cp.clone(), world.tenant);
    let deleting = tokio::spawn(async move {
        buckets::delete(&cp, tenant, "photos", Actor::System, Origin::default()).await
    });
    while !deleting.is_finished() {
        if let Some(ToNode::Tenant(document)) = world.stream.hear_any().await {
            world.stream.ack(document.revision).await;
        }
    }
    deleting.await.unwrap().unwrap();
    assert_eq!(world.stored().await, (0, 0));
    world.send(2, vec![put]).await;
    assert_eq!(world.stored().await, (0, 0));
    let mut conn = world.plane.database.superuser().await;
    assert_eq!(sum(&mut conn, "stored_delta").await, 0);
    assert_eq!(sum(&mut conn, "requests").await, 2);
    world.plane.stop().await;
}

#[tokio::test]
async fn many_nodes_at_once_do_not_wait_for_each_other_forever() {
    let world = World::start().await;
    let other = world.plane.tenant("two@example.com").await.id;
    let mut senders = Vec::new();
    for number in 0..4u64 {
        let node = world.plane.node().await;
        let mut stream = world.plane.connect(&node, 0).await;
        let one = UsageLine {
            stored_bytes: 1,
            stored_objects: 1,
            freed: vec![Freed { what: 9, bytes: 1 }],
            ..world.line(1)
        };
        let two = UsageLine {
            tenant_id: other.to_string(),
            ..one.clone()
        };
        let lines = if number % 2 == 0 {
            vec![one, two]
        } else {
            vec![two, one]
        };
        senders.push(tokio::spawn(async move {
            for sequence in 0..10 {
                let boot = "00000000000000bb".to_owned();
                let lines = lines.clone();
                stream
                    .say(&FromNode::Usage {
                        boot,
                        sequence,
                        lines,
                        taken: vec![],
                    })
                    .await;
            }
            let mut booked = 0;
            while booked < 10 {
                if let ToNode::Booked { .. } = stream.hear().await {
                    booked += 1;
                }
            }
        }));
    }
    for sender in senders {
        sender.await.unwrap();
    }
    let mut conn = world.plane.database.superuser().await;
    eventually(async || sum(&mut conn, "requests").await == 80).await;
    assert_eq!(world.stored().await, (39, 39));
    world.plane.stop().await;
}
