//! One shell script of a page, and what became of it: its blocks run in order in one shell, as a reader's terminal would.
//! What a page shows as output is compared; nothing else of it is read.

use std::fmt::Write as _;
use std::process::Output;

use super::{Block, Kind};

/// Before the number of the line whose block begins; no program prints it.
const MARK: char = '\u{1e}';

/// What became of a page's blocks.
#[derive(Debug, Default)]
pub struct Tried {
    pub script: String,
    pub run: usize,
    /// Line and reason of each that was left out.
    pub skipped: Vec<(usize, String)>,
    /// Line of a block, and what it should print.
    expected: Vec<(usize, String)>,
}

impl Tried {
    /// `has` says whether a program is there; `told` puts in what differs from what is printed: addresses, keys.
    pub fn prepare(
        blocks: &[Block],
        has: impl Fn(&str) -> bool,
        told: impl Fn(&str) -> String,
    ) -> Self {
        let mut tried = Self::default();
        tried.script.push_str("exec 2>&1\nset -euo pipefail\n");
        let mut last = None;
        for block in blocks {
            let text = told(&block.text);
            match &block.kind {
                Kind::Run { needs, fails } => {
                    last = None;
                    match needs {
                        Some(program) if !has(program) => {
                            let reason = format!("needs {program}, which is not here");
                            tried.skipped.push((block.line, reason));
                        }
                        _ => {
                            tried.run(block.line, &text, *fails);
                            last = Some(block.line);
                        }
                    }
                }
                Kind::Skip { reason } => {
                    last = None;
                    tried.skipped.push((block.line, reason.clone()));
                }
                Kind::Output => tried.expected.extend(last.map(|line| (line, text))),
                Kind::File { path } => tried.save(path, &text),
                Kind::Other => {}
            }
        }
        tried
    }

    fn run(&mut self, line: usize, text: &str, fails: bool) {
        self.run += 1;
        let _ = writeln!(self.script, "printf '{MARK}{line}{MARK}'");
        if fails {
            let _ = write!(
                self.script,
                "set +e\n(\nset -e\n{text})\nstatus=$?\nset -e\n\
                 [ \"$status\" -ne 0 ] || {{ echo '(it should have failed)'; exit 1; }}\n"
            );
        } else {
            self.script.push_str(text);
        }
    }

    fn save(&mut self, path: &str, text: &str) {
        let path = path.replacen("~/", "$HOME/", 1);
        let _ = write!(
            self.script,
            "mkdir -p \"$(dirname \"{path}\")\"\ncat >\"{path}\" <<'END OF THE FILE'\n{text}END OF THE FILE\n"
        );
    }

    /// # Errors
    /// The line of the block that failed, or printed something else than the page says, and what it printed.
    pub fn judge(&self, output: &Output) -> Result<(), String> {
        let said = String::from_utf8_lossy(&output.stdout);
        let mut parts = said.split(MARK).skip(1);
        let mut blocks = Vec::new();
        while let (Some(line), Some(text)) = (parts.next(), parts.next()) {
            blocks.push((line.parse::<usize>().unwrap_or_default(), text));
        }
        if !output.status.success() {
            let (line, text) = blocks.last().copied().unwrap_or((0, &said));
            return Err(format!("{line}: it failed, and said\n{text}"));
        }
        for (line, expected) in &self.expected {
            let found = blocks.iter().find(|(at, _)| at == line);
            let text = found.map_or("", |(_, text)| text);
            if !shows(expected, text) {
                return Err(format!(
                    "{line}: the page shows\n{expected}--- but it said\n{text}"
                ));
            }
        }
        Ok(())
    }
}

/// Whether a page's output, in which `…` stands for anything in a line, and alone in a line for any lines, is what was said.
pub fn shows(expected: &str, said: &str) -> bool {
    let expected: Vec<&str> = expected.trim_end().lines().map(str::trim_end).collect();
    let said: Vec<&str> = said.trim_end().lines().map(str::trim_end).collect();
    lines_show(&expected, &said)
}

fn lines_show(expected: &[&str], said: &[&str]) -> bool {
    match expected.split_first() {
        None => said.is_empty(),
        Some((line, rest)) if line.trim() == "…" => {
            (0..=said.len()).any(|skipped| lines_show(rest, &said[skipped..]))
        }
        Some((line, rest)) => said
            .split_first()
            .is_some_and(|(first, others)| line_shows(line, first) && lines_show(rest, others)),
    }
}

fn line_shows(expected: &str, said: &str) -> bool {
    let Some((head, rest)) = expected.split_once('…') else {
        return expected == said;
    };
    let Some(said) = said.strip_prefix(head) else {
        return false;
    };
    let starts = said.char_indices().map(|(at, _)| at);
    starts
        .chain([said.len()])
        .any(|at| line_shows(rest, &said[at..]))
}
