//! `/refusals/{request_id}`: why one request was refused, and what to do about it.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use controlplane::access_keys;
use controlplane::nodes;
use controlplane::refusals::{self, Refusal};
use wire::Rule;

use crate::App;
use crate::failure::{Failure, page};
use crate::figures::{Moment, Size, ago, count};
use crate::pages::refusals::what;
use crate::pages::{Here, Shell};
use crate::session::Member;

#[derive(Template)]
#[template(path = "pages/refusal.html")]
struct RefusalPage<'a> {
    shell: Shell<'a>,
    refusal: &'a Refusal,
    headline: &'static str,
    advice: &'static str,
    what: String,
    at: Moment,
    ago: String,
    /// The key's name, where it is one of the tenant's list.
    key_name: Option<String>,
    node: String,
    counted: Option<(String, String)>,
    clears: Option<(Moment, bool)>,
    more: String,
}

pub async fn show(
    State(app): State<App>,
    Path(request_id): Path<String>,
    member: Member,
) -> Result<Response, Failure> {
    let mut tx = member.begin(&app).await?;
    let refusal = refusals::by_request(&mut tx, &request_id).await?;
    let node = nodes::address(&mut tx, refusal.node_id).await?;
    let keys = access_keys::list(&mut tx).await?;
    tx.commit().await?;
    let now = app.cp.clock().now();
    let key = keys
        .into_iter()
        .find(|key| Some(&key.access_key_id) == refusal.access_key_id.as_ref());
    page(&RefusalPage {
        shell: Shell::new(&member.session, Here::Refusals),
        headline: refusals::sentence(refusal.rule),
        advice: refusals::advice(refusal.rule),
        what: what(&refusal),
        at: Moment(refusal.at),
        ago: ago(refusal.at, now),
        key_name: key.map(|key| key.name),
        node: node.unwrap_or_else(|| format!("{}, which is gone", refusal.node_id)),
        counted: counted(&refusal),
        clears: refusal.clears_at.map(|at| (Moment(at), at <= now)),
        more: count(refusal.more.max(0).unsigned_abs()),
        refusal: &refusal,
    })
}

/// What the rule counted, and what it allowed, in its own unit.
fn counted(refusal: &Refusal) -> Option<(String, String)> {
    let (counter, limit) = (refusal.counter?, refusal.limit?);
    let words = |figure: i64| {
        let figure = figure.max(0).unsigned_abs();
        match refusal.rule {
            // Thousandths of requests a second.
            Rule::RateLimit => format!("{:.1} requests/s", figure as f64 / 1000.0),
            Rule::BandwidthLimit => format!("{}/s", Size::of(figure)),
            Rule::QuotaStoredBytes | Rule::QuotaEgress => Size::of(figure).to_string(),
            _ => count(figure),
        }
    };
    Some((words(counter), words(limit)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;
    use controlplane::ids::{NodeId, TenantId};

    #[test]
    fn figures_are_in_the_rules_own_unit() {
        let refusal = |rule| Refusal {
            request_id: "R".to_owned(),
            tenant_id: TenantId::random(),
            at: DateTime::UNIX_EPOCH,
            node_id: NodeId::random(),
            operation: "PutObject".to_owned(),
            bucket: Some("photos".to_owned()),
            access_key_id: None,
            status: 503,
            code: "SlowDown".to_owned(),
            rule,
            counter: Some(150_200),
            limit: Some(100_000),
            revision: 1,
            clears_at: None,
            more: 0,
            explanation: String::new(),
        };
        let of = |rule| {
            let (counter, limit) = counted(&refusal(rule)).expect("figures");
            format!("{counter} of {limit}").replace('\u{a0}', " ")
        };
        assert_eq!(of(Rule::RateLimit), "150.2 requests/s of 100.0 requests/s");
        assert_eq!(of(Rule::QuotaStoredBytes), "150.2 kB of 100 kB");
        assert_eq!(of(Rule::ConcurrencyLimit), "150,200 of 100,000");
        assert_eq!(what(&refusal(Rule::RateLimit)), "PutObject in photos");
        let none = Refusal {
            counter: None,
            ..refusal(Rule::KeyRevoked)
        };
        assert_eq!(counted(&none), None);
    }
}
