//! What AWS's own signer signs is let in, by header and presigned; with one thing changed it is refused.

use std::sync::LazyLock;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation,
    SigningSettings, UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use proptest::prelude::*;
use sigv4::uri_encode;

use super::{KEY, check_with, now, tenants};
use crate::error::Code;
use crate::request::tests::request;
use crate::request::{S3Request, has_dot_segment};
use crate::tenants::Tenants;
use crate::tenants::tests::{SECRET, id};

static TENANTS: LazyLock<Tenants> = LazyLock::new(|| tenants(|_| ()));

/// What goes over the wire, but that key and query are not encoded yet.
#[derive(Clone, Debug)]
struct Sent {
    method: String,
    host: String,
    key: String,
    query: Vec<(String, String)>,
    /// Without `host`.
    headers: Vec<(String, String)>,
}

/// What SDKs and people put into keys and parameters, and what breaks signers.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[a-zA-Z0-9/ +=&%.~*'()!;:,@$?#-]{0,24}",
        Just("a//b/.c/d..".to_owned()),
        Just("%2F%2f%25%C3%A9".to_owned()),
        Just("e\u{301} \u{e9} \u{1f600}\r\n\t\u{7f}".to_owned()),
    ]
}

fn key() -> impl Strategy<Value = String> {
    text().prop_filter("refused before anybody looks who sent it", |key| {
        !key.contains('\0') && !has_dot_segment(key)
    })
}

fn query() -> impl Strategy<Value = Vec<(String, String)>> {
    // A small alphabet of names, so that many repeat and sort next to each other.
    let name = prop_oneof![text(), "[ab=&-]{0,2}"];
    prop::collection::vec((name, text()), 1..6)
}

fn headers() -> impl Strategy<Value = Vec<(String, String)>> {
    let name = prop_oneof![
        "x-amz-meta-[a-c_-]{1,2}",
        "[a-c][a-z0-9!#$%&'*+.^_`|~-]{0,6}"
    ];
    let value = " {0,3}([!-~]([ \t!-~]{0,6} {0,3}){0,4}[!-~])? {0,3}";
    prop::collection::vec((name, value), 1..6)
}

prop_compose! {
    fn unsigned()(
        method in "GET|PUT|POST|HEAD|DELETE",
        host in "(photos[.])?s3[.]example(:9000)?",
        key in key(),
        query in query(),
        headers in headers(),
    ) -> Sent {
        Sent { method, host, key, query, headers }
    }
}

fn payload() -> impl Strategy<Value = SignableBody<'static>> {
    prop_oneof![
        Just(SignableBody::Bytes(b"hello")),
        Just(SignableBody::UnsignedPayload),
        Just(SignableBody::StreamingSignedPayloadTrailer),
        Just(SignableBody::StreamingUnsignedPayloadTrailer),
    ]
}

fn settings(location: SignatureLocation) -> SigningSettings {
    let mut settings = SigningSettings::default();
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    settings.signature_location = location;
    if location == SignatureLocation::QueryParams {
        settings.expires_in = Some(Duration::from_secs(3600));
    }
    settings
}

impl Sent {
    fn target(&self) -> String {
        let pairs: Vec<String> = self
            .query
            .iter()
            .map(|(name, value)| {
                let encode = |text: &str| uri_encode(text.as_bytes(), true).into_owned();
                format!("{}={}", encode(name), encode(value))
            })
            .collect();
        let key = uri_encode(self.key.as_bytes(), false);
        format!("/bucket/{key}?{}", pairs.join("&"))
    }

    fn sign(&mut self, location: SignatureLocation, payload: SignableBody<'_>) {
        let identity = Credentials::new(KEY, SECRET, None, None, "test").into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region("us-east-1")
            .name("s3")
            .time(now().into())
            .settings(settings(location))
            .build()
            .unwrap()
            .into();
        let request = SignableRequest::new(
            &self.method,
            format!("http://{}{}", self.host, self.target()),
            self.headers.iter().map(|(n, v)| (n.as_str(), v.as_str())),
            payload,
        )
        .unwrap();
        let (added, _) = sign(request, &parameters).unwrap().into_parts();
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        self.headers.extend(added.headers().map(owned));
        let params = added.params().iter().map(|(n, v)| owned((n, v.as_ref())));
        self.query.extend(params);
    }

    fn parse(&self) -> S3Request {
        let host = ("host", self.host.as_str());
        let others = self.headers.iter().map(|(n, v)| (n.as_str(), v.as_str()));
        let headers: Vec<_> = others.chain([host]).collect();
        request(&self.method, &self.target(), &headers).unwrap()
    }

    fn refusal(&self) -> Option<Code> {
        check_with(&self.parse(), &TENANTS).err()
    }

    /// The header or parameter that ends in the signature.
    fn signed_by(&mut self) -> &mut String {
        let mut all = self.headers.iter_mut().chain(&mut self.query);
        let found = all.find(|(name, _)| name == "authorization" || name == "X-Amz-Signature");
        &mut found.expect("it is signed").1
    }

    /// All that one change makes of it. `at`: of headers, parameters and digits, which.
    fn changed(&self, unsigned: &Sent, at: prop::sample::Index) -> Vec<(&'static str, Sent)> {
        let change = |what, change: &dyn Fn(&mut Sent)| {
            let mut changed = self.clone();
            change(&mut changed);
            (what, changed)
        };
        vec![
            change("the method", &|sent| {
                let other = if sent.method == "GET" { "PUT" } else { "GET" };
                sent.method = other.into();
            }),
            change("the key", &|sent| sent.key.push('k')),
            change("the host", &|sent| sent.host.insert(0, 'h')),
            change("a parameter", &|sent| {
                sent.query[at.index(unsigned.query.len())].1.push('v');
            }),
            change("another parameter", &|sent| {
                sent.query.push(("a".into(), String::new()));
            }),
            change("a header", &|sent| {
                sent.headers[at.index(unsigned.headers.len())].1.push('v');
            }),
            change("the signature", &|sent| {
                let text = sent.signed_by();
                let digit = text.len() - 1 - at.index(64);
                let other = if text.as_bytes()[digit] == b'0' {
                    "1"
                } else {
                    "0"
                };
                text.replace_range(digit..=digit, other);
            }),
        ]
    }
}

fn holds(
    unsigned: &Sent,
    location: SignatureLocation,
    payload: SignableBody<'_>,
    at: prop::sample::Index,
) -> Result<(), TestCaseError> {
    let mut sent = unsigned.clone();
    sent.sign(location, payload);
    let parsed = sent.parse();
    let identity = check_with(&parsed, &TENANTS)
        .map_err(|code| TestCaseError::fail(format!("{code:?} for {sent:?}")))?;
    prop_assert_eq!(identity.tenant.id(), id(1));
    let key = match unsigned.host.starts_with("photos") {
        true => format!("bucket/{}", unsigned.key),
        false => unsigned.key.clone(),
    };
    prop_assert_eq!(parsed.key.unwrap_or_default(), key);
    for (what, changed) in sent.changed(unsigned, at) {
        let mismatch = Some(Code::SignatureDoesNotMatch);
        prop_assert_eq!(changed.refusal(), mismatch, "{}", what);
    }
    Ok(())
}

proptest! {
    #[test]
    fn what_aws_signs_in_the_header_is_let_in_as_it_is(
        sent in unsigned(), payload in payload(), at: prop::sample::Index,
    ) {
        holds(&sent, SignatureLocation::Headers, payload, at)?;
    }

    #[test]
    fn what_aws_presigns_is_let_in_as_it_is(sent in unsigned(), at: prop::sample::Index) {
        let payload = SignableBody::UnsignedPayload;
        holds(&sent, SignatureLocation::QueryParams, payload, at)?;
    }
}
