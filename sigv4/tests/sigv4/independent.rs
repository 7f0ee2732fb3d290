//! Any request signed by AWS's own signer, with its settings for S3, verifies here; any that we sign is signed as AWS would.
//! The signer's canonical form is private: equal signatures are what shows that both are equal.

use std::time::{Duration, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation,
    SigningInstructions, SigningSettings, UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use proptest::prelude::*;
use sigv4::{
    Authorization, CanonicalRequest, Credential, authorization_header, derive_signing_key,
    parse_signed_headers, signature, string_to_sign, uri_encode,
};

use crate::{pair, sha256};

#[derive(Clone, Debug)]
enum Payload {
    Whole(Vec<u8>),
    Unsigned,
    SignedTrailer,
    UnsignedTrailer,
}

impl Payload {
    fn signable(&self) -> SignableBody<'_> {
        match self {
            Self::Whole(bytes) => SignableBody::Bytes(bytes),
            Self::Unsigned => SignableBody::UnsignedPayload,
            Self::SignedTrailer => SignableBody::StreamingSignedPayloadTrailer,
            Self::UnsignedTrailer => SignableBody::StreamingUnsignedPayloadTrailer,
        }
    }

    fn hash(&self) -> String {
        match self {
            Self::Whole(bytes) => sha256(bytes),
            Self::Unsigned => "UNSIGNED-PAYLOAD".to_owned(),
            Self::SignedTrailer => "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER".to_owned(),
            Self::UnsignedTrailer => "STREAMING-UNSIGNED-PAYLOAD-TRAILER".to_owned(),
        }
    }
}

/// A request, and who signs it when and where.
#[derive(Clone, Debug)]
struct Case {
    access_key_id: String,
    secret: String,
    session_token: Option<String>,
    region: String,
    /// Seconds since 1970.
    time: u64,
    method: String,
    /// Encoded.
    path: String,
    query: Vec<(String, String)>,
    /// Without `host`, and without what a signer adds.
    headers: Vec<(String, String)>,
    payload: Payload,
}

/// What SDKs and people put into keys and parameters, and what breaks signers.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[a-zA-Z0-9/ +=&%.~*'()!;:,@$?#-]{0,24}",
        Just("a//b/../c/./d".to_owned()),
        Just("%2F%2f%25%C3%A9".to_owned()),
        Just("e\u{301} \u{e9} \u{1f600}".to_owned()),
    ]
}

fn query() -> impl Strategy<Value = Vec<(String, String)>> {
    // A small alphabet of names, so that many repeat and sort next to each other.
    let name = prop_oneof![text(), "[ab=&-]{0,2}"];
    let value = prop_oneof![text(), Just(String::new()), "[ab+ ]{0,2}"];
    prop::collection::vec((name, value), 0..8)
}

fn headers() -> impl Strategy<Value = Vec<(String, String)>> {
    let name = prop_oneof![
        "x-amz-meta-[a-c_-]{1,2}",
        "[a-c][a-z0-9!#$%&'*+.^_`|~-]{0,6}"
    ];
    let value = " {0,3}([!-~]([ \t!-~]{0,6} {0,3}){0,4}[!-~])? {0,3}";
    prop::collection::vec((name, value), 0..8)
}

prop_compose! {
    fn case()(
        access_key_id in "[A-Z0-9]{1,20}",
        secret in any::<String>(),
        session_token in prop::option::of("[!-~]{1,40}"),
        region in "[a-z0-9-]{1,16}",
        time in 0_u64..4_000_000_000,
        method in "GET|PUT|POST|HEAD|DELETE|[A-Z]{1,9}",
        key in text(),
        query in query(),
        headers in headers(),
        payload in prop_oneof![
            any::<Vec<u8>>().prop_map(Payload::Whole),
            Just(Payload::Unsigned),
            Just(Payload::SignedTrailer),
            Just(Payload::UnsignedTrailer),
        ],
    ) -> Case {
        let path = format!("/{}", uri_encode(key.as_bytes(), false));
        Case { access_key_id, secret, session_token, region, time, method, path, query, headers, payload }
    }
}

const HOST: &str = "tenant.example.com:9000";

impl Case {
    fn sign_with_aws(&self, settings: SigningSettings) -> (SigningInstructions, String) {
        let identity = Credentials::new(
            &self.access_key_id,
            &self.secret,
            self.session_token.clone(),
            None,
            "test",
        )
        .into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("s3")
            .time(UNIX_EPOCH + Duration::from_secs(self.time))
            .settings(settings)
            .build()
            .expect("complete parameters")
            .into();
        let query: Vec<String> = self
            .query
            .iter()
            .map(|(name, value)| {
                (
                    uri_encode(name.as_bytes(), true),
                    uri_encode(value.as_bytes(), true),
                )
            })
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let request = SignableRequest::new(
            &self.method,
            format!("http://{HOST}{}?{}", self.path, query.join("&")),
            self.headers.iter().map(|(n, v)| (n.as_str(), v.as_str())),
            self.payload.signable(),
        )
        .expect("a request");
        sign(request, &parameters).expect("signed").into_parts()
    }

    fn key(&self, date: &str) -> [u8; 32] {
        derive_signing_key(&self.secret, date, &self.region, "s3")
    }
}

fn s3_settings(location: SignatureLocation) -> SigningSettings {
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

fn refs(headers: &[(String, String)]) -> Vec<(&str, &[u8])> {
    let refs = headers.iter().map(|(n, v)| (n.as_str(), v.as_bytes()));
    refs.collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn header_signing_is_aws_s(case in case()) {
        let (instructions, theirs) = case.sign_with_aws(s3_settings(SignatureLocation::Headers));
        let mut headers = case.headers.clone();
        headers.push(pair("host", HOST));
        headers.extend(instructions.headers().map(|(name, value)| pair(name, value)));
        let at = headers.iter().position(|(name, _)| name == "authorization");
        let (_, header) = headers.remove(at.expect("an authorization header"));
        let timestamp = &headers.iter().find(|(name, _)| name == "x-amz-date").expect("a date").1;

        let said = Authorization::parse(&header).expect("AWS's own header");
        prop_assert_eq!(&said.signature, &theirs);
        let scope = &said.credential.scope;
        prop_assert_eq!(&scope.region, &case.region);
        let key = case.key(&scope.date);
        let request = CanonicalRequest {
            method: &case.method,
            path: &case.path,
            query: &case.query,
            headers: &refs(&headers),
            signed_headers: &said.signed_headers,
            payload_hash: &case.payload.hash(),
        };
        prop_assert_eq!(signature(&key, &string_to_sign(timestamp, scope, &request.hash())), theirs);
        let ours = authorization_header(&case.access_key_id, &key, timestamp, scope, &request);
        prop_assert_eq!(ours, header);
    }

    #[test]
    fn presigning_is_aws_s(case in case()) {
        let (instructions, theirs) = case.sign_with_aws(s3_settings(SignatureLocation::QueryParams));
        let added = |name: &str| {
            let found = instructions.params().iter().find(|(n, _)| *n == name);
            found.map(|(_, value)| value.to_string()).expect("the parameter")
        };
        let credential = added("X-Amz-Credential");
        let credential = Credential::parse(&credential).expect("AWS's own");
        let signed = added("X-Amz-SignedHeaders");
        let signed = parse_signed_headers(&signed).expect("AWS's own");
        let mut query = case.query.clone();
        let others = instructions.params().iter().filter(|(name, _)| *name != "X-Amz-Signature");
        query.extend(others.map(|(name, value)| pair(name, value)));
        let mut headers = case.headers.clone();
        headers.push(pair("host", HOST));

        let request = CanonicalRequest {
            method: &case.method,
            path: &case.path,
            query: &query,
            headers: &refs(&headers),
            signed_headers: &signed,
            payload_hash: &case.payload.hash(),
        };
        let to_sign = string_to_sign(&added("X-Amz-Date"), &credential.scope, &request.hash());
        prop_assert_eq!(signature(&case.key(&credential.scope.date), &to_sign), theirs);
    }
}
