//! The book and README.md: every command in them is run as a reader would, every link leads somewhere, every page is in
//! the table of contents.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use e2e::book::{self, Block, Kind, Tried, shows};
use e2e::process::{clear_environment, run};
use e2e::{Client, Stack, tools};

/// Its commands need a token that is made in a browser: `api` runs them.
const ELSEWHERE: &str = "docs/API.md";
/// Blocks that no test runs. Whoever adds one says why here, by raising it.
const MOST_SKIPPED: usize = 18;
const LEAST_RUN: usize = 50;
const PAGE_WITHIN: Duration = Duration::from_secs(120);

fn blocks(page: &Path) -> Vec<Block> {
    let text = fs::read_to_string(tools::of_the_project(&page.to_string_lossy())).unwrap();
    book::read(&text).unwrap_or_else(|error| panic!("{}:{error}", page.display()))
}

#[test]
fn each_command_in_the_book_does_what_the_page_says() {
    let stack = Stack::start(1);
    let shelf = Shelf::new(&stack);
    let begun = Instant::now();
    let (mut ran, mut skipped, mut wrong) = (0, Vec::new(), Vec::new());
    for page in book::pages() {
        let blocks = blocks(&page);
        if page == Path::new(ELSEWHERE) || !blocks.iter().any(|block| is_run(&block.kind)) {
            continue;
        }
        let page_begun = Instant::now();
        let tried = shelf.read(&page, &blocks);
        match tried {
            Ok(tried) => {
                ran += tried.run;
                let left_out = tried.skipped.into_iter();
                skipped.extend(
                    left_out.map(|(line, why)| format!("{}:{line}: {why}", page.display())),
                );
            }
            Err(error) => wrong.push(format!("{}:{error}", page.display())),
        }
        println!(
            "{} ({} ms)",
            page.display(),
            page_begun.elapsed().as_millis()
        );
    }
    println!(
        "{ran} blocks in {} s; not run:\n{}",
        begun.elapsed().as_secs(),
        skipped.join("\n")
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    assert!(ran >= LEAST_RUN, "{ran} blocks were run");
}

fn is_run(kind: &Kind) -> bool {
    matches!(kind, Kind::Run { .. })
}

fn may_mount() -> bool {
    let fuse = fs::File::options().read(true).write(true).open("/dev/fuse");
    fuse.is_ok() && nix::unistd::geteuid().is_root()
}

/// A stack, and what a reader has at hand.
struct Shelf<'a> {
    stack: &'a Stack,
    path: String,
}

impl<'a> Shelf<'a> {
    fn new(stack: &'a Stack) -> Self {
        let bin = stack.folder().join("bin");
        fs::create_dir(&bin).unwrap();
        std::os::unix::fs::symlink(tools::vaultaire(), bin.join("vaultaire")).unwrap();
        let clients = tools::python_tool("python3");
        let clients = clients.parent().expect("it is in a folder");
        let more = tools::book_tools();
        let system = std::env::var("PATH").unwrap_or_default();
        let path = format!(
            "{}:{}:{}:{system}",
            bin.display(),
            clients.display(),
            more.display()
        );
        Self { stack, path }
    }

    fn has(&self, program: &str) -> bool {
        let mut folders = self.path.split(':');
        match program {
            "node" => tools::book_npm().is_some(),
            // It mounts, and who may is not a question of what is installed.
            "s3fs" if !may_mount() => false,
            program => folders.any(|folder| Path::new(folder).join(program).is_file()),
        }
    }

    /// What a page says of an installation as it comes, turned into what this one is.
    fn told(&self, text: &str, key: &Client) -> String {
        let ports = self.stack.addresses;
        let at = |port: u16| format!("127.0.0.1:{port}");
        [
            ("127.0.0.1:8080", at(ports.http)),
            ("127.0.0.1:8081", at(ports.http + 1)),
            ("127.0.0.1:9000", at(ports.s3)),
            ("127.0.0.1:9001", at(ports.s3 + 1)),
            ("YOUR_ACCESS_KEY_ID", key.access_key_id.clone()),
            ("YOUR_SECRET_ACCESS_KEY", key.secret_access_key.clone()),
            ("YOUR_TENANT_ID", key.tenant_id.clone()),
        ]
        .iter()
        .fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
    }

    /// Runs a page's blocks in a folder that looks like a clone in which `make run` was typed.
    fn read(&self, page: &Path, blocks: &[Block]) -> Result<Tried, String> {
        let name = page.to_string_lossy().replace(['/', '.'], "-");
        let key = self.stack.busy_tenant(&name);
        let clone = self.stack.folder().join(&name);
        let home = clone.join("home");
        fs::create_dir_all(&home).unwrap();
        fs::create_dir_all(clone.join("target/debug")).unwrap();
        let link =
            |to: PathBuf, name: &str| std::os::unix::fs::symlink(to, clone.join(name)).unwrap();
        link(self.stack.data_dir(), "vaultaire-data");
        link(tools::vaultaire(), "target/debug/vaultaire");
        if let Some(packages) = tools::book_npm() {
            link(packages, "node_modules");
        }
        let told = |text: &str| self.told(text, &key);
        let tried = Tried::prepare(blocks, |program| self.has(program), told);
        let script = clone.join("page.sh");
        fs::write(&script, &tried.script).unwrap();
        let mut bash = Command::new("bash");
        clear_environment(&mut bash);
        bash.arg(&script)
            .current_dir(&clone)
            .env("HOME", &home)
            .env("PATH", &self.path)
            .env("PYTHONPATH", tools::book_packages())
            .env("PYTHONDONTWRITEBYTECODE", "1")
            // Terraform asks nobody whether there is a newer one.
            .env("CHECKPOINT_DISABLE", "1");
        tried.judge(&run(&mut bash, PAGE_WITHIN)).map(|()| tried)
    }
}

#[test]
fn every_block_of_commands_says_how_it_is_tried_and_few_are_not() {
    let mut skipped = Vec::new();
    for page in book::pages() {
        for block in blocks(&page) {
            if let Kind::Skip { reason } = block.kind {
                skipped.push(format!("{}:{}: {reason}", page.display(), block.line));
            }
        }
    }
    assert!(
        skipped.len() <= MOST_SKIPPED,
        "{} blocks are skipped:\n{}",
        skipped.len(),
        skipped.join("\n")
    );
}

#[test]
fn every_link_and_its_heading_are_there() {
    let mut wrong = Vec::new();
    for page in book::all_markdown() {
        let text = fs::read_to_string(tools::of_the_project(&page.to_string_lossy())).unwrap();
        wrong.extend(book::broken(&page, &text));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// `mdbook build` leaves out what its table of contents does not name.
#[test]
fn every_page_of_docs_is_in_the_table_of_contents_once() {
    let summary = fs::read_to_string(tools::of_the_project("docs/SUMMARY.md")).unwrap();
    for page in book::pages() {
        let Ok(name) = page.strip_prefix("docs") else {
            continue;
        };
        if name == Path::new("SUMMARY.md") {
            continue;
        }
        let link = format!("]({})", name.display());
        assert_eq!(summary.matches(&link).count(), 1, "{}", page.display());
    }
}

#[test]
fn a_link_to_nothing_is_found() {
    let page = Path::new("docs/README.md");
    let wrong = |text: &str| book::broken(page, text);
    assert_eq!(
        wrong("[a](API.md#tokens) [b](../README.md) [c](https://x.example/#y)"),
        Vec::<String>::new()
    );
    assert_eq!(
        wrong("[a](NOTHING.md)"),
        ["docs/README.md:1: there is no NOTHING.md"]
    );
    assert_eq!(wrong("\n[a](API.md#nothing)").len(), 1);
    assert_eq!(wrong("[a](#here)\n\n## Here"), Vec::<String>::new());
    assert_eq!(
        wrong("```text\n[a](NOTHING.md)\n```\n`[a](NOTHING.md)`"),
        Vec::<String>::new()
    );
}

#[test]
fn a_block_that_does_not_say_how_it_is_tried_is_refused() {
    let read = |info: &str| book::read(&format!("```{info}\ntrue\n```\n"));
    for info in [
        "sh",
        "",
        "bash",
        "console",
        "sh tested",
        "sh skip=",
        "sh needs=",
        "text output",
    ] {
        assert!(read(info).is_err(), "`{info}` passes");
    }
    for info in [
        "sh test",
        "sh test fails",
        "sh skip=needs a cluster",
        "sh needs=node",
        "text",
        "toml file=a.toml",
    ] {
        assert!(read(info).is_ok(), "`{info}` is refused");
    }
    assert!(book::read("```sh test\ntrue\n").is_err(), "it has no end");
}

#[test]
fn output_is_what_the_page_shows_but_for_what_is_left_out() {
    assert!(shows("a …c\n…\nz", "a b c\n1\n2\nz\n"));
    assert!(shows("a\n…", "a"));
    assert!(!shows("a\nb", "a"));
    assert!(!shows("a", "a\nb"));
    assert!(!shows("a … c", "a b d"));
}

/// A failure, another output, and what should fail and does not, are all seen; the way they are written here passes.
#[test]
fn what_a_page_gets_wrong_is_found() {
    let judge = |page: &str| {
        let blocks = book::read(page).unwrap();
        let tried = Tried::prepare(&blocks, |_| false, str::to_owned);
        let mut bash = Command::new("bash");
        clear_environment(&mut bash);
        bash.args(["-c", &tried.script]);
        let folder = tempfile::tempdir().unwrap();
        bash.current_dir(folder.path());
        tried
            .judge(&run(&mut bash, Duration::from_secs(10)))
            .map(|()| tried.skipped.len())
    };
    let block = |info: &str, text: &str| format!("```{info}\n{text}\n```\n");
    let echo = block("sh test", "A=1\necho one$A");
    assert_eq!(
        judge(&(echo.clone() + &block("text output", "one1"))),
        Ok(0)
    );
    assert!(judge(&(echo.clone() + &block("text output", "two"))).is_err());
    assert_eq!(judge(&(echo + &block("sh test", "test $A = 1"))), Ok(0));
    let failed = judge(&block("sh test", "false\ntrue")).unwrap_err();
    assert!(failed.starts_with("1: it failed"), "{failed}");
    assert_eq!(judge(&block("sh test fails", "false\ntrue")), Ok(0));
    assert!(judge(&block("sh test fails", "true")).is_err());
    assert_eq!(judge(&block("sh needs=nothing", "false")), Ok(1));
    assert_eq!(judge(&block("sh skip=needs a cluster", "false")), Ok(1));
    let file = block("toml file=a/b.toml", "x = '$A'") + &block("sh test", "cat a/b.toml");
    assert_eq!(judge(&(file + &block("text output", "x = '$A'"))), Ok(0));
}
