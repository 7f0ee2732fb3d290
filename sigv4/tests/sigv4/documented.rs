//! Every worked example of S3's own documentation, with the literal values that stand there.
//! The pages: sig-v4-header-based-auth, sigv4-query-string-auth, sigv4-streaming, sigv4-streaming-trailers and sigv4-post-example
//! under <https://docs.aws.amazon.com/AmazonS3/latest/API/>.

use sigv4::{
    Authorization, CanonicalRequest, ChunkSigner, CredentialScope, EMPTY_SHA256,
    authorization_header, derive_signing_key, signature, signatures_equal, string_to_sign,
    uri_encode,
};

use crate::{pair, sha256};

const KEY_ID: &str = "AKIAIOSFODNN7EXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const TIMESTAMP: &str = "20130524T000000Z";
const HOST: &str = "examplebucket.s3.amazonaws.com";

fn scope(date: &str) -> CredentialScope<'_> {
    CredentialScope {
        date: date.into(),
        region: "us-east-1".into(),
        service: "s3".into(),
    }
}

fn key(date: &str) -> [u8; 32] {
    derive_signing_key(SECRET, date, "us-east-1", "s3")
}

/// One request of the documentation. All headers are signed.
struct Example<'a> {
    method: &'a str,
    path: &'a str,
    query: &'a [(String, String)],
    headers: &'a [(&'a str, &'a str)],
    payload_hash: &'a str,
    canonical_hash: &'a str,
    signature: &'a str,
}

impl Example<'_> {
    fn check(&self) {
        let headers: Vec<(&str, &[u8])> = self
            .headers
            .iter()
            .map(|(name, value)| (*name, value.as_bytes()))
            .collect();
        let mut signed_headers: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
        signed_headers.sort_unstable();
        let request = CanonicalRequest {
            method: self.method,
            path: self.path,
            query: self.query,
            headers: &headers,
            signed_headers: &signed_headers,
            payload_hash: self.payload_hash,
        };
        assert_eq!(request.hash(), self.canonical_hash);
        let to_sign = string_to_sign(TIMESTAMP, &scope("20130524"), self.canonical_hash);
        assert!(signatures_equal(
            &signature(&key("20130524"), &to_sign),
            self.signature
        ));

        let value = authorization_header(
            KEY_ID,
            &key("20130524"),
            TIMESTAMP,
            &scope("20130524"),
            &request,
        );
        let said = Authorization::parse(&value).expect("our own header");
        assert_eq!(said.credential.access_key_id, KEY_ID);
        assert_eq!(said.credential.scope, scope("20130524"));
        assert_eq!(said.signed_headers, signed_headers);
        assert_eq!(said.signature, self.signature);
    }
}

#[test]
fn get_object_with_a_range() {
    Example {
        method: "GET",
        path: "/test.txt",
        query: &[],
        headers: &[
            ("host", HOST),
            ("range", "bytes=0-9"),
            ("x-amz-content-sha256", EMPTY_SHA256),
            ("x-amz-date", TIMESTAMP),
        ],
        payload_hash: EMPTY_SHA256,
        canonical_hash: "7344ae5b7ee6c3e7e6b0fe0640412a37625d1fbfff95c48bbb2dc43964946972",
        signature: "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
    }
    .check();
}

#[test]
fn put_object() {
    let payload_hash = sha256("Welcome to Amazon S3.");
    assert_eq!(
        payload_hash,
        "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"
    );
    Example {
        method: "PUT",
        path: &uri_encode(b"/test$file.text", false),
        query: &[],
        headers: &[
            ("date", "Fri, 24 May 2013 00:00:00 GMT"),
            ("host", HOST),
            ("x-amz-content-sha256", &payload_hash),
            ("x-amz-date", TIMESTAMP),
            ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
        ],
        payload_hash: &payload_hash,
        canonical_hash: "9e0e90d9c76de8fa5b200d8c849cd5b8dc7a3be3951ddb7f6a76b4158342019d",
        signature: "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
    }
    .check();
}

#[test]
fn get_bucket_lifecycle() {
    Example {
        method: "GET",
        path: "/",
        query: &[pair("lifecycle", "")],
        headers: &[
            ("host", HOST),
            ("x-amz-content-sha256", EMPTY_SHA256),
            ("x-amz-date", TIMESTAMP),
        ],
        payload_hash: EMPTY_SHA256,
        canonical_hash: "9766c798316ff2757b517bc739a67f6213b4ab36dd5da2f94eaebf79c77395ca",
        signature: "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
    }
    .check();
}

#[test]
fn list_objects() {
    Example {
        method: "GET",
        path: "/",
        query: &[pair("prefix", "J"), pair("max-keys", "2")],
        headers: &[
            ("host", HOST),
            ("x-amz-content-sha256", EMPTY_SHA256),
            ("x-amz-date", TIMESTAMP),
        ],
        payload_hash: EMPTY_SHA256,
        canonical_hash: "df57d21db20da04d7fa30298dd4488ba3a2b47ca3a489c74750e0f1e7df1b9b7",
        signature: "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
    }
    .check();
}

#[test]
fn presigned_get_object() {
    Example {
        method: "GET",
        path: "/test.txt",
        query: &[
            pair("X-Amz-Algorithm", sigv4::ALGORITHM),
            pair(
                "X-Amz-Credential",
                "AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request",
            ),
            pair("X-Amz-Date", TIMESTAMP),
            pair("X-Amz-Expires", "86400"),
            pair("X-Amz-SignedHeaders", "host"),
        ],
        headers: &[("host", HOST)],
        payload_hash: "UNSIGNED-PAYLOAD",
        canonical_hash: "3bfa292879f6447bbcda7001decf97f4a54dc650c8942174ae0a9121cf58ad04",
        signature: "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404",
    }
    .check();
}

/// The two chunks of 64 KB and 1 KB, and the empty one, that both streaming examples send.
fn chunk_hashes() -> [String; 3] {
    let hashes = [sha256([b'a'; 65536]), sha256([b'a'; 1024]), sha256("")];
    assert_eq!(
        hashes,
        [
            "bf718b6f653bebc184e1479f1935b8da974d701b893afcf49e701f3e2f9f9c5a",
            "2edc986847e209b4016e141a6dc8716d3207350f416969382d431539bf292e4a",
            EMPTY_SHA256,
        ]
    );
    hashes
}

fn check_chunks(seed: &str, signatures: [&str; 3]) -> ChunkSigner {
    let mut chain = ChunkSigner::new(
        key("20130524"),
        TIMESTAMP.to_owned(),
        scope("20130524"),
        seed.to_owned(),
    );
    assert_eq!(
        chunk_hashes().map(|hash| chain.next_chunk(&hash)),
        signatures
    );
    let shown = format!("{chain:?}");
    assert!(
        shown.contains(TIMESTAMP) && !shown.contains(signatures[2]),
        "{shown}"
    );
    chain
}

#[test]
fn chunked_upload() {
    const SEED: &str = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9";
    Example {
        method: "PUT",
        path: "/examplebucket/chunkObject.txt",
        query: &[],
        headers: &[
            ("content-encoding", "aws-chunked"),
            ("content-length", "66824"),
            ("host", "s3.amazonaws.com"),
            ("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"),
            ("x-amz-date", TIMESTAMP),
            ("x-amz-decoded-content-length", "66560"),
            ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
        ],
        payload_hash: "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
        canonical_hash: "cee3fed04b70f867d036f722359b0b1f2f0e5dc0efadbc082b76c4c60e316455",
        signature: SEED,
    }
    .check();
    check_chunks(
        SEED,
        [
            "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
            "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
            "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
        ],
    );
}

#[test]
fn chunked_upload_with_a_trailer() {
    const SEED: &str = "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e";
    Example {
        method: "PUT",
        path: "/examplebucket/chunkObject.txt",
        query: &[],
        headers: &[
            ("content-encoding", "aws-chunked"),
            ("host", "s3.amazonaws.com"),
            (
                "x-amz-content-sha256",
                "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
            ),
            ("x-amz-date", TIMESTAMP),
            ("x-amz-decoded-content-length", "66560"),
            ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
            ("x-amz-trailer", "x-amz-checksum-crc32c"),
        ],
        payload_hash: "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
        canonical_hash: "44d48b8c2f70eae815a0198cc73d7a546a73a93359c070abbaa5e6c7de112559",
        signature: SEED,
    }
    .check();
    let mut chain = check_chunks(
        SEED,
        [
            "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
            "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
            "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
        ],
    );
    assert_eq!(
        chain.trailer(&sha256("x-amz-checksum-crc32c:sOO8/Q==\n")),
        "d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435"
    );
}

#[test]
fn post_policy() {
    // The base64 of a form's policy is the string to sign.
    const POLICY: &str = "eyAiZXhwaXJhdGlvbiI6ICIyMDE1LTEyLTMwVDEyOjAwOjAwLjAwMFoiLA0KICAiY29uZGl0aW9ucyI6IFsNCiAgICB7ImJ1Y2tldCI6ICJzaWd2NGV4YW1wbGVidWNrZXQifSwNCiAgICBbInN0YXJ0cy13aXRoIiwgIiRrZXkiLCAidXNlci91c2VyMS8iXSwNCiAgICB7ImFjbCI6ICJwdWJsaWMtcmVhZCJ9LA0KICAgIHsic3VjY2Vzc19hY3Rpb25fcmVkaXJlY3QiOiAiaHR0cDovL3NpZ3Y0ZXhhbXBsZWJ1Y2tldC5zMy5hbWF6b25hd3MuY29tL3N1Y2Nlc3NmdWxfdXBsb2FkLmh0bWwifSwNCiAgICBbInN0YXJ0cy13aXRoIiwgIiRDb250ZW50LVR5cGUiLCAiaW1hZ2UvIl0sDQogICAgeyJ4LWFtei1tZXRhLXV1aWQiOiAiMTQzNjUxMjM2NTEyNzQifSwNCiAgICB7IngtYW16LXNlcnZlci1zaWRlLWVuY3J5cHRpb24iOiAiQUVTMjU2In0sDQogICAgWyJzdGFydHMtd2l0aCIsICIkeC1hbXotbWV0YS10YWciLCAiIl0sDQoNCiAgICB7IngtYW16LWNyZWRlbnRpYWwiOiAiQUtJQUlPU0ZPRE5ON0VYQU1QTEUvMjAxNTEyMjkvdXMtZWFzdC0xL3MzL2F3czRfcmVxdWVzdCJ9LA0KICAgIHsieC1hbXotYWxnb3JpdGhtIjogIkFXUzQtSE1BQy1TSEEyNTYifSwNCiAgICB7IngtYW16LWRhdGUiOiAiMjAxNTEyMjlUMDAwMDAwWiIgfQ0KICBdDQp9";
    assert_eq!(
        signature(&key("20151229"), POLICY),
        "8afdbf4008c03f22c2cd3cdb72e4afbb1f6a588f3255ac628749a66d7f09699e"
    );
}

/// From "Examples of how to derive a signing key" in AWS's general reference.
#[test]
fn signing_keys() {
    let key = |date, service| {
        let secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
        hex::encode(derive_signing_key(secret, date, "us-east-1", service))
    };
    assert_eq!(
        key("20150830", "iam"),
        "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9"
    );
    assert_eq!(
        key("20120215", "iam"),
        "f4780e2d9f65fa895f9c67b32ce1baf0b0d8a43505a000a1a9e090d414db404d"
    );
}

#[test]
fn the_empty_hash_is_that_of_nothing() {
    assert_eq!(EMPTY_SHA256, sha256(""));
}
