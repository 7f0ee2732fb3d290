//! GetObject and HeadObject: the engine's stream, with only what may leave.
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html>

use http::{HeaderValue, Method, Response};

use super::{Answer, Call};
use crate::body::Content;
use crate::error::{Code, S3Error};
use crate::headers::answer_about_object;
use crate::upstream::EngineRequest;

const CONDITIONS: &[&str] = &[
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-unmodified-since",
    "range",
    "x-amz-checksum-mode",
];

const OVERRIDES: &[&str] = &[
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
];

/// What is added to an answer on its way counts too.
const HEADERS: usize = 12;

pub async fn perform(call: Box<Call>) -> Answer {
    let place = call.place()?;
    let engine_key = place.key(call.key()?)?;
    let mut request = EngineRequest::new(
        place.engine,
        call.request.method.clone(),
        place.engine_bucket(),
    )
    .key(engine_key);
    request.headers.pass(&call.request, CONDITIONS);
    call.pass_customer_key(&mut request)?;
    request = call.pass_version(place, request)?;
    for name in OVERRIDES {
        if let Some(value) = call.request.query.single(name)? {
            if call.identity.is_anonymous() {
                return Err(S3Error::with(
                    Code::InvalidRequest,
                    "Request specific response headers cannot be used for anonymous GET requests.",
                ));
            }
            // An engine that writes it into its answer as it came would let the client end the answer there.
            if HeaderValue::from_bytes(value.as_bytes()).is_err() {
                return Err(S3Error::new(Code::InvalidArgument).detail("ArgumentName", *name));
            }
            request = request.query(name, value);
        }
    }
    if let Some(number) = call.request.query.single("partNumber")? {
        request = request.query("partNumber", part_number(number)?.to_string());
    }
    let answer = call
        .send(request)
        .await
        .map_err(|error| call.explain_version(place, error))?;
    let (head, body) = answer.into_parts();
    let content = if call.request.method == Method::HEAD {
        Content::Empty
    } else {
        Content::Engine(body)
    };
    let mut response = Response::new(content);
    *response.status_mut() = head.status;
    // As many as most answers have, in one go.
    response.headers_mut().reserve(HEADERS);
    answer_about_object(&head.headers, response.headers_mut());
    call.answer_version(place, &head.headers, response.headers_mut())?;
    Ok(response)
}

/// 1 to 10,000.
/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html>
pub fn part_number(text: &str) -> Result<u32, S3Error> {
    text.parse::<u32>()
        .ok()
        .filter(|n| (1..=10_000).contains(n))
        .ok_or_else(|| {
            S3Error::with(
                Code::InvalidArgument,
                "Part number must be an integer between 1 and 10000, inclusive",
            )
        })
}
