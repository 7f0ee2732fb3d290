//! What an attacker sends to the dashboard, row by row: each is refused, says no more than it must, changes nothing, and
//! beside it stands what is allowed. Rows up to 15 are those that the project began with; some of them are tried where
//! the rule is kept, in `controlplane/tests`, under the same numbers: `cargo test -- row_03` finds them in both.

mod access;
mod forgery;
mod guesses;
mod headers;
mod impersonation;
mod links;
mod operators;
mod secrets;
mod sessions;

const LAST_ROW: u32 = 22;

#[test]
fn every_row_is_tried() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let mut tried = std::collections::BTreeSet::new();
    for folder in [
        "web/tests/pages/hostile",
        "controlplane/tests",
        "controlplane/src/passwords",
    ] {
        let files = std::fs::read_dir(format!("{root}/{folder}")).expect("a folder");
        for file in files.filter_map(|file| Some(file.ok()?.path())) {
            let text = std::fs::read_to_string(&file).unwrap_or_default();
            let rows = text.split("fn row_").skip(1);
            tried.extend(rows.filter_map(|rest| rest.get(..2)?.parse::<u32>().ok()));
        }
    }
    let missing: Vec<u32> = (1..=LAST_ROW).filter(|row| !tried.contains(row)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
