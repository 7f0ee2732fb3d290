//! `/connect`: how each client is told where to go, with a key's place left open.

use askama::Template;
use axum::extract::State;
use axum::response::Response;

use crate::App;
use crate::failure::{Failure, page};
use crate::pages::{Here, Shell};
use crate::session::Member;
use crate::snippets::{Credentials, Snippets};

#[derive(Template)]
#[template(path = "pages/connect.html")]
struct ConnectPage<'a> {
    shell: Shell<'a>,
    endpoint: &'a str,
    region: &'a str,
    snippets: Snippets,
}

pub async fn show(State(app): State<App>, member: Member) -> Result<Response, Failure> {
    let config = app.cp.config();
    page(&ConnectPage {
        shell: Shell::new(&member.session, Here::Connect),
        endpoint: &config.s3_endpoint,
        region: &config.region,
        snippets: Snippets::new(Credentials {
            endpoint: &config.s3_endpoint,
            region: &config.region,
            access_key_id: "YOUR_ACCESS_KEY_ID",
            secret_access_key: "YOUR_SECRET_ACCESS_KEY",
        })?,
    })
}
