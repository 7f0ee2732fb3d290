//! Links between pages: whether the file is there, and the heading in it. Addresses elsewhere are not asked.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

use crate::tools;

/// What is wrong with the links of a page, each with its line.
pub fn broken(page: &Path, text: &str) -> Vec<String> {
    let folder = page.parent().unwrap_or(Path::new(""));
    let mut wrong = Vec::new();
    for (line, target) in links(text) {
        if target.contains("://") || target.starts_with("mailto:") {
            continue;
        }
        let (file, anchor) = target.split_once('#').unwrap_or((&target, ""));
        let at = match file {
            "" => page.to_owned(),
            file => plain(&folder.join(file)),
        };
        let place = tools::of_the_project(&at.to_string_lossy());
        if !place.exists() {
            wrong.push(format!("{}:{line}: there is no {target}", page.display()));
        } else if !anchor.is_empty()
            && !has_anchor(&place, anchor, (file.is_empty()).then_some(text))
        {
            wrong.push(format!(
                "{}:{line}: {} has no heading #{anchor}",
                page.display(),
                at.display()
            ));
        }
    }
    wrong
}

/// `text` is the page's, where it is read already.
fn has_anchor(place: &Path, anchor: &str, text: Option<&str>) -> bool {
    let is_page = place.extension().is_some_and(|end| end == "md");
    let read = || std::fs::read_to_string(place).unwrap_or_default();
    let text = text.map_or_else(read, str::to_owned);
    // In a source file: lines, as forges number them.
    is_page && anchors(&text).iter().any(|found| found == anchor)
}

/// `a/../b` without its way back.
fn plain(path: &Path) -> PathBuf {
    let mut parts = Vec::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                parts.pop();
            }
            Component::CurDir => {}
            part => parts.push(part),
        }
    }
    parts.into_iter().collect()
}

/// Lines outside fenced blocks, with their numbers, from 1.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    text.lines().enumerate().filter_map(move |(at, line)| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        (!fence && !fenced).then_some((at + 1, line))
    })
}

/// Targets of `[…](target)` and of images, with their lines; not in code.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (line, text) in prose(text) {
        let text = without_code(text);
        let mut rest = text.as_str();
        while let Some((_, after)) = rest.split_once("](") {
            let Some((target, behind)) = after.split_once(')') else {
                break;
            };
            let target = target.split(' ').next().unwrap_or_default();
            found.push((line, target.to_owned()));
            rest = behind;
        }
    }
    found
}

/// A line without its `code`, of which a link's text may consist.
fn without_code(line: &str) -> String {
    let parts: Vec<&str> = line.split('`').collect();
    // An odd number of ticks: the last part is behind one that ends nothing.
    let code = |at: usize| at % 2 == 1 && at + 1 < parts.len();
    let kept = parts.iter().enumerate().filter(|(at, _)| !code(*at));
    kept.map(|(_, part)| *part).collect()
}

/// Of each heading, as forges and mdBook make them: small letters, hyphens for blanks, no other signs.
fn anchors(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut seen: HashMap<String, usize> = HashMap::new();
    for (_, line) in prose(text) {
        let heading = line.trim_start_matches('#');
        if heading.len() == line.len() || !heading.starts_with(' ') {
            continue;
        }
        let name: String = heading
            .trim()
            .to_lowercase()
            .chars()
            .filter_map(|c| match c {
                ' ' => Some('-'),
                c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c),
                _ => None,
            })
            .collect();
        let before = seen.entry(name.clone()).or_default();
        found.push(match *before {
            0 => name,
            n => format!("{name}-{n}"),
        });
        *before += 1;
    }
    found
}
