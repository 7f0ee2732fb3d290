//! JSON as people read it: aligned columns, or one field on a line.
//! It shows what is there; a field that is missing is a dash.

use serde_json::Value;

/// A column `a.b` is the field `b` of the object `a`, under the heading B.
pub fn rows(rows: &Value, columns: &[&str]) -> String {
    let empty = vec![];
    let rows = rows.as_array().unwrap_or(&empty);
    let heading = |name: &&str| {
        let last = name.rsplit('.').next().unwrap_or(name);
        last.to_uppercase().replace('_', " ")
    };
    let mut lines: Vec<Vec<String>> = vec![columns.iter().map(heading).collect()];
    for row in rows {
        let field = |name: &&str| cell(name.split('.').fold(row, |value, part| &value[part]));
        lines.push(columns.iter().map(field).collect());
    }
    align(&lines)
}

pub fn fields(value: &Value) -> String {
    let Some(object) = value.as_object() else {
        return String::new();
    };
    let lines: Vec<Vec<String>> = object
        .iter()
        .map(|(name, value)| vec![name.replace('_', " "), cell(value)])
        .collect();
    align(&lines)
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        // What a customer chose as a name must not move the terminal's cursor.
        Value::String(text) if text.is_empty() => "-".to_owned(),
        Value::String(text) => text
            .chars()
            .map(|c| if c.is_control() { '\u{fffd}' } else { c })
            .collect(),
        Value::Array(values) if values.is_empty() => "-".to_owned(),
        Value::Array(values) => values.iter().map(cell).collect::<Vec<_>>().join(", "),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        other => other.to_string(),
    }
}

fn align(lines: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = Vec::new();
    for line in lines {
        widths.resize(widths.len().max(line.len()), 0);
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for line in lines {
        let padded: Vec<String> = line
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        text.push_str(padded.join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn columns_are_aligned_and_missing_fields_are_dashes() {
        let plans = json!([{"id": "trial", "price_cents": 0}, {"id": "business", "price_cents": 149_900, "more": 1}, {"id": "é\u{1b}["}]);
        assert_eq!(
            rows(&plans, &["id", "price_cents"]),
            "ID        PRICE CENTS\ntrial     0\nbusiness  149900\né\u{fffd}[       -\n"
        );
        assert_eq!(rows(&json!([]), &["id"]), "ID\n");
        let keys = json!([{"scope": {"permission": "read"}}, {}]);
        assert_eq!(rows(&keys, &["scope.permission"]), "PERMISSION\nread\n-\n");
    }

    #[test]
    fn one_object_is_a_line_for_each_field() {
        let tenant = json!({"id": "t1", "suspended": false, "buckets": ["a", "b"]});
        assert_eq!(
            fields(&tenant),
            "buckets    a, b\nid         t1\nsuspended  no\n"
        );
    }
}
