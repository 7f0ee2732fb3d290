//! Holds the book's page about error codes to the codes that there are. It looks at headings and statuses; whether the
//! advice is good is for people to read.

use std::collections::BTreeMap;

use crate::error::Code;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/troubleshooting.md");

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
fn the_page_explains_every_code_and_no_other() {
    let page = std::fs::read_to_string(PAGE).unwrap();
    let (_, chapter) = page.split_once("\n## S3 errors\n").unwrap();
    let chapter = chapter.split("\n## ").next().unwrap_or_default();
    let codes = Code::ALL.iter();
    let codes = codes.map(|code| (code.as_str().to_owned(), code.status().as_u16().to_string()));
    assert_eq!(told(chapter), codes.collect());
}
