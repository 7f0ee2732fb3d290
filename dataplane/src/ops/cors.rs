//! A bucket's CORS rules. They are pushed to every node, because nodes answer browsers themselves; no engine hears of
//! them.
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketCors.html>

use http::StatusCode;
use wire::{BucketSetting, CorsRule};

use super::{Answer, Call, empty, xml};
use crate::error::{Code, S3Error};
use crate::xml::{Element, XmlWriter, parse};

const MAX_DOCUMENT: u64 = 64 * 1024;
const MAX_RULES: usize = 100;
const METHODS: &[&str] = &["GET", "PUT", "HEAD", "POST", "DELETE"];

pub fn get(call: &Call) -> Answer {
    let bucket = call.place()?.bucket;
    if bucket.cors.is_empty() {
        return Err(Code::NoSuchCORSConfiguration.into());
    }
    Ok(xml(write(&bucket.cors)))
}

pub async fn put(mut call: Box<Call>) -> Answer {
    call.place()?;
    let document = call.document(MAX_DOCUMENT).await?;
    let rules = read(&document)?;
    call.set(BucketSetting::Cors(rules)).await?;
    Ok(empty(StatusCode::OK))
}

pub async fn delete(call: Box<Call>) -> Answer {
    call.place()?;
    call.set(BucketSetting::Cors(Vec::new())).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}

pub fn read(document: &[u8]) -> Result<Vec<CorsRule>, S3Error> {
    let root = parse(document).map_err(|_| Code::MalformedXML)?;
    if root.name != "CORSConfiguration" {
        return Err(Code::MalformedXML.into());
    }
    let rules = root
        .all("CORSRule")
        .map(rule)
        .collect::<Result<Vec<_>, _>>()?;
    if rules.is_empty() || rules.len() > MAX_RULES {
        return Err(Code::MalformedXML.into());
    }
    Ok(rules)
}

fn rule(element: &Element) -> Result<CorsRule, S3Error> {
    let all = |name| -> Vec<String> {
        element
            .all(name)
            .map(|child| child.text.trim().to_owned())
            .collect()
    };
    let rule = CorsRule {
        id: element.value("ID").map(str::to_owned),
        allowed_origins: all("AllowedOrigin"),
        allowed_methods: all("AllowedMethod"),
        allowed_headers: all("AllowedHeader"),
        expose_headers: all("ExposeHeader"),
        max_age_seconds: match element.value("MaxAgeSeconds") {
            None => None,
            Some(text) => Some(text.trim().parse().map_err(|_| Code::MalformedXML)?),
        },
    };
    if rule.allowed_origins.is_empty() || rule.allowed_methods.is_empty() {
        return Err(Code::MalformedXML.into());
    }
    if let Some(method) = rule
        .allowed_methods
        .iter()
        .find(|m| !METHODS.contains(&m.as_str()))
    {
        return Err(S3Error::with(
            Code::InvalidRequest,
            format!("Found unsupported HTTP method in CORS config. Unsupported method is {method}"),
        ));
    }
    let wild = |text: &&String| text.matches('*').count() > 1;
    if let Some(text) = rule
        .allowed_origins
        .iter()
        .chain(&rule.allowed_headers)
        .find(wild)
    {
        return Err(S3Error::with(
            Code::InvalidRequest,
            format!("\"{text}\" can not have more than one wildcard."),
        ));
    }
    if let Some(text) = rule.expose_headers.iter().find(|text| text.contains('*')) {
        return Err(S3Error::with(
            Code::InvalidRequest,
            format!(
                "ExposeHeader \"{text}\" contains wildcard. We currently do not support wildcard for ExposeHeader."
            ),
        ));
    }
    if rule.id.as_ref().is_some_and(|id| id.chars().count() > 255) {
        return Err(Code::MalformedXML.into());
    }
    Ok(rule)
}

pub fn write(rules: &[CorsRule]) -> String {
    let mut out = XmlWriter::s3("CORSConfiguration");
    for rule in rules {
        out.open("CORSRule");
        if let Some(id) = &rule.id {
            out.text("ID", id);
        }
        for (name, values) in [
            ("AllowedOrigin", &rule.allowed_origins),
            ("AllowedMethod", &rule.allowed_methods),
            ("AllowedHeader", &rule.allowed_headers),
            ("ExposeHeader", &rule.expose_headers),
        ] {
            for value in values {
                out.text(name, value);
            }
        }
        if let Some(seconds) = rule.max_age_seconds {
            out.number("MaxAgeSeconds", seconds);
        }
        out.close("CORSRule");
    }
    out.close("CORSConfiguration");
    out.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(rule: &str) -> Result<Vec<CorsRule>, Code> {
        read(
            format!("<CORSConfiguration><CORSRule>{rule}</CORSRule></CORSConfiguration>")
                .as_bytes(),
        )
        .map_err(|error| error.code)
    }

    #[test]
    fn what_is_written_reads_back() {
        let rules = with(
            "<ID>r</ID><AllowedOrigin>https://*.x</AllowedOrigin><AllowedMethod>GET</AllowedMethod>\
             <AllowedHeader>*</AllowedHeader><ExposeHeader>ETag</ExposeHeader><MaxAgeSeconds>5</MaxAgeSeconds>",
        )
        .unwrap();
        assert_eq!(rules[0].max_age_seconds, Some(5));
        assert_eq!(read(write(&rules).as_bytes()).unwrap(), rules);
    }

    #[test]
    fn rules_that_mean_nothing_are_refused() {
        let origin = "<AllowedOrigin>*</AllowedOrigin>";
        let method = "<AllowedMethod>GET</AllowedMethod>";
        assert!(with(&format!("{origin}{method}")).is_ok());
        for (rule, code) in [
            (origin.to_owned(), Code::MalformedXML),
            (method.to_owned(), Code::MalformedXML),
            (
                format!("{origin}<AllowedMethod>PATCH</AllowedMethod>"),
                Code::InvalidRequest,
            ),
            (
                format!("<AllowedOrigin>*a*</AllowedOrigin>{method}"),
                Code::InvalidRequest,
            ),
            (
                format!("{origin}{method}<ExposeHeader>*</ExposeHeader>"),
                Code::InvalidRequest,
            ),
            (
                format!("{origin}{method}<MaxAgeSeconds>-1</MaxAgeSeconds>"),
                Code::MalformedXML,
            ),
        ] {
            assert_eq!(with(&rule).err(), Some(code), "{rule}");
        }
    }
}
