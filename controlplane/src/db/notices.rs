//! Notices, and who has put them away.

use chrono::{DateTime, Utc};
use sqlx::{query, query_scalar};
use uuid::Uuid;

use crate::ids::{MemberId, NoticeId, TenantId};
use crate::notices::{Notice, Shown};
use crate::{Error, Tx};

/// Tenants that are not deleted, on this plan or on any.
pub(crate) async fn reach(tx: &mut Tx, plan: Option<&str>) -> Result<i64, Error> {
    let count = query_scalar!(
        r#"SELECT count(*) AS "count!" FROM tenants WHERE status <> 'deleted' AND ($1::text IS NULL OR plan_id = $1)"#,
        plan
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(count)
}

pub(crate) async fn insert(tx: &mut Tx, notice: &Notice) -> Result<(), Error> {
    query!(
        "INSERT INTO notices (id, title, body, level, plan_id, from_at, until_at, tenants, created_at, created_by)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        notice.notice_id.0,
        notice.title,
        notice.text,
        notice.level.as_str(),
        notice.plan,
        notice.from,
        notice.until,
        notice.tenants,
        notice.created_at,
        notice.created_by
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

struct Row {
    id: Uuid,
    title: String,
    body: String,
    level: String,
    plan_id: Option<String>,
    from_at: DateTime<Utc>,
    until_at: DateTime<Utc>,
    tenants: i64,
    created_at: DateTime<Utc>,
    created_by: String,
    ended_at: Option<DateTime<Utc>>,
    dismissed: i64,
}

impl TryFrom<Row> for Notice {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        Ok(Notice {
            notice_id: row.id.into(),
            title: row.title,
            text: row.body,
            level: row.level.parse()?,
            from: row.from_at,
            until: row.until_at,
            plan: row.plan_id,
            tenants: row.tenants,
            created_at: row.created_at,
            created_by: row.created_by,
            ended_at: row.ended_at,
            dismissed: row.dismissed,
        })
    }
}

macro_rules! select {
    ($tail:literal $(, $arg:expr)*) => {
        sqlx::query_as!(
            Row,
            r#"SELECT n.id, n.title, n.body, n.level, n.plan_id, n.from_at, n.until_at, n.tenants, n.created_at,
                      n.created_by, n.ended_at,
                      (SELECT count(*) FROM notice_dismissals d WHERE d.notice_id = n.id) AS "dismissed!"
               FROM notices n "# + $tail
            $(, $arg)*
        )
    };
}

pub(crate) async fn list(tx: &mut Tx, limit: i64) -> Result<Vec<Notice>, Error> {
    let rows = select!("ORDER BY n.created_at DESC, n.id LIMIT $1", limit)
        .fetch_all(tx.connection())
        .await?;
    rows.into_iter().map(Notice::try_from).collect()
}

pub(crate) async fn get(tx: &mut Tx, id: NoticeId) -> Result<Option<Notice>, Error> {
    let row = select!("WHERE n.id = $1", id.0)
        .fetch_optional(tx.connection())
        .await?;
    row.map(Notice::try_from).transpose()
}

/// `false`: it has ended already, or there is none.
pub(crate) async fn end(tx: &mut Tx, id: NoticeId, now: DateTime<Utc>) -> Result<bool, Error> {
    let done = query!(
        "UPDATE notices SET ended_at = $2 WHERE id = $1 AND ended_at IS NULL AND until_at > $2",
        id.0,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(done.rows_affected() == 1)
}

pub(crate) async fn for_member(
    tx: &mut Tx,
    tenant: TenantId,
    member: MemberId,
    now: DateTime<Utc>,
) -> Result<Vec<Shown>, Error> {
    let rows = query!(
        "SELECT n.id, n.title, n.body, n.level, n.until_at FROM notices n JOIN tenants t ON t.id = $1
         WHERE n.ended_at IS NULL AND n.from_at <= $3 AND n.until_at > $3 AND (n.plan_id IS NULL OR n.plan_id = t.plan_id)
           AND NOT EXISTS (SELECT FROM notice_dismissals d WHERE d.notice_id = n.id AND d.member_id = $2)
         ORDER BY n.level = 'incident' DESC, n.from_at DESC, n.id LIMIT 20",
        tenant.0,
        member.0,
        now
    )
    .fetch_all(tx.connection())
    .await?;
    let shown = rows.into_iter().map(|row| {
        Ok(Shown {
            notice_id: row.id.into(),
            title: row.title,
            text: row.body,
            level: row.level.parse()?,
            until: row.until_at,
        })
    });
    shown.collect()
}

/// `false`: the tenant is not shown it. Doing it twice does nothing twice.
pub(crate) async fn dismiss(
    tx: &mut Tx,
    tenant: TenantId,
    member: MemberId,
    id: NoticeId,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    let seen = query_scalar!(
        r#"SELECT EXISTS (
               SELECT FROM notices n JOIN tenants t ON t.id = $2
               WHERE n.id = $1 AND n.from_at <= $3 AND (n.plan_id IS NULL OR n.plan_id = t.plan_id)) AS "seen!""#,
        id.0,
        tenant.0,
        now
    )
    .fetch_one(tx.connection())
    .await?;
    if seen {
        query!(
            "INSERT INTO notice_dismissals (notice_id, tenant_id, member_id, at) VALUES ($1, $2, $3, $4)
             ON CONFLICT (notice_id, member_id) DO NOTHING",
            id.0,
            tenant.0,
            member.0,
            now
        )
        .execute(tx.connection())
        .await?;
    }
    Ok(seen)
}
