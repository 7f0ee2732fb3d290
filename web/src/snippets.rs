//! Client configurations with a key filled in, for the page that shows the secret, or with its place left open.
//! Each addresses buckets path-style, and works as it stands when pasted.

use askama::Template;

#[derive(Debug)]
pub struct Snippets {
    pub aws: String,
    pub rclone: String,
    pub boto3: String,
    pub s3cmd: String,
    pub restic: String,
    pub terraform: String,
    pub javascript: String,
    pub rust: String,
    pub go: String,
}

/// What is filled in.
#[derive(Clone, Copy)]
pub struct Credentials<'a> {
    /// `http://host:port` or `https://host[:port]`.
    pub endpoint: &'a str,
    pub region: &'a str,
    pub access_key_id: &'a str,
    pub secret_access_key: &'a str,
}

impl Credentials<'_> {
    fn is_https(&self) -> bool {
        self.endpoint.starts_with("https://")
    }

    /// The endpoint without its scheme.
    fn host(&self) -> &str {
        let host = self.endpoint.split_once("://");
        host.map_or(self.endpoint, |(_, host)| host)
            .trim_end_matches('/')
    }
}

#[derive(Template)]
#[template(path = "partials/snippets/aws.txt")]
struct Aws<'a> {
    to: Credentials<'a>,
}

#[derive(Template)]
#[template(path = "partials/snippets/rclone.txt")]
struct Rclone<'a> {
    to: Credentials<'a>,
}

#[derive(Template)]
#[template(path = "partials/snippets/boto3.txt")]
struct Boto3<'a> {
    to: Credentials<'a>,
}

#[derive(Template)]
#[template(path = "partials/snippets/s3cmd.txt")]
struct S3cmd<'a> {
    to: Credentials<'a>,
}

#[derive(Template)]
#[template(path = "partials/snippets/restic.txt")]
struct Restic<'a> {
    to: Credentials<'a>,
}

#[derive(Template)]
#[template(path = "partials/snippets/terraform.txt")]
struct Terraform<'a> {
    to: Credentials<'a>,
}

#[derive(Template)]
#[template(path = "partials/snippets/javascript.txt")]
struct Javascript<'a> {
    to: Credentials<'a>,
}

#[derive(Template)]
#[template(path = "partials/snippets/rust.txt")]
struct Rust<'a> {
    to: Credentials<'a>,
}

#[derive(Template)]
#[template(path = "partials/snippets/go.txt")]
struct Go<'a> {
    to: Credentials<'a>,
}

impl Snippets {
    pub fn new(to: Credentials<'_>) -> Result<Self, askama::Error> {
        Ok(Self {
            aws: Aws { to }.render()?,
            rclone: Rclone { to }.render()?,
            boto3: Boto3 { to }.render()?,
            s3cmd: S3cmd { to }.render()?,
            restic: Restic { to }.render()?,
            terraform: Terraform { to }.render()?,
            javascript: Javascript { to }.render()?,
            rust: Rust { to }.render()?,
            go: Go { to }.render()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snippets(endpoint: &str) -> Snippets {
        let credentials = Credentials {
            endpoint,
            region: "eu-1",
            access_key_id: "VLTA",
            secret_access_key: "s3cr3t",
        };
        Snippets::new(credentials).expect("templates")
    }

    #[test]
    fn every_snippet_names_endpoint_region_and_both_halves_of_the_key() {
        let made = snippets("http://127.0.0.1:9000");
        for text in [
            &made.aws,
            &made.rclone,
            &made.boto3,
            &made.s3cmd,
            &made.restic,
            &made.terraform,
            &made.javascript,
            &made.rust,
            &made.go,
        ] {
            for part in ["127.0.0.1:9000", "eu-1", "VLTA", "s3cr3t"] {
                assert!(text.contains(part), "{part} in {text}");
            }
        }
    }

    /// Left to themselves, aws 1 and boto3 presign with Signature Version 2, which is refused.
    #[test]
    fn presigned_links_are_made_with_version_4() {
        let made = snippets("http://127.0.0.1:9000");
        assert!(made.aws.contains("s3.signature_version s3v4"));
        assert!(made.boto3.contains("signature_version=\"s3v4\""));
    }

    #[test]
    fn s3cmd_is_told_the_scheme_apart_from_the_host() {
        let plain = snippets("http://127.0.0.1:9000").s3cmd;
        assert!(plain.contains("host_bucket = 127.0.0.1:9000\n"));
        assert!(plain.contains("use_https = False\n"));
        let tls = snippets("https://s3.example").s3cmd;
        assert!(tls.contains("host_base = s3.example\n"));
        assert!(tls.contains("use_https = True\n"));
    }

    const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/connect.md");

    /// The page with each marked block replaced by what the dashboard shows.
    fn page_as_shown(page: &str) -> (String, usize) {
        let shown = Snippets::new(Credentials {
            endpoint: "http://127.0.0.1:9000",
            region: "us-east-1",
            access_key_id: "YOUR_ACCESS_KEY_ID",
            secret_access_key: "YOUR_SECRET_ACCESS_KEY",
        });
        let shown = shown.expect("templates");
        let (mut made, mut found) = (String::new(), 0);
        let mut parts = page.split("<!-- as the dashboard shows it: ");
        made.push_str(parts.next().unwrap_or_default());
        for part in parts {
            let (name, rest) = part.split_once(" -->\n").expect("a mark has an end");
            let (fence, rest) = rest.split_once('\n').expect("a block follows");
            let (_, rest) = rest.split_once("\n```\n").expect("it has an end");
            let text = match name {
                "aws" => &shown.aws,
                "rclone" => &shown.rclone,
                "boto3" => &shown.boto3,
                "s3cmd" => &shown.s3cmd,
                "restic" => &shown.restic,
                "terraform" => &shown.terraform,
                "javascript" => &shown.javascript,
                "rust" => &shown.rust,
                "go" => &shown.go,
                other => panic!("there is no snippet {other}"),
            };
            let text = text.trim_end();
            made.push_str(&format!(
                "<!-- as the dashboard shows it: {name} -->\n{fence}\n{text}\n```\n{rest}"
            ));
            found += 1;
        }
        (made, found)
    }

    /// `UPDATE_DOCS=1 cargo test -p web --lib snippets` writes it anew.
    #[test]
    fn the_book_shows_what_the_dashboard_shows() {
        let page = std::fs::read_to_string(PAGE).expect("the book has a page about clients");
        let (made, found) = page_as_shown(&page);
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(PAGE, &made).expect("it can be written");
            return;
        }
        assert!(
            made == page,
            "docs/connect.md shows something else than /connect: UPDATE_DOCS=1 writes it anew"
        );
        assert_eq!(found, 9);
    }
}
