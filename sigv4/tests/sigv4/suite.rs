//! AWS's general test suite, from a server's side: each signed request is read, and must verify.
//! It is for all of AWS; the vectors whose paths are normalised must come out differently here, for S3 normalises nothing.

use std::fs;
use std::path::{Path, PathBuf};

use percent_encoding::percent_decode_str;
use sigv4::{
    Authorization, CanonicalRequest, Credential, CredentialScope, authorization_header,
    derive_signing_key, parse_signature, parse_signed_headers, signature, signatures_equal,
    string_to_sign, uri_encode,
};

use crate::sha256;

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const TIMESTAMP: &str = "20150830T123600Z";

/// Their path is signed without its dot segments and doubled slashes: to S3 it is another object's.
const NORMALIZED: [&str; 6] = [
    "get-relative-normalized",
    "get-relative-relative-normalized",
    "get-slash-dot-slash-normalized",
    "get-slash-normalized",
    "get-slash-pointless-dot-normalized",
    "get-slashes-normalized",
];

/// Its presigned form gets the session token only after it was signed; S3 wants every query parameter signed.
const TOKEN_AFTER_SIGNING: &str = "post-sts-header-after";

fn vectors() -> Vec<(String, PathBuf)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let mut vectors: Vec<(String, PathBuf)> = fs::read_dir(root)
        .expect("the vectors")
        .map(|entry| entry.expect("a vector"))
        .filter(|entry| entry.path().is_dir())
        .map(|entry| {
            (
                entry.file_name().into_string().expect("a name"),
                entry.path(),
            )
        })
        .collect();
    vectors.sort();
    vectors
}

fn read(vector: &Path, file: &str) -> String {
    fs::read_to_string(vector.join(file)).expect("a file of the vector")
}

fn decode(text: &str) -> String {
    percent_decode_str(text)
        .decode_utf8()
        .expect("UTF-8")
        .into_owned()
}

/// A request as a server sees it, from the text of one.
struct Received {
    method: String,
    path: String,
    query: Vec<(String, String)>,
    headers: Vec<(String, String)>,
    payload_hash: String,
}

impl Received {
    fn parse(text: &str) -> Self {
        // Folded lines are one, as <https://www.rfc-editor.org/rfc/rfc9112#name-obsolete-line-folding> has it.
        let text = text.replace("\n ", "  ");
        let (head, body) = text.split_once("\n\n").unwrap_or((&text, ""));
        let mut lines = head.lines();
        let request_line = lines.next().expect("a request line");
        let (method, target) = request_line.split_once(' ').expect("a method");
        let target = target.strip_suffix(" HTTP/1.1").expect("a version");
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        Self {
            method: method.to_owned(),
            // The suite writes paths raw; S3's clients send them encoded.
            path: uri_encode(path.as_bytes(), false).into_owned(),
            query: pairs
                .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
                .map(|(name, value)| (decode(name), decode(value)))
                .collect(),
            headers: lines
                .map(|line| line.split_once(':').expect("a header"))
                .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
                .collect(),
            payload_hash: sha256(body),
        }
    }

    fn take_header(&mut self, name: &str) -> String {
        let at = self.headers.iter().position(|(n, _)| n == name);
        self.headers.remove(at.expect("the header")).1
    }

    fn parameter(&self, name: &str) -> &str {
        let pair = self.query.iter().find(|(n, _)| n == name);
        &pair.expect("the parameter").1
    }

    fn with_canonical<T>(
        &self,
        signed_headers: &[&str],
        then: impl FnOnce(&CanonicalRequest<'_>) -> T,
    ) -> T {
        let headers: Vec<(&str, &[u8])> = self
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_bytes()))
            .collect();
        then(&CanonicalRequest {
            method: &self.method,
            path: &self.path,
            query: &self.query,
            headers: &headers,
            signed_headers,
            payload_hash: &self.payload_hash,
        })
    }
}

/// Whether ours is the vector's canonical request, string to sign and signature: all of them, or none.
fn agrees(
    vector: &Path,
    kind: &str,
    request: &CanonicalRequest<'_>,
    scope: &CredentialScope<'_>,
    theirs: &str,
) -> bool {
    let canonical = String::from_utf8(request.canonical()).expect("UTF-8");
    let to_sign = string_to_sign(TIMESTAMP, scope, &request.hash());
    let key = derive_signing_key(SECRET, &scope.date, &scope.region, &scope.service);
    let same = [
        canonical == read(vector, &format!("{kind}-canonical-request.txt")),
        to_sign == read(vector, &format!("{kind}-string-to-sign.txt")),
        signatures_equal(&signature(&key, &to_sign), theirs),
    ];
    assert!(
        same == [true; 3] || same == [false; 3],
        "{vector:?} {same:?}"
    );
    same[0]
}

#[test]
fn header_signing() {
    let mut refused = Vec::new();
    let mut verified = 0;
    for (name, vector) in vectors() {
        let mut received = Received::parse(&read(&vector, "header-signed-request.txt"));
        let header = received.take_header("authorization");
        let said = Authorization::parse(&header).expect(&name);
        let scope = &said.credential.scope;
        let agreed = received.with_canonical(&said.signed_headers, |request| {
            agrees(&vector, "header", request, scope, said.signature)
        });
        if !agreed {
            refused.push(name);
            continue;
        }
        verified += 1;

        // The other way round: we sign what was signed, and get the very header.
        let is_signed = |(name, _): &(String, String)| said.signed_headers.contains(&name.as_str());
        received.headers.retain(is_signed);
        let key = derive_signing_key(SECRET, &scope.date, &scope.region, &scope.service);
        let ours = received.with_canonical(&[], |request| {
            authorization_header("AKIDEXAMPLE", &key, TIMESTAMP, scope, request)
        });
        assert_eq!(ours, header, "{name}");
    }
    assert_eq!(refused, NORMALIZED);
    assert_eq!(verified, 32);
}

#[test]
fn presigned() {
    let mut refused = Vec::new();
    let mut verified = 0;
    for (name, vector) in vectors() {
        let mut received = Received::parse(&read(&vector, "query-signed-request.txt"));
        let theirs = received.parameter("X-Amz-Signature").to_owned();
        let theirs = parse_signature(&theirs).expect(&name);
        received.query.retain(|(name, _)| name != "X-Amz-Signature");
        let credential = Credential::parse(received.parameter("X-Amz-Credential")).expect(&name);
        assert_eq!(credential.access_key_id, "AKIDEXAMPLE");
        let signed = parse_signed_headers(received.parameter("X-Amz-SignedHeaders")).expect(&name);
        let agreed = received.with_canonical(&signed, |request| {
            agrees(&vector, "query", request, &credential.scope, theirs)
        });
        if agreed {
            verified += 1;
        } else {
            refused.push(name);
        }
    }
    assert_eq!(refused[..6], NORMALIZED);
    assert_eq!(refused[6..], [TOKEN_AFTER_SIGNING]);
    assert_eq!(verified, 31);
}

/// That the normalised vectors differ from ours in nothing but the path: with theirs, they verify too.
#[test]
fn normalized_vectors_differ_in_their_path_alone() {
    for name in NORMALIZED {
        let vector = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/vectors")
            .join(name);
        let mut received = Received::parse(&read(&vector, "header-signed-request.txt"));
        let header = received.take_header("authorization");
        let said = Authorization::parse(&header).expect(name);
        let theirs = read(&vector, "header-canonical-request.txt");
        let path = theirs.lines().nth(1).expect("a path").to_owned();
        assert_ne!(received.path, path);
        received.path = path;
        assert!(received.with_canonical(&said.signed_headers, |request| {
            agrees(
                &vector,
                "header",
                request,
                &said.credential.scope,
                said.signature,
            )
        }));
    }
}
