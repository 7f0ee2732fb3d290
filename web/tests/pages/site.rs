//! A site with a database of its own, and a browser that keeps cookies and checks what every page must have.

use std::collections::{BTreeMap, BTreeSet};

use axum::Router;
use axum::body::Body;
use chrono::{DateTime, Duration};
use controlplane::{
    Clock, Config, ControlPlane, EngineConfig, MailConfig, MasterKey, PlacementKind,
};
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use sqlx::{Connection, PgConnection};
use tower::ServiceExt;
use uuid::Uuid;

pub const HOST: &str = "127.0.0.1:8080";
pub const PASSWORD: &str = "correct horse battery";

pub struct Site {
    pub router: Router,
    pub cp: ControlPlane,
    pub clock: Clock,
    server: String,
    pub database: String,
    folder: tempfile::TempDir,
}

impl Site {
    pub async fn start() -> Self {
        Self::at(&format!("http://{HOST}")).await
    }

    /// With another public address.
    pub async fn at(public_url: &str) -> Self {
        let server = std::env::var("TEST_DATABASE_URL")
            .expect("TEST_DATABASE_URL: run this through scripts/with-postgres");
        let name = format!("web_{}", Uuid::new_v4().simple());
        let mut admin = PgConnection::connect(&server).await.expect("Postgres");
        for statement in [
            format!("CREATE ROLE {name} LOGIN CREATEROLE PASSWORD 'x'"),
            format!("CREATE DATABASE {name} OWNER {name}"),
        ] {
            let statement = sqlx::AssertSqlSafe(statement);
            sqlx::raw_sql(statement)
                .execute(&mut admin)
                .await
                .expect("a fresh database");
        }
        let (_, rest) = server.split_once('@').expect("user@host in the URL");
        let (address, _) = rest.split_once('/').expect("host/database in the URL");
        let folder = tempfile::tempdir().expect("a folder");
        let clock = Clock::at(DateTime::UNIX_EPOCH + Duration::days(20_000));
        let config = Config {
            database_url: format!("postgres://{name}:x@{address}/{name}"),
            public_url: public_url.to_owned(),
            // Nothing listens there either: pages say so.
            s3_endpoint: "http://127.0.0.1:9".to_owned(),
            region: "us-east-1".to_owned(),
            master_key: MasterKey::from_bytes([7; 32]),
            master_key_file: None,
            admin_token: "an admin token for tests".to_owned(),
            engine: EngineConfig {
                // Nothing listens there, and no page needs it.
                endpoint: "http://127.0.0.1:9".to_owned(),
                region: "us-east-1".to_owned(),
                access_key_id: "engine".to_owned(),
                secret_access_key: "engine".to_owned(),
                placement: PlacementKind::Dedicated,
                pool_bucket: None,
            },
            share_hold_seconds: 600,
            mail: MailConfig::Folder(folder.path().join("mail")),
            trusted_proxies: vec!["10.0.0.0/8".parse().expect("a network")],
            stripe: None,
            webhooks_to_private: false,
        };
        let cp = ControlPlane::start(config, clock.clone())
            .await
            .expect("a control plane");
        Self {
            // As the program puts them together.
            router: web::routes(cp.clone()).merge(cp.api()),
            cp,
            clock,
            database: format!("{}/{name}", server.rsplit_once('/').expect("a URL").0),
            server,
            folder,
        }
    }

    pub fn browser(&self) -> Browser {
        Browser {
            router: self.router.clone(),
            cookies: BTreeMap::new(),
        }
    }

    /// A browser in which a new customer is logged in.
    pub async fn member(&self, company: &str, email: &str) -> Browser {
        let mut browser = self.browser();
        let link = self.sign_up(&mut browser, company, email).await;
        let answer = press(&mut browser, &link, &[]).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
        assert_eq!(answer.location(), "/dashboard");
        browser
    }

    /// Sends the form, and waits for the mail's link: path and query.
    pub async fn sign_up(&self, browser: &mut Browser, company: &str, email: &str) -> String {
        let form = browser.get("/signup").await;
        let fields = [
            ("company", company),
            ("email", email),
            ("password", PASSWORD),
        ];
        let sent = browser.submit("/signup", &form, &fields).await;
        assert_eq!(sent.status, StatusCode::OK, "{}", sent.body);
        self.link("confirm_sign_up", email).await
    }

    /// Another member of the team of `owner`, logged in.
    pub async fn colleague(&self, owner: &mut Browser, email: &str, role: &str) -> Browser {
        let form = owner.get("/members").await;
        let fields = [("email", email), ("role", role)];
        let sent = owner.submit("/members", &form, &fields).await;
        assert_eq!(sent.location(), "/members?notice=invited", "{}", sent.body);
        let link = self.link("invitation", email).await;
        let mut browser = self.browser();
        let answer = press(&mut browser, &link, &[("password", PASSWORD)]).await;
        assert_eq!(answer.location(), "/dashboard", "{}", answer.body);
        browser
    }

    /// Waits for a mail of that kind to that address, takes it out, and gives its link's path and query.
    pub async fn link(&self, kind: &str, to: &str) -> String {
        let text = self.mail(kind, to).await;
        let public_url = &self.cp.config().public_url;
        let at = text
            .find("http")
            .unwrap_or_else(|| panic!("no link in {text}"));
        let link = text[at..].split_whitespace().next().expect("a link");
        let path = link.strip_prefix(public_url.as_str());
        path.unwrap_or_else(|| panic!("{link} is elsewhere"))
            .to_owned()
    }

    /// The plain part of such a mail.
    pub async fn mail(&self, kind: &str, to: &str) -> String {
        let folder = self.folder.path().join("mail");
        let look = || {
            let entries = std::fs::read_dir(&folder).ok()?;
            let files = entries.filter_map(|entry| Some(entry.ok()?.path()));
            files
                .filter(|file| file.to_string_lossy().ends_with(".eml"))
                .filter(|file| file.to_string_lossy().contains(&format!("-{kind}-")))
                .find_map(|file| {
                    let whole = std::fs::read_to_string(&file).ok()?;
                    let line = format!("\r\nTo: {to}\r\n");
                    whole.contains(&line).then_some((file, whole))
                })
        };
        for _ in 0..2000 {
            if let Some((file, whole)) = look() {
                std::fs::remove_file(file).expect("removed");
                let (_, plain) = whole.split_once("text/plain").expect("a plain part");
                let (plain, _) = plain.split_once("text/html").expect("an HTML part");
                return plain.to_owned();
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("no mail of the kind {kind} to {to}");
    }

    pub async fn sql(&self, statement: &str) {
        let mut admin = PgConnection::connect(&self.database)
            .await
            .expect("Postgres");
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement.to_owned()))
            .execute(&mut admin)
            .await
            .expect("the statement");
    }

    /// A node that has acknowledged everything, or one that is cut off and has acknowledged nothing.
    pub async fn node(&self, s3_address: &str, connected: bool) {
        let now = self.clock.now();
        let until = now + Duration::hours(1);
        let revision = if connected { i64::MAX } else { 0 };
        let until = if connected { until } else { now };
        self.sql(&format!(
            "INSERT INTO nodes (id, public_key, s3_address, revision, connected_until, last_seen, created_at) VALUES \
             (gen_random_uuid(), decode(md5('{s3_address}') || md5('b'), 'hex'), '{s3_address}', {revision}, \
             '{until}', '{now}', '{now}')"
        ))
        .await;
    }

    /// A bucket of the tenant that the member of that address belongs to, as nodes would serve it.
    pub async fn bucket(&self, email: &str, name: &str) {
        let now = self.clock.now();
        self.sql(&format!(
            "INSERT INTO buckets (id, tenant_id, name, status, engine_id, engine_bucket, prefix, created_at) \
             SELECT gen_random_uuid(), tenant_id, '{name}', 'active', 'main', 'vt-' || gen_random_uuid(), '', '{now}' \
             FROM members WHERE email = '{email}'"
        ))
        .await;
    }

    pub async fn close(self) {
        self.cp.shut_down().await;
        let (_, name) = self.database.rsplit_once('/').expect("a URL");
        let statement = format!("DROP DATABASE {name} WITH (FORCE)");
        let mut admin = PgConnection::connect(&self.server).await.expect("Postgres");
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement))
            .execute(&mut admin)
            .await
            .expect("dropped");
    }
}

#[derive(Clone)]
pub struct Browser {
    router: Router,
    pub cookies: BTreeMap<String, String>,
}

pub struct Page {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl Browser {
    pub async fn get(&mut self, path: &str) -> Page {
        self.send(Request::get(path), Body::empty()).await
    }

    /// Sends a form from `page` with its hidden fields, as browsers do.
    pub async fn submit(&mut self, action: &str, page: &Page, fields: &[(&str, &str)]) -> Page {
        let mut all = page.hidden_fields(action);
        all.extend(fields.iter().map(|(k, v)| (k.to_string(), v.to_string())));
        self.post(action, &all, &[("sec-fetch-site", "same-origin")])
            .await
    }

    pub async fn post(
        &mut self,
        path: &str,
        fields: &[(String, String)],
        headers: &[(&str, &str)],
    ) -> Page {
        let pairs = fields.iter().map(|(k, v)| format!("{k}={}", encode(v)));
        let body = pairs.collect::<Vec<_>>().join("&");
        let mut request =
            Request::post(path).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request, Body::from(body)).await
    }

    pub async fn send(&mut self, request: http::request::Builder, body: Body) -> Page {
        let cookies = self.cookies.iter().map(|(k, v)| format!("{k}={v}"));
        let cookies = cookies.collect::<Vec<_>>().join("; ");
        let mut request = request.header(header::HOST, HOST);
        if !cookies.is_empty() {
            request = request.header(header::COOKIE, cookies);
        }
        let request = request.body(body).expect("a request");
        let method = request.method().clone();
        let response = self.router.clone().oneshot(request).await;
        let response = response.expect("infallible");
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response.into_body().collect().await.expect("a body");
        let body = String::from_utf8_lossy(&body.to_bytes()).into_owned();
        self.keep_cookies(&headers);
        let page = Page {
            status,
            headers,
            body,
        };
        let is_html = page
            .header("content-type")
            .is_some_and(|kind| kind.starts_with("text/html"));
        if is_html && method != Method::HEAD {
            page.check();
        }
        page
    }

    fn keep_cookies(&mut self, headers: &HeaderMap) {
        for line in headers.get_all(header::SET_COOKIE) {
            let line = line.to_str().expect("ASCII");
            assert!(line.contains("; HttpOnly") && line.contains("; Path=/"));
            assert!(line.contains("; SameSite=Lax"), "{line}");
            let (pair, rest) = line.split_once(';').expect("attributes");
            let (name, value) = pair.split_once('=').expect("a pair");
            if rest.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
    }
}

impl Page {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub fn location(&self) -> &str {
        self.header("location").unwrap_or_default()
    }

    pub fn has(&self, text: &str) -> bool {
        self.body.contains(text)
    }

    /// What stands inside the element of that id, up to its first child.
    pub fn element(&self, id: &str) -> &str {
        let at = self.body.find(&format!(" id=\"{id}\""));
        let rest = &self.body[at.unwrap_or_else(|| panic!("no #{id} in {}", self.body))..];
        let (_, text) = rest.split_once('>').expect("a tag's end");
        text.split_once('<').expect("another tag").0
    }

    /// The value of the first attribute of that name, as the browser reads it.
    pub fn attribute(&self, name: &str) -> String {
        let start = format!(" {name}=\"");
        let (_, rest) = self.body.split_once(&start).unwrap_or_else(|| {
            panic!("no {name} in {}", self.body);
        });
        let value = rest.split_once('"').expect("its end").0;
        let value = value.replace("&#34;", "\"").replace("&#39;", "'");
        value
            .replace("&#60;", "<")
            .replace("&#62;", ">")
            .replace("&#38;", "&")
    }

    /// The hidden fields of the form with that action.
    pub fn hidden_fields(&self, action: &str) -> Vec<(String, String)> {
        let start = format!("action=\"{action}\"");
        let (_, form) = self
            .body
            .split_once(&start)
            .unwrap_or_else(|| panic!("no form for {action} in {}", self.body));
        let form = form.split_once("</form>").expect("a form's end").0;
        let inputs = form.split("<input type=\"hidden\" name=\"").skip(1);
        let pairs = inputs.map(|input| {
            let (name, rest) = input.split_once("\" value=\"").expect("a value");
            let (value, _) = rest.split_once('"').expect("a value's end");
            (name.to_owned(), unescaped(value))
        });
        pairs.collect()
    }

    /// What every page must have, and must not.
    fn check(&self) {
        let body = &self.body;
        for needed in [
            "<html lang=\"en\" data-theme=\"",
            "<title>",
            "rel=\"icon\"",
            "class=\"skip-link\" href=\"#main\"",
            "<main id=\"main\"",
            "<h1",
        ] {
            assert!(body.contains(needed), "no {needed} in {body}");
        }
        // The policy forbids them; a page that had one would be broken.
        for inline in [
            "<style",
            " style=\"",
            "<script>",
            " onclick=",
            "http-equiv",
            "javascript:",
        ] {
            assert!(!body.contains(inline), "{inline} in {body}");
        }
        let ids: Vec<_> = body.split(" id=\"").skip(1).collect();
        let ids: Vec<_> = ids.iter().filter_map(|id| id.split('"').next()).collect();
        let unique: BTreeSet<_> = ids.iter().collect();
        assert_eq!(unique.len(), ids.len(), "an id stands twice: {ids:?}");
        for label in body.split("<label for=\"").skip(1) {
            let field = label.split('"').next().unwrap_or_default();
            assert!(ids.contains(&field), "a label without its field: {field}");
        }
        // Light, but for what is the customer's own: rows, and keys of objects.
        let count = |mark: &str| body.matches(mark).count();
        let own = 1_000 * count("<tr role=\"row\"") + 3_000 * count("<li><code");
        assert!(body.len() < 30_000 + own, "{} bytes", body.len());
        assert_eq!(self.header("cache-control"), Some("no-store"));
    }
}

/// Opens a mail's link, and presses the button of the page that it leads to.
pub async fn press(browser: &mut Browser, link: &str, fields: &[(&str, &str)]) -> Page {
    let page = browser.get(link).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    let (action, _) = link.split_once('?').expect("a token");
    browser.submit(action, &page, fields).await
}

pub fn encode(text: &str) -> String {
    let bytes = text.bytes().map(|b| match b.is_ascii_alphanumeric() {
        true => char::from(b).to_string(),
        false => format!("%{b:02X}"),
    });
    bytes.collect()
}

pub fn pair(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

/// A new key by that name, through the form; the page that shows its secret.
pub async fn create_key(browser: &mut Browser, name: &str) -> Page {
    let form = browser.get("/access-keys").await;
    let fields = [
        ("name", name),
        ("permission", "full"),
        ("expires_in_days", ""),
    ];
    let page = browser.submit("/access-keys", &form, &fields).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    page
}

/// As a browser reads an attribute that askama wrote.
fn unescaped(value: &str) -> String {
    let marks = [
        ("&#34;", "\""),
        ("&#39;", "'"),
        ("&#60;", "<"),
        ("&#62;", ">"),
    ];
    let read = marks
        .iter()
        .fold(value.to_owned(), |text, (escaped, mark)| {
            text.replace(escaped, mark)
        });
    read.replace("&#38;", "&")
}
