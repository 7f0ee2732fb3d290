//! In which order tables are filled: what a row refers to is there before it.

use std::collections::HashSet;

use anyhow::bail;

use crate::db::backup::Table;

/// Those that nothing is missing for first, and otherwise as given.
pub(super) fn sorted(
    mut tables: Vec<Table>,
    references: &[(String, String)],
) -> anyhow::Result<Vec<Table>> {
    let mut sorted: Vec<Table> = Vec::with_capacity(tables.len());
    while !tables.is_empty() {
        let waiting: HashSet<&str> = tables.iter().map(|t| t.name.as_str()).collect();
        let free = tables.iter().position(|table| {
            let mut of = references.iter().filter(|(from, _)| *from == table.name);
            of.all(|(_, to)| !waiting.contains(to.as_str()))
        });
        match free {
            Some(at) => sorted.push(tables.remove(at)),
            None => bail!("the tables {waiting:?} refer to each other in a circle"),
        }
    }
    Ok(sorted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(name: &str) -> Table {
        Table {
            name: name.to_owned(),
            quoted: name.to_owned(),
            columns: Vec::new(),
            guarded: false,
            open_to_system: true,
        }
    }

    fn order(references: &[(&str, &str)]) -> anyhow::Result<Vec<String>> {
        let references: Vec<(String, String)> = references
            .iter()
            .map(|(from, to)| ((*from).to_owned(), (*to).to_owned()))
            .collect();
        let tables = ["a", "b", "c"].map(table).to_vec();
        Ok(sorted(tables, &references)?
            .into_iter()
            .map(|table| table.name)
            .collect())
    }

    #[test]
    fn what_is_referred_to_comes_first_and_a_circle_is_refused() {
        assert_eq!(order(&[]).unwrap(), ["a", "b", "c"]);
        assert_eq!(order(&[("a", "c"), ("c", "b")]).unwrap(), ["b", "c", "a"]);
        assert!(order(&[("a", "b"), ("b", "a")]).is_err());
    }
}
