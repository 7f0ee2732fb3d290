//! Plans in the operators' area: made, changed by a version that moves nobody, retired and had back.

use http::StatusCode;

use crate::business::audited;
use crate::operators::operator_client;
use crate::site::{Page, Site};
use crate::tenants::{ADA, tenant_of};

const TERMS: [(&str, &str); 8] = [
    ("name", "Archive"),
    ("price", "99.50"),
    ("currency", "USD"),
    ("storage_bytes", "1.5 TB"),
    ("requests_per_second", "20"),
    ("burst", "40"),
    ("bucket_limit", "10"),
    ("access_key_limit", "50"),
];

/// The terms, one of them otherwise.
fn terms<'a>(name: &'a str, value: &'a str) -> Vec<(&'a str, &'a str)> {
    let mut terms: Vec<(&str, &str)> = TERMS
        .into_iter()
        .filter(|(known, _)| *known != name)
        .collect();
    terms.push((name, value));
    terms
}

fn versions(page: &Page) -> usize {
    let (_, table) = page.body.split_once("id=\"versions\"").expect("versions");
    let (table, _) = table.split_once("</table>").expect("its end");
    table.matches("<td role=\"cell\" class=\"name\">").count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_made_and_changed_and_whoever_bought_keeps_what_they_bought() {
    let site = Site::start().await;
    site.member("Analytical Engines", ADA).await;
    let (mut otto, _) = operator_client(&site).await;
    let list = otto.get("/admin/plans").await;
    assert!(
        list.has("/admin/plans/trial") && list.has("$1,499"),
        "{}",
        list.body
    );
    for (id, field, value, beside) in [
        ("Arch ive", "name", "Archive", "plan-id-error"),
        ("archive", "price", "dear", "price-error"),
        ("archive", "storage_bytes", "much", "storage_bytes-error"),
        ("archive", "storage_bytes", "", "storage_bytes-error"),
        ("archive", "burst", "0", "burst-error"),
        ("archive", "currency", "dollars", "currency-error"),
        (
            "archive",
            "storage_price_micros",
            "4 cents",
            "storage_price_micros-error",
        ),
        ("business", "name", "Archive", "plan-id-error"),
    ] {
        let mut fields = terms(field, value);
        fields.push(("id", id));
        let refused = otto.submit("/admin/plans", &list, &fields).await;
        assert_eq!(
            refused.status,
            StatusCode::UNPROCESSABLE_ENTITY,
            "{id} {field}"
        );
        assert!(refused.has(beside), "{beside} in {}", refused.body);
    }
    let mut fields = terms("storage_price_micros", "0.04");
    fields.push(("id", "archive"));
    let made = otto.submit("/admin/plans", &list, &fields).await;
    let path = "/admin/plans/archive";
    assert_eq!(made.location(), path, "{}", made.body);
    let page = otto.get(path).await;
    assert_eq!(page.element("state"), "by hand");
    // In the words in which it was typed.
    for value in ["1.5 TB", "99.50", "0.04"] {
        assert!(page.has(&format!("value=\"{value}\"")), "{value}");
    }
    let ada = tenant_of(&mut otto, ADA).await;
    let story = format!("/admin/tenants/{ada}");
    let tenant = otto.get(&story).await;
    otto.submit(&format!("{story}/plan"), &tenant, &[("plan", "archive")])
        .await;

    let refused = otto.submit(path, &page, &terms("price", "-1")).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(versions(&otto.get(path).await), 1);
    let mut fields = terms("price", "149");
    fields.push(("for_sale", "yes"));
    let done = otto.submit(path, &page, &fields).await;
    assert_eq!(done.location(), format!("{path}?notice=changed"));
    let page = otto.get(path).await;
    assert_eq!(page.element("state"), "for sale");
    assert_eq!(versions(&page), 2);
    let (_, who) = page.body.split_once("id=\"who\"").expect("who is on it");
    assert!(who.contains("Analytical Engines</a></td><td role=\"cell\" data-label=\"Version\" class=\"number\">1</td>"), "{who}");
    assert_eq!(audited(&mut otto, "plan.create").await.len(), 1);
    assert_eq!(audited(&mut otto, "plan.set").await.len(), 1);
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_retired_and_had_back_but_not_the_one_that_all_begin_on() {
    let site = Site::start().await;
    let (mut otto, _) = operator_client(&site).await;
    let path = "/admin/plans/business";
    let page = otto.get(path).await;
    let done = otto.submit(&format!("{path}/retire"), &page, &[]).await;
    assert_eq!(done.location(), format!("{path}?notice=retired"));
    let retired = otto.get(path).await;
    assert_eq!(retired.element("state"), "retired");
    let changed = otto.submit(path, &page, &TERMS).await;
    assert_eq!(changed.status, StatusCode::CONFLICT);
    assert!(changed.has("The plan is retired"));
    let done = otto
        .submit(&format!("{path}/reinstate"), &retired, &[])
        .await;
    assert_eq!(done.location(), format!("{path}?notice=reinstated"));
    assert_eq!(otto.get(path).await.element("state"), "by hand");

    let token = page.hidden_fields("/admin/logout");
    let ours = [("sec-fetch-site", "same-origin")];
    let trial = otto.get("/admin/plans/trial").await;
    assert!(!trial.has("/admin/plans/trial/retire"));
    let refused = otto.post("/admin/plans/trial/retire", &token, &ours).await;
    assert_eq!(refused.status, StatusCode::CONFLICT, "{}", refused.body);
    assert!(refused.has("Everybody begins on this plan."));
    for act in ["", "/retire", "/reinstate"] {
        for id in ["nobodys", "%00", "a%2Fb"] {
            let unknown = otto
                .post(&format!("/admin/plans/{id}{act}"), &token, &ours)
                .await;
            let expected = match act {
                "" => StatusCode::UNPROCESSABLE_ENTITY,
                _ => StatusCode::NOT_FOUND,
            };
            // Of no terms it is the terms that are refused first; there is still no page of it.
            assert!(
                [expected, StatusCode::NOT_FOUND].contains(&unknown.status),
                "{id}{act}"
            );
            assert_eq!(
                otto.get(&format!("/admin/plans/{id}")).await.status,
                StatusCode::NOT_FOUND
            );
        }
    }
    assert_eq!(audited(&mut otto, "plan.retire").await.len(), 1);
    assert_eq!(audited(&mut otto, "plan.reinstate").await.len(), 1);
    site.close().await;
}
