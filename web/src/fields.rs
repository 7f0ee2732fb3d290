//! A form as the names and values that were sent, for pages whose forms are small and many.
//! A field that was not sent reads as empty.

use serde::Deserialize;

use crate::forgery::Fields;

#[derive(Debug, Default, Deserialize)]
#[serde(transparent)]
pub struct Pairs(Vec<(String, String)>);

impl Pairs {
    pub fn get(&self, name: &str) -> &str {
        let pair = self.0.iter().find(|(given, _)| given == name);
        pair.map_or("", |(_, value)| value)
    }

    pub fn is_set(&self, name: &str) -> bool {
        !self.get(name).is_empty()
    }

    /// Whether one of the values of that name is this one.
    pub fn has(&self, name: &str, value: &str) -> bool {
        self.0.iter().any(|(n, v)| n == name && v == value)
    }

    /// Every value of that name, in order.
    pub fn all(&self, name: &str) -> Vec<String> {
        let named = self.0.iter().filter(|(given, _)| given == name);
        named.map(|(_, value)| value.clone()).collect()
    }

    /// Words that commas, blanks or line ends part.
    pub fn words(&self, name: &str) -> Vec<String> {
        let parts = self.get(name).split([',', ' ', '\n', '\r', '\t']);
        parts
            .filter(|part| !part.is_empty())
            .map(str::to_owned)
            .collect()
    }
}

impl Fields for Pairs {
    fn csrf_token(&self) -> &str {
        self.get("csrf_token")
    }
}

/// What somebody looks for: trimmed, and without control characters, which no name or id has.
pub fn term(text: &str) -> String {
    text.trim()
        .chars()
        .filter(|letter| !letter.is_control())
        .collect()
}

/// A value as it may stand in an address's query.
pub fn encode(value: &str) -> String {
    percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_by_name() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let sent = Pairs(vec![
            pair("key", "a"),
            pair("key", "b"),
            pair("list", "x, y\r\nz"),
        ]);
        assert_eq!(sent.get("key"), "a");
        assert_eq!(sent.all("key"), ["a", "b"]);
        assert_eq!(sent.words("list"), ["x", "y", "z"]);
        assert_eq!(sent.get("other"), "");
        assert!(sent.has("key", "b") && !sent.has("key", "c"));
        assert_eq!(encode("a/b&c=ü"), "a%2Fb%26c%3D%C3%BC");
    }

    #[test]
    fn what_is_looked_for_has_no_control_characters() {
        assert_eq!(term(" a\0b \n"), "ab");
        assert_eq!(term("\tphotos "), "photos");
    }
}
