//! Lines of CSV (RFC 4180) that spreadsheets read and do not run.

/// Text, quoted, and never a formula: spreadsheets run what begins with one of these.
/// Source: <https://owasp.org/www-community/attacks/CSV_Injection>
pub fn cell(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let guard = if formula { "'" } else { "" };
    format!("\"{guard}{}\"", text.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_quoted_and_runs_nothing() {
        assert_eq!(cell("a,b \"c\"\nd"), "\"a,b \"\"c\"\"\nd\"");
        assert_eq!(cell("=1+1"), "\"'=1+1\"");
        assert_eq!(cell("a=1"), "\"a=1\"");
    }
}
