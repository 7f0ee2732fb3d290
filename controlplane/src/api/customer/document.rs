//! `/api/v1/openapi.json`: the description of the API, made of the same table as the router.
//! Source: <https://spec.openapis.org/oas/v3.1.0>

use std::collections::BTreeMap;
use std::sync::LazyLock;

use axum::response::{IntoResponse, Response};
use http::{Method, header};
use serde::Serialize;
use utoipa::PartialSchema;
use utoipa::ToSchema;
use utoipa::openapi::path::{HttpMethod, PathItem, PathsBuilder};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, RefOr, Schema, Server,
};

use super::operation::Description;
use super::operations;

/// The name of the one security scheme.
pub(super) const SECURITY: &str = "api_token";
/// The name of [`Problem`]'s schema.
pub(super) const PROBLEM: &str = "Problem";

/// Problem details (RFC 9457), as every refusal is answered.
#[derive(Serialize, ToSchema)]
struct Problem {
    /// Always `about:blank`: `code` tells what it is.
    #[serde(rename = "type")]
    kind: String,
    /// The status in words.
    title: String,
    status: u16,
    /// A word that stays the same whatever the sentence says.
    code: String,
    /// A sentence for people.
    detail: String,
    /// The field of the body, or the parameter, that is not acceptable.
    field: Option<String>,
}

const ABOUT: &str = "What the dashboard does, for programs. Each request bears an API token, made at /api-tokens: \
    `Authorization: Bearer vlt_…`. What it may do is what its scopes and its member's role allow. Refusals are problem \
    details (RFC 9457).";

static DOCUMENT: LazyLock<String> = LazyLock::new(|| {
    // Everything in it is made here, and none of it refuses to be JSON.
    document().to_pretty_json().unwrap_or_default()
});

pub(super) async fn serve() -> Response {
    let json = [(header::CONTENT_TYPE, "application/json")];
    (json, DOCUMENT.as_str()).into_response()
}

fn document() -> OpenApi {
    let mut schemas: BTreeMap<String, RefOr<Schema>> = BTreeMap::new();
    schemas.insert(PROBLEM.to_owned(), Problem::schema());
    let mut paths = PathsBuilder::new();
    for row in operations() {
        let begun = Description::begin(&row.method, row.path, row.needs);
        let described = (row.describe)(begun);
        schemas.extend(described.schemas);
        let item = PathItem::new(method(&row.method), described.operation);
        paths = paths.path(row.path, item);
    }
    let token = Http::builder()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("vlt_…")
        .description(Some(
            "An API token, made at /api-tokens or by POST /api-tokens.",
        ));
    let components = ComponentsBuilder::new()
        .schemas_from_iter(schemas)
        .security_scheme(SECURITY, SecurityScheme::Http(token.build()));
    let info = InfoBuilder::new()
        .title("Vaultaire")
        .version("1")
        .description(Some(ABOUT))
        .license(Some(
            LicenseBuilder::new()
                .name("Apache-2.0")
                .identifier(Some("Apache-2.0"))
                .build(),
        ));
    OpenApiBuilder::new()
        .info(info.build())
        .servers(Some([Server::new("/api/v1")]))
        .paths(paths)
        .components(Some(components.build()))
        .build()
}

fn method(method: &Method) -> HttpMethod {
    match *method {
        Method::POST => HttpMethod::Post,
        Method::PUT => HttpMethod::Put,
        Method::PATCH => HttpMethod::Patch,
        Method::DELETE => HttpMethod::Delete,
        _ => HttpMethod::Get,
    }
}
