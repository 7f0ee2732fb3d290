//! Holds the book's page about error codes to the codes that the API answers with: those of the kinds of [`Error`], and
//! those that each conflict has of its own, which are read from the source.

use std::collections::BTreeMap;
use std::path::Path;

use super::*;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/troubleshooting.md");

/// One of each kind; of conflicts and of S3's errors the codes are the caller's.
fn kinds() -> Vec<Error> {
    let all = vec![
        Error::validation("name", ""),
        Error::BadRequest(String::new()),
        Error::Unauthorized(""),
        Error::Forbidden(""),
        Error::MissingScope(""),
        Error::NotFound(""),
        Error::MethodNotAllowed,
        Error::TooManyRequests {
            retry_after_seconds: 1,
        },
        Error::Unavailable(""),
        Error::Internal(anyhow::anyhow!("")),
    ];
    // Another kind is one more arm here, and belongs above.
    for kind in &all {
        match kind {
            Error::Validation { .. } | Error::BadRequest(_) | Error::Unauthorized(_) => {}
            Error::Forbidden(_) | Error::MissingScope(_) | Error::NotFound(_) => {}
            Error::MethodNotAllowed | Error::TooManyRequests { .. } => {}
            Error::Unavailable(_) | Error::Internal(_) => {}
            Error::Conflict { .. } | Error::S3 { .. } => {}
        }
    }
    all
}

/// The codes of conflicts in the source: each stands as a text beside its `Conflict {`.
fn conflicts(folder: &Path, found: &mut BTreeMap<String, String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            conflicts(&path, found);
            continue;
        }
        let here = path.ends_with("src/error.rs") || path.ends_with("src/error_tests.rs");
        if here || path.extension().is_none_or(|end| end != "rs") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        for made in text.split("Error::Conflict {").skip(1) {
            let made = made.split('}').next().unwrap_or_default();
            // A pattern, not one that is made.
            if made.trim() == ".." {
                continue;
            }
            let code = made
                .split_once("code: \"")
                .and_then(|(_, rest)| rest.split('"').next());
            let code = code.unwrap_or_else(|| {
                panic!(
                    "{}: a conflict whose code is no text: {made}",
                    path.display()
                )
            });
            found.insert(code.to_owned(), "409".to_owned());
        }
    }
}

/// Each code that the chapter has a section for, with the status that the section begins with.
fn told(chapter: &str) -> BTreeMap<String, String> {
    let sections = chapter.split("\n### ").skip(1);
    let told = sections.map(|section| {
        let (code, text) = section.split_once('\n').unwrap_or((section, ""));
        let status = text.trim_start().split('`').nth(1).unwrap_or_default();
        for word in ["**Why:**", "**Do:**"] {
            assert!(text.contains(word), "{code} has no {word}");
        }
        (code.trim().to_owned(), status.to_owned())
    });
    told.collect()
}

#[test]
fn the_page_explains_every_code_of_the_api_and_no_other() {
    let page = std::fs::read_to_string(PAGE).unwrap();
    let (_, chapter) = page.split_once("\n## Errors of the API\n").unwrap();
    let chapter = chapter.split("\n## ").next().unwrap_or_default();
    let mut codes: BTreeMap<String, String> = BTreeMap::new();
    for kind in kinds() {
        codes.insert(kind.code().to_owned(), kind.status().as_u16().to_string());
    }
    for folder in ["src", "../web/src"] {
        conflicts(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join(folder),
            &mut codes,
        );
    }
    assert!(codes.len() > 20, "{codes:?}");
    assert_eq!(told(chapter), codes);
}
