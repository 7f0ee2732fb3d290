//! One operation: where it is, which scope it takes, who answers it, and what the description says of it.
//! What is true of every operation is said here once; the tests compare the description with real answers.

use axum::routing::MethodRouter;
use http::Method;
use serde_json::{Value, json};
use utoipa::openapi::path::{OperationBuilder, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::schema::{ObjectBuilder, Schema, SchemaType, Type};
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{ContentBuilder, HeaderBuilder, Ref, RefOr, Required};
use utoipa::{IntoParams, PartialSchema, ToSchema};

use super::document::{PROBLEM, SECURITY};
use super::paging::Page;
use crate::ControlPlane;
use crate::api_tokens::TokenScope;

pub(super) struct Operation {
    pub method: Method,
    /// Below `/api/v1`, with `{…}` for ids.
    pub path: &'static str,
    /// None: any token will do.
    pub needs: Option<TokenScope>,
    pub handler: MethodRouter<ControlPlane>,
    pub describe: fn(Description) -> Description,
}

impl Operation {
    pub fn new(
        method: Method,
        path: &'static str,
        needs: impl Into<Option<TokenScope>>,
        handler: MethodRouter<ControlPlane>,
        describe: fn(Description) -> Description,
    ) -> Self {
        Self {
            method,
            path,
            needs: needs.into(),
            handler,
            describe,
        }
    }
}

/// What one operation takes and answers, as it is being put together.
pub(super) struct Description {
    pub operation: OperationBuilder,
    /// Of everything that it takes and answers.
    pub schemas: Vec<(String, RefOr<Schema>)>,
}

impl Description {
    /// With all that is true of every operation.
    pub fn begin(method: &Method, path: &str, needs: Option<TokenScope>) -> Self {
        let scopes = needs.map(TokenScope::as_str);
        let mut operation =
            OperationBuilder::new().security(SecurityRequirement::new(SECURITY, scopes));
        for name in path.split('{').skip(1) {
            let name = name.split('}').next().unwrap_or_default();
            operation = operation.parameter(in_path(name));
        }
        let description = Self {
            operation: match *method {
                Method::POST => operation.parameter(idempotency_key()),
                _ => operation,
            },
            schemas: Vec::new(),
        };
        let description = description.fails(&[400, 401, 403, 404, 422, 429, 503]);
        match *method {
            Method::POST => description.fails(&[409]),
            _ => description,
        }
    }

    pub fn says(mut self, tag: &str, id: &str, summary: &str, more: &str) -> Self {
        self.operation = self
            .operation
            .tag(tag)
            .operation_id(Some(id))
            .summary(Some(summary))
            .description(Some(more));
        self
    }

    /// A query.
    pub fn asks<Q: IntoParams>(mut self) -> Self {
        for parameter in Q::into_params(|| Some(ParameterIn::Query)) {
            self.operation = self.operation.parameter(parameter);
        }
        self
    }

    /// A body.
    pub fn takes<B: ToSchema>(mut self, example: Value) -> Self {
        let content = ContentBuilder::new()
            .schema(Some(self.schema::<B>()))
            .example(Some(example));
        let body = RequestBodyBuilder::new()
            .required(Some(Required::True))
            .content("application/json", content.build());
        self.operation = self.operation.request_body(Some(body.build()));
        self
    }

    pub fn answers<A: ToSchema>(mut self, status: u16, what: &str, example: Value) -> Self {
        let content = ContentBuilder::new()
            .schema(Some(self.schema::<A>()))
            .example(Some(example));
        let response = ResponseBuilder::new()
            .description(what)
            .content("application/json", content.build());
        self.operation = self
            .operation
            .response(status.to_string(), limited(response).build());
        self
    }

    /// A page of rows. Its schema is in its place: pages of whatever rows have one name in utoipa.
    pub fn answers_page<R: ToSchema>(mut self, what: &str, example: Value) -> Self {
        self.schema::<R>();
        let content = ContentBuilder::new()
            .schema(Some(Page::<R>::schema()))
            .example(Some(example));
        let response = ResponseBuilder::new()
            .description(what)
            .content("application/json", content.build());
        self.operation = self.operation.response("200", limited(response).build());
        self
    }

    pub fn answers_nothing(mut self, what: &str) -> Self {
        let response = limited(ResponseBuilder::new().description(what));
        self.operation = self.operation.response("204", response.build());
        self
    }

    /// Refusals, as problem details.
    pub fn fails(mut self, statuses: &[u16]) -> Self {
        for status in statuses {
            self.operation = self
                .operation
                .response(status.to_string(), refusal(*status));
        }
        self
    }

    /// A reference to the type's schema, which is then part of the document.
    fn schema<T: ToSchema>(&mut self) -> RefOr<Schema> {
        let name = T::name().into_owned();
        T::schemas(&mut self.schemas);
        self.schemas.push((name.clone(), T::schema()));
        Ref::from_schema_name(name).into()
    }
}

/// What an operation answers bears what is left of the limits.
fn limited(response: ResponseBuilder) -> ResponseBuilder {
    let text = |description: &str, example: &str| {
        let schema = ObjectBuilder::new()
            .schema_type(SchemaType::new(Type::String))
            .examples([json!(example)]);
        HeaderBuilder::new()
            .description(Some(description))
            .schema(schema)
            .build()
    };
    response
        .header(
            "RateLimit-Policy",
            text(
                "The quotas: `q` requests in `w` seconds.",
                "\"token\";q=300;w=10, \"account\";q=1000;w=10",
            ),
        )
        .header(
            "RateLimit",
            text(
                "What is left: `r` requests now, all of them again in `t` seconds.",
                "\"token\";r=299;t=1, \"account\";r=999;t=1",
            ),
        )
}

/// Status, what it means, and an example: code, sentence, field.
const REFUSALS: [(u16, &str, &str, &str, Option<&str>); 9] = [
    (
        400,
        "The request cannot be read, or the engine does not take what it says.",
        "bad_request",
        "The body is not a JSON object.",
        None,
    ),
    (
        401,
        "No API token, or none that counts any more.",
        "unauthorized",
        "A valid API token is needed: Authorization: Bearer vlt_…",
        None,
    ),
    (
        403,
        "The token's scopes, the member's role or the account's status do not allow it.",
        "missing_scope",
        "The token lacks the scope `buckets`.",
        None,
    ),
    (
        404,
        "There is no such thing, or it is another account's.",
        "not_found",
        "bucket not found",
        None,
    ),
    (
        409,
        "It does not go together with what there is; or a request with this Idempotency-Key is under way.",
        "idempotency_key_in_use",
        "A request with this Idempotency-Key is under way, or broke off.",
        None,
    ),
    (
        422,
        "A field or a parameter is not acceptable; `field` names it.",
        "validation_failed",
        "Give it a name of 1 to 100 characters.",
        Some("name"),
    ),
    (
        429,
        "Too many requests; `Retry-After` says for how long.",
        "too_many_requests",
        "too many attempts; try again in 1 seconds",
        None,
    ),
    (
        501,
        "The engine, or the place where the bucket is, has no such setting.",
        "NotImplemented",
        "A header you provided implies functionality that is not implemented.",
        None,
    ),
    (
        503,
        "A part that this needs is not there at the moment. Try again later.",
        "unavailable",
        "The database cannot be reached.",
        None,
    ),
];

fn refusal(status: u16) -> Response {
    let known = REFUSALS.iter().find(|(known, ..)| *known == status);
    let (_, what, code, detail, field) = known.copied().unwrap_or((status, "", "", "", None));
    let title = http::StatusCode::from_u16(status)
        .ok()
        .and_then(|status| status.canonical_reason())
        .unwrap_or_default();
    let mut example = json!({
        "type": "about:blank", "title": title, "status": status, "code": code, "detail": detail,
    });
    if let Some(field) = field {
        example["field"] = json!(field);
    }
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name(PROBLEM)))
        .example(Some(example));
    ResponseBuilder::new()
        .description(what)
        .content("application/problem+json", content.build())
        .build()
}

fn in_path(name: &str) -> Parameter {
    let (what, example) = match name {
        "bucket" => ("The bucket's name.", "photos"),
        "access_key_id" => ("The public half of the key.", "VLT0000000000EXAMPLE"),
        "request_id" => (
            "`x-amz-request-id` of the answer that refused.",
            "0123456789abcdef0123456789abcdef",
        ),
        "rule_id" => ("The rule's name.", "old-logs"),
        _ => ("32 hexadecimal digits.", "0123456789abcdef0123456789abcdef"),
    };
    let schema = ObjectBuilder::new()
        .schema_type(SchemaType::new(Type::String))
        .min_length(Some(1));
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .description(Some(what))
        .schema(Some(schema))
        .example(Some(json!(example)))
        .build()
}

fn idempotency_key() -> Parameter {
    let schema = ObjectBuilder::new()
        .schema_type(SchemaType::new(Type::String))
        .min_length(Some(1))
        .max_length(Some(255))
        .pattern(Some("^[!-~]+$"));
    ParameterBuilder::new()
        .name("Idempotency-Key")
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(
            "A name of the client's for this very request: sent again within 24 hours it changes nothing and is answered \
             as the first time.",
        ))
        .schema(Some(schema))
        .example(Some(json!("8e03978e-40d5-43dd-bc93-6894a57f9324")))
        .build()
}
