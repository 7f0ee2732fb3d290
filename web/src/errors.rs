//! What was wrong with a form: one sentence beside the field that it concerns, or above the form.
//! It decides nothing; rules live in `controlplane`.

use controlplane::Error;

use crate::failure::Failure;

#[derive(Debug, Default)]
pub struct FormErrors(Vec<(String, String)>);

impl FormErrors {
    pub fn on(field: &str, message: &str) -> Self {
        Self(vec![(field.to_owned(), message.to_owned())])
    }

    pub fn add(&mut self, field: &str, message: &str) {
        self.0.push((field.to_owned(), message.to_owned()));
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The error beside the field of that name.
    pub fn of(&self, field: &str) -> Option<&str> {
        let error = self.0.iter().find(|(name, _)| name == field);
        error.map(|(_, message)| message.as_str())
    }

    /// What concerns no single field.
    pub fn general(&self) -> Option<&str> {
        self.of("")
    }

    /// Whether the cursor belongs into that field: the first one with an error.
    pub fn starts_at(&self, field: &str) -> bool {
        self.0.first().is_some_and(|(name, _)| name == field)
    }

    /// Splits what the control plane refused into what a form can show and what it cannot.
    pub fn explain(error: Error, fields: &[&str]) -> Result<Self, Failure> {
        match &error {
            Error::Validation { .. } | Error::Conflict { .. } | Error::Unauthorized(_) => {}
            Error::TooManyRequests { .. } | Error::Forbidden(_) | Error::S3 { .. } => {}
            _ => return Err(error.into()),
        }
        let field = error.field().filter(|field| fields.contains(field));
        Ok(Self::on(field.unwrap_or_default(), &sentence(&error)))
    }
}

/// The message with a capital letter and a full stop.
fn sentence(error: &Error) -> String {
    let message = error.message();
    let mut letters = message.chars();
    let first = letters.next().map(|letter| letter.to_uppercase());
    let mut sentence: String = first.into_iter().flatten().chain(letters).collect();
    if !sentence.ends_with(['.', '!', '?']) {
        sentence.push('.');
    }
    sentence
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_stands_beside_its_field_and_elsewhere_above_the_form() {
        let fields = ["email"];
        let beside = FormErrors::explain(Error::validation("email", "no address"), &fields);
        assert_eq!(beside.expect("a form's").of("email"), Some("No address."));
        let above = FormErrors::explain(Error::validation("scope", "unknown."), &fields);
        assert_eq!(above.expect("a form's").general(), Some("Unknown."));
    }

    #[test]
    fn what_is_no_fault_of_the_form_is_a_page_of_its_own() {
        assert!(FormErrors::explain(Error::NotFound("tenant"), &[]).is_err());
    }
}
