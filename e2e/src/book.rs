//! The book's pages as their readers follow them: fenced blocks in order, each with its word on how it is tried, and the
//! links between pages. It reads Markdown, and knows nothing of what the commands do.

mod links;
mod script;

use std::path::{Path, PathBuf};

pub use links::broken;
pub use script::{Tried, shows};

use crate::tools;

/// A fenced block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Of its opening fence, from 1.
    pub line: usize,
    pub kind: Kind,
    pub text: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// `sh test`, `sh test fails`, `sh needs=PROGRAM`
    Run { needs: Option<String>, fails: bool },
    /// `sh skip=REASON`
    Skip { reason: String },
    /// `text output`: what the block before it prints, with `…` for what differs from time to time.
    Output,
    /// `LANGUAGE file=PATH`: what a reader saves as a file.
    File { path: String },
    /// No command.
    Other,
}

/// Fenced blocks that are commands in disguise.
const SHELLS: [&str; 6] = ["", "bash", "shell", "console", "zsh", "shellsession"];

/// A page's blocks in order.
///
/// # Errors
/// The line, and what is wrong: a shell block that does not say how it is tried, or a block without an end.
pub fn read(page: &str) -> Result<Vec<Block>, String> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut open: Option<(usize, &str, Block)> = None;
    for (at, line) in page.lines().enumerate() {
        let stripped = line.trim_start();
        let indent = line.len() - stripped.len();
        match open.take() {
            Some((_, fence, block)) if stripped.trim_end() == fence => blocks.push(block),
            Some((indent, fence, mut block)) => {
                let text = line.get(indent..).unwrap_or(stripped);
                block.text.push_str(text);
                block.text.push('\n');
                open = Some((indent, fence, block));
            }
            None => {
                let ticks = stripped.len() - stripped.trim_start_matches('`').len();
                if ticks < 3 {
                    continue;
                }
                let (fence, info) = stripped.split_at(ticks);
                let kind = kind(info.trim(), blocks.last());
                let kind = kind.map_err(|error| format!("{}: {error}", at + 1))?;
                let text = String::new();
                let line = at + 1;
                open = Some((indent, fence, Block { line, kind, text }));
            }
        }
    }
    match open {
        Some((_, _, block)) => Err(format!("{}: a block without an end", block.line)),
        None => Ok(blocks),
    }
}

fn kind(info: &str, before: Option<&Block>) -> Result<Kind, String> {
    let (language, mark) = info.split_once(' ').unwrap_or((info, ""));
    let run = |needs, fails| Kind::Run { needs, fails };
    match (language, mark) {
        ("sh", "test") => Ok(run(None, false)),
        ("sh", "test fails") => Ok(run(None, true)),
        ("sh", mark) => match (mark.strip_prefix("skip="), mark.strip_prefix("needs=")) {
            (Some(reason), _) if reason.len() > 5 => Ok(Kind::Skip {
                reason: reason.to_owned(),
            }),
            (_, Some(program)) if !program.is_empty() && !program.contains(' ') => {
                Ok(run(Some(program.to_owned()), false))
            }
            _ => Err(format!(
                "`sh {mark}` does not say how it is tried: `sh test`, `sh test fails`, `sh needs=PROGRAM` or `sh skip=REASON`"
            )),
        },
        (shell, _) if SHELLS.contains(&shell) => Err(format!(
            "a block of `{shell}`: say `sh` and how it is tried, or `text`"
        )),
        (_, "output") => match before.map(|block| &block.kind) {
            Some(Kind::Run { .. } | Kind::Skip { .. }) => Ok(Kind::Output),
            _ => Err("`output` must follow a block of commands".to_owned()),
        },
        (_, mark) => match mark.strip_prefix("file=") {
            Some(path) => Ok(Kind::File {
                path: path.to_owned(),
            }),
            None => Ok(Kind::Other),
        },
    }
}

/// The pages whose commands are tried: README.md and all of docs/, by their paths from the project's top.
pub fn pages() -> Vec<PathBuf> {
    let mut found = vec![PathBuf::from("README.md")];
    markdown(
        &tools::of_the_project("docs"),
        Path::new("docs"),
        &mut found,
    );
    found
}

/// Every page there is, whether in the book or not.
pub fn all_markdown() -> Vec<PathBuf> {
    let mut found = Vec::new();
    markdown(&tools::of_the_project(""), Path::new(""), &mut found);
    found
}

fn markdown(folder: &Path, name: &Path, found: &mut Vec<PathBuf>) {
    let entries = std::fs::read_dir(folder).expect("the project can be read");
    let mut entries: Vec<_> = entries.flatten().collect();
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let file_name = entry.file_name();
        let path = name.join(&file_name);
        let hidden = file_name.to_string_lossy().starts_with('.');
        // Neither what is built nor what is installed: links lead there, and folders of that name at the top.
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && !hidden && path != Path::new("target") => {
                markdown(&entry.path(), &path, found);
            }
            Ok(kind) if kind.is_file() && path.extension().is_some_and(|end| end == "md") => {
                found.push(path);
            }
            _ => {}
        }
    }
}
