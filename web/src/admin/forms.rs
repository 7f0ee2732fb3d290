//! The operators' forms of a few text fields, as `pages::forms` has them for members.

use askama::Template;
use axum::response::Response;

use super::frame::Frame;
use crate::errors::FormErrors;
use crate::failure::{Failure, page};
use crate::pages::forms::{Field, Words};

/// A form on a page of its own.
#[derive(Template)]
#[template(path = "admin/form.html")]
pub struct FormPage<'a> {
    pub frame: Frame<'a>,
    /// Address and words of the page above.
    pub above: (&'a str, &'a str),
    pub words: Words<'a>,
    pub danger: bool,
    pub hidden: Vec<(&'a str, &'a str)>,
    pub fields: Vec<Field>,
    pub errors: FormErrors,
}

impl FormPage<'_> {
    pub fn show(&self) -> Result<Response, Failure> {
        page(self)
    }
}
