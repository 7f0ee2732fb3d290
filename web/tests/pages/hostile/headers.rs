//! The headers of every response, whatever it is.

use axum::body::Body;
use http::{Request, StatusCode};

use crate::site::{Page, Site, create_key, pair, press};

fn check(page: &Page, what: &str) {
    let policy = page.header("content-security-policy").unwrap_or_default();
    for part in [
        "default-src 'none'",
        "style-src 'self'",
        "script-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    ] {
        assert!(policy.contains(part), "{part} on {what}");
    }
    assert!(!policy.contains("unsafe") && !policy.contains('*'));
    let header = |name| page.header(name);
    assert_eq!(header("x-content-type-options"), Some("nosniff"), "{what}");
    assert_eq!(header("x-frame-options"), Some("DENY"), "{what}");
    assert_eq!(header("referrer-policy"), Some("same-origin"), "{what}");
    assert!(header("x-request-id").is_some(), "{what}");
    assert!(header("server").is_none(), "{what}");
    let caching = header("cache-control").unwrap_or_default();
    match what.contains("/static/") && page.status != StatusCode::NOT_FOUND {
        true => assert!(caching.contains("immutable"), "{what}"),
        false => assert_eq!(caching, "no-store", "{what}"),
    }
}

fn stylesheet(page: &Page) -> String {
    let (_, rest) = page.body.split_once("/static/site.css").expect("a sheet");
    format!(
        "/static/site.css{}",
        rest.split('"').next().expect("an end")
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn row_17_every_response_bears_them() {
    let site = Site::start().await;
    let mut visitor = site.browser();
    let landing = visitor.get("/").await;
    let sheet = stylesheet(&landing);
    for path in ["/", "/login", "/signup", "/dashboard", "/nowhere", &sheet] {
        check(&visitor.get(path).await, path);
    }
    let missing = visitor.get("/static/../Cargo.toml").await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
    check(&missing, "a file that is none");
    check(&visitor.post("/login", &[], &[]).await, "403");

    let mut member = site.member("Engines", "ada@engines.example").await;
    check(&create_key(&mut member, "backup").await, "the secret");
    for path in ["/dashboard", "/access-keys", "/access-keys/VLT0/revoke"] {
        check(&member.get(path).await, path);
    }
    assert!(landing.header("strict-transport-security").is_none());
    site.close().await;
}

/// A page holds its session's token beside what the address says. How much shorter it gets by being compressed would tell
/// the token, guess by guess: <https://breachattack.com/>.
#[tokio::test(flavor = "multi_thread")]
async fn row_21_what_holds_a_token_is_never_compressed() {
    let site = Site::start().await;
    let mut member = site.member("Engines", "ada@engines.example").await;
    let sheet = stylesheet(&member.get("/dashboard").await);
    let ask = |path: &str| Request::get(path).header("accept-encoding", "gzip, br");
    for path in ["/dashboard", "/access-keys?notice=x", "/audit-log.csv"] {
        let page = member.send(ask(path), Body::empty()).await;
        assert_eq!(page.status, StatusCode::OK, "{path}");
        assert_eq!(page.header("content-encoding"), None, "{path}");
    }
    let packed = member.send(ask(&sheet), Body::empty()).await;
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    // Read as text, each odd byte is one letter.
    let plain = member.get(&sheet).await.body.len();
    assert!(packed.body.chars().count() < plain / 2);
    check(&packed, &sheet);
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_of_the_router_are_pages_too() {
    let site = Site::start().await;
    let mut visitor = site.browser();
    let ours = [("sec-fetch-site", "same-origin")];

    let page = visitor.get("/nowhere").await;
    assert_eq!(page.status, StatusCode::NOT_FOUND);
    assert!(page.has("Page not found") && !page.has("request-id"));

    let page = visitor.post("/", &[], &ours).await;
    assert_eq!(page.status, StatusCode::METHOD_NOT_ALLOWED);
    assert!(page.has("<h1") && page.header("allow").is_some());

    let huge = [pair("email", &"x".repeat(20_000))];
    let page = visitor.post("/login", &huge, &ours).await;
    assert_eq!(page.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(page.has("larger than we accept"));

    let odd = Request::post("/login")
        .header("sec-fetch-site", "same-origin")
        .header("content-type", "application/json");
    let page = visitor.send(odd, Body::from("{}")).await;
    assert_eq!(page.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert!(page.has("<h1"));
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_18_over_tls_cookies_are_bound_to_the_host_and_plain_http_is_given_up() {
    let site = Site::at("https://storage.example").await;
    let mut browser = site.browser();
    let form = browser.get("/signup").await;
    let hsts = form.header("strict-transport-security");
    assert!(hsts.is_some_and(|value| value.starts_with("max-age=31536000")));
    let line = form.header("set-cookie").expect("the form's cookie");
    assert!(line.starts_with("__Host-vaultaire-form=") && line.contains("; Secure"));
    let link = site
        .sign_up(&mut browser, "Engines", "ada@engines.example")
        .await;
    let answer = press(&mut browser, &link, &[]).await;
    let line = answer.header("set-cookie").expect("the session's cookie");
    assert!(line.starts_with("__Host-vaultaire=") && line.contains("; Secure"));
    assert!(!line.contains("Domain"));
    assert_eq!(browser.get("/dashboard").await.status, StatusCode::OK);
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_kept_for_good_under_their_hash_and_asked_for_again_without() {
    let site = Site::start().await;
    let mut browser = site.browser();
    let landing = browser.get("/").await;
    let mut total = landing.body.len();
    let links = landing.body.split("\"/static/").skip(1);
    for link in links.filter_map(|rest| rest.split('"').next()) {
        let file = browser.get(&format!("/static/{link}")).await;
        assert_eq!(file.status, StatusCode::OK, "{link}");
        let caching = file.header("cache-control").unwrap_or_default();
        assert!(caching.contains("immutable"), "{link}");
        total += file.body.len();
    }
    assert!(total < 100_000, "{total} bytes");

    let stale = browser.get("/static/site.css?v=0").await;
    assert_eq!(stale.header("cache-control"), Some("no-cache"));
    let tag = stale.header("etag").expect("a tag");
    let again = Request::get("/static/site.css").header("if-none-match", tag);
    let again = browser.send(again, Body::empty()).await;
    assert_eq!(again.status, StatusCode::NOT_MODIFIED);
    site.close().await;
}

/// On every route there is, with and without a session: no page in a frame, nothing inline, nothing from elsewhere.
#[tokio::test(flavor = "multi_thread")]
async fn row_17_no_page_can_be_framed_or_run_what_stands_in_it() {
    let site = Site::start().await;
    let mut member = site.member("Engines", "ada@engines.example").await;
    site.bucket("ada@engines.example", "vaults").await;
    for (path, _) in web::route_table() {
        let path = super::access::concrete(path);
        if path.starts_with("/static/") {
            continue; // its address bears a hash: above
        }
        check(&site.browser().get(&path).await, &path);
        check(&member.get(&path).await, &path);
    }
    site.close().await;
}

/// What operators ask is on a port of their own, and no other site's script reads an answer of ours.
#[tokio::test(flavor = "multi_thread")]
async fn row_07_the_public_port_tells_strangers_nothing() {
    let site = Site::start().await;
    let mut member = site.member("Engines", "ada@engines.example").await;
    let evil = || {
        [
            ("origin", "https://evil.example"),
            ("access-control-request-method", "GET"),
        ]
    };
    for path in [
        "/metrics",
        "/debug",
        "/debug/pprof/",
        "/healthz",
        "/readyz",
        "/api/v1/admin/tenants",
        "/api/v1/nothing",
    ] {
        let page = site.browser().get(path).await;
        let hidden = [StatusCode::UNAUTHORIZED, StatusCode::NOT_FOUND];
        assert!(hidden.contains(&page.status), "{path}: {}", page.status);
        assert!(!page.has("vaultaire_"), "{path}");
    }
    for path in [
        "/",
        "/login",
        "/dashboard",
        "/access-keys",
        "/api/v1/admin/tenants",
    ] {
        for method in ["GET", "OPTIONS"] {
            let mut request = Request::builder().method(method).uri(path);
            for (name, value) in evil() {
                request = request.header(name, value);
            }
            let page = member.send(request, Body::empty()).await;
            let cors = page.headers.keys();
            let cors: Vec<_> = cors
                .filter(|name| name.as_str().starts_with("access-control-"))
                .collect();
            assert!(cors.is_empty(), "{method} {path}: {cors:?}");
        }
    }
    // The twin: the port that is for them.
    use tower::ServiceExt;
    let request = Request::get("/metrics").body(Body::empty());
    let answer = site.cp.health().oneshot(request.expect("a request")).await;
    assert_eq!(answer.expect("infallible").status(), StatusCode::OK);
    site.close().await;
}
