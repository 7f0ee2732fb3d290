//! The list of routes that is committed: a new one is announced by its change, and `e2e` visits each that is a page.

/// `UPDATE_ROUTES=1 scripts/with-postgres cargo test -p web routes` writes it anew.
#[test]
fn the_list_of_routes_is_the_committed_one() {
    let mut table = "# Routes of the dashboard and the operators' area\n\nMade from `web/src/lib.rs`; a test holds the two together. `e2e` looks at each of them in a \
                     browser.\n\n| route | to see | to change |\n| --- | --- | --- |\n"
        .to_owned();
    for (path, access) in web::route_table() {
        let (see, change) = match access {
            web::Access::Public => ("anybody".to_owned(), "anybody".to_owned()),
            web::Access::Operator => ("an operator".to_owned(), "an operator".to_owned()),
            web::Access::Member { see, change } => (format!("{see:?}"), format!("{change:?}")),
        };
        table.push_str(&format!("| `{path}` | {see} | {change} |\n"));
    }
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/routes.md");
    if std::env::var_os("UPDATE_ROUTES").is_some() {
        std::fs::write(file, &table).expect("the list can be written");
    }
    let committed = std::fs::read_to_string(file).unwrap_or_default();
    assert_eq!(table, committed, "UPDATE_ROUTES=1 writes it anew");
}
