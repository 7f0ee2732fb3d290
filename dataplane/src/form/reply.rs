//! What a browser is told when its upload is done: a status, a document, or where to go next. Nothing of the form is
//! echoed but encoded or escaped.
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/RESTObjectPOST.html>

use http::{HeaderValue, Response, StatusCode, Uri, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::Fields;
use crate::body::Content;
use crate::request::S3Request;
use crate::xml::XmlWriter;

/// As forms encode, but for the blank, which becomes a plus.
const IN_QUERY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'*')
    .remove(b' ');

pub struct Reply {
    status: StatusCode,
    redirect: Option<String>,
}

/// What was stored, and where.
pub struct Stored<'a> {
    pub bucket: &'a str,
    pub key: &'a str,
    pub etag: &'a str,
    /// The object's address.
    pub location: String,
}

impl Reply {
    /// What the form asks for. A status that S3 does not know and an address that is none are as if they were not there.
    pub fn asked(fields: &Fields) -> Reply {
        let status = match fields.get("success_action_status") {
            Some("200") => StatusCode::OK,
            Some("201") => StatusCode::CREATED,
            _ => StatusCode::NO_CONTENT,
        };
        let redirect = fields
            .get("success_action_redirect")
            .or_else(|| fields.get("redirect"))
            .filter(|text| is_web_address(text));
        Reply {
            status,
            redirect: redirect.map(str::to_owned),
        }
    }

    /// Makes the answer of it; what stands in `answer`'s head stays.
    pub fn answer(self, mut answer: Response<Content>, stored: &Stored<'_>) -> Response<Content> {
        let redirect = self
            .redirect
            .and_then(|address| HeaderValue::from_str(&with_query(&address, stored)).ok());
        let location = redirect
            .clone()
            .or_else(|| HeaderValue::from_str(&stored.location).ok());
        if let Some(location) = location {
            answer.headers_mut().insert(header::LOCATION, location);
        }
        *answer.status_mut() = match redirect {
            Some(_) => StatusCode::SEE_OTHER,
            None => self.status,
        };
        if answer.status() == StatusCode::CREATED {
            answer.headers_mut().insert(
                header::CONTENT_TYPE,
                HeaderValue::from_static("application/xml"),
            );
            *answer.body_mut() = Content::from(document(stored));
        }
        answer
    }
}

/// The address of an object, for a bucket that was addressed as this request does.
pub fn location(request: &S3Request, key: &str) -> String {
    let path = sigv4::uri_encode(request.path.trim_end_matches('/').as_bytes(), false);
    let key = sigv4::uri_encode(key.as_bytes(), true);
    request.address(&format!("{path}/{key}"))
}

fn document(stored: &Stored<'_>) -> String {
    let mut xml = XmlWriter::document();
    xml.open("PostResponse");
    xml.text("Location", &stored.location);
    xml.text("Bucket", stored.bucket);
    xml.text("Key", stored.key);
    xml.text("ETag", stored.etag);
    xml.close("PostResponse");
    xml.finish()
}

fn is_web_address(text: &str) -> bool {
    let known = |uri: &Uri| matches!(uri.scheme_str(), Some("http" | "https"));
    text.split('#')
        .next()
        .and_then(|address| address.parse::<Uri>().ok())
        .is_some_and(|uri| known(&uri) && uri.host().is_some_and(|host| !host.is_empty()))
}

/// The address with bucket, key and entity tag behind the query that it has, before its fragment.
fn with_query(address: &str, stored: &Stored<'_>) -> String {
    let (address, fragment) = match address.find('#') {
        Some(at) => address.split_at(at),
        None => (address, ""),
    };
    let joint = match address.split_once('?') {
        None => "?",
        Some((_, query)) if query.is_empty() || query.ends_with('&') => "",
        Some(_) => "&",
    };
    let encode = |text: &str| {
        utf8_percent_encode(text, IN_QUERY)
            .to_string()
            .replace(' ', "+")
    };
    format!(
        "{address}{joint}bucket={}&key={}&etag={}{fragment}",
        encode(stored.bucket),
        encode(stored.key),
        encode(stored.etag),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::form::Field;

    fn answer(fields: &[(&str, &str)]) -> (u16, String, String) {
        let fields = Fields(
            fields
                .iter()
                .map(|(name, value)| Field {
                    name: (*name).into(),
                    value: (*value).into(),
                })
                .collect(),
        );
        let stored = Stored {
            bucket: "b",
            key: "u/<a> é+",
            etag: "\"e\"",
            location: "http://s3.example/b/k".into(),
        };
        let answer = Reply::asked(&fields).answer(Response::new(Content::Empty), &stored);
        let location = answer.headers()["location"].to_str().unwrap().to_owned();
        let status = answer.status().as_u16();
        let body = match answer.into_body() {
            Content::Full(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
            _ => String::new(),
        };
        (status, location, body)
    }

    const ADDED: &str = "bucket=b&key=u%2F%3Ca%3E+%C3%A9%2B&etag=%22e%22";

    #[test]
    fn a_redirect_keeps_what_it_has() {
        for (address, expected) in [
            ("http://x/ok", format!("http://x/ok?{ADDED}")),
            ("HTTPS://x", format!("HTTPS://x?{ADDED}")),
            ("http://x/ok?", format!("http://x/ok?{ADDED}")),
            ("http://x/ok?a=1", format!("http://x/ok?a=1&{ADDED}")),
            ("http://x/ok?a=1&", format!("http://x/ok?a=1&{ADDED}")),
            ("http://x/ok#top", format!("http://x/ok?{ADDED}#top")),
            ("http://x/?a#b?c", format!("http://x/?a&{ADDED}#b?c")),
        ] {
            for name in ["success_action_redirect", "redirect"] {
                let (status, location, body) =
                    answer(&[(name, address), ("success_action_status", "201")]);
                assert_eq!(
                    (status, location, body),
                    (303, expected.clone(), String::new())
                );
            }
        }
        let both = answer(&[
            ("redirect", "http://old"),
            ("success_action_redirect", "http://new"),
        ]);
        assert!(both.1.starts_with("http://new?"));
    }

    #[test]
    fn a_redirect_that_is_none_is_ignored() {
        for address in [
            "",
            "/relative",
            "//x/relative",
            "javascript:alert(1)",
            "data:text/html,x",
            "ftp://x/",
            "http://",
            "http:///x",
            "http://x/\r\nSet-Cookie: a",
            "http://x/#\r\nSet-Cookie: a",
            "http://x/ y",
        ] {
            let (status, location, _) = answer(&[("success_action_redirect", address)]);
            assert_eq!(
                (status, location.as_str()),
                (204, "http://s3.example/b/k"),
                "{address:?}"
            );
        }
    }

    #[test]
    fn statuses_are_those_of_s3() {
        for (asked, expected) in [
            ("200", 200),
            ("201", 201),
            ("204", 204),
            ("404", 204),
            ("", 204),
            ("201 ", 204),
        ] {
            assert_eq!(
                answer(&[("success_action_status", asked)]).0,
                expected,
                "{asked}"
            );
        }
        assert_eq!(answer(&[]).0, 204);
        let (_, _, body) = answer(&[("success_action_status", "201")]);
        assert_eq!(
            body,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<PostResponse><Location>http://s3.example/b/k</Location><Bucket>b</Bucket><Key>u/&lt;a&gt; é+</Key><ETag>&quot;e&quot;</ETag></PostResponse>"
        );
    }
}
