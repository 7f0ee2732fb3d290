//! The table of how long it took until all was well again, by kind of fault. Two faults at once are a kind of their own.

use std::collections::BTreeMap;
use std::time::Duration;

#[derive(Default)]
pub struct Healed(BTreeMap<String, Vec<Duration>>);

impl Healed {
    pub fn add(&mut self, kind: String, took: Duration) {
        self.0.entry(kind).or_default().push(took);
    }

    /// In Markdown.
    pub fn table(&self) -> String {
        let mut text =
            "| fault | times | median, s | longest, s |\n| --- | ---: | ---: | ---: |\n".to_owned();
        for (kind, times) in &self.0 {
            let mut times = times.clone();
            times.sort();
            let median = times[times.len() / 2].as_secs_f64();
            let longest = times[times.len() - 1].as_secs_f64();
            let count = times.len();
            text += &format!("| {kind} | {count} | {median:.1} | {longest:.1} |\n");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_a_row_for_each_kind() {
        let mut healed = Healed::default();
        for seconds in [3, 1, 2] {
            healed.add("kill-node".to_owned(), Duration::from_secs(seconds));
        }
        healed.add("cut-push".to_owned(), Duration::from_millis(400));
        let table = healed.table();
        assert!(table.contains("| kill-node | 3 | 2.0 | 3.0 |"), "{table}");
        assert!(table.contains("| cut-push | 1 | 0.4 | 0.4 |"), "{table}");
    }
}
