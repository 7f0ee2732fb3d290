//! Forms of a few text fields, and pages of a few sentences: what most pages about log-ins are.
//! Each says what it asks for; how that looks is in two templates.

use std::path::Path;

use askama::Template;
use axum::response::{IntoResponse, Response};
use http::StatusCode;

use crate::App;
use crate::errors::FormErrors;
use crate::failure::{Failure, page};
use crate::forgery::VisitorToken;
use crate::pages::{Here, Shell};
use crate::session::Member;

/// The longest password that is read, in bytes.
const PASSWORD: &str = "1024";

/// A labelled text input.
#[derive(Clone)]
pub struct Field {
    pub kind: &'static str,
    pub name: &'static str,
    pub label: &'static str,
    pub value: String,
    /// <https://html.spec.whatwg.org/multipage/form-control-infrastructure.html#autofill>
    pub autocomplete: &'static str,
    pub maxlength: &'static str,
    pub hint: &'static str,
}

impl Field {
    pub fn email(label: &'static str, value: &str) -> Self {
        Self {
            kind: "email",
            name: "email",
            label,
            value: value.to_owned(),
            autocomplete: "username",
            maxlength: "254",
            hint: "",
        }
    }

    pub fn present_password(label: &'static str) -> Self {
        Self {
            kind: "password",
            name: "password",
            label,
            value: String::new(),
            autocomplete: "current-password",
            maxlength: PASSWORD,
            hint: "",
        }
    }

    pub fn new_password(name: &'static str, label: &'static str) -> Self {
        Self {
            name,
            autocomplete: "new-password",
            hint: "At least 8 characters. A few unrelated words do well.",
            ..Self::present_password(label)
        }
    }

    pub fn code(hint: &'static str) -> Self {
        Self {
            kind: "text",
            name: "code",
            label: "Code",
            value: String::new(),
            autocomplete: "one-time-code",
            maxlength: "32",
            hint,
        }
    }

    pub fn recovery_code() -> Self {
        Self {
            label: "Recovery code",
            autocomplete: "off",
            ..Self::code("Each of them works once.")
        }
    }
}

/// What a form's page says.
pub struct Words<'a> {
    pub title: &'a str,
    pub lead: &'a str,
    pub action: &'a str,
    pub submit: &'a str,
}

/// A form before there is a session.
#[derive(Template)]
#[template(path = "pages/visitor_form.html")]
pub struct VisitorPage<'a> {
    pub form_token: &'a str,
    pub words: Words<'a>,
    pub hidden: Vec<(&'static str, &'a str)>,
    pub fields: Vec<Field>,
    pub errors: FormErrors,
    /// A sentence in passing, such as that a password was changed.
    pub notice: &'a str,
}

impl<'a> VisitorPage<'a> {
    pub fn new(token: &'a VisitorToken, words: Words<'a>, fields: Vec<Field>) -> Self {
        Self {
            form_token: token.as_str(),
            words,
            hidden: Vec::new(),
            fields,
            errors: FormErrors::default(),
            notice: "",
        }
    }

    pub fn show(&self, app: &App, token: &VisitorToken) -> Result<Response, Failure> {
        Ok(token.attach(app, page(self)?))
    }
}

/// A few sentences without a form.
#[derive(Template)]
#[template(path = "pages/visitor_note.html")]
pub struct NotePage<'a> {
    pub title: &'a str,
    pub text: String,
    /// Where mail lies, if the page has caused one and none is sent.
    pub mail_folder: Option<&'a Path>,
    /// Address and words of what to do next.
    pub next: Option<(&'a str, &'a str)>,
    /// The link of a mail, shown where one person tries it out on their own machine.
    pub link: Option<&'a str>,
}

/// The link of a mail leads nowhere any more.
pub fn dead_link(what_to_do: &str, next: (&str, &str)) -> Result<Response, Failure> {
    let shown = page(&NotePage {
        title: "This link does not work any more",
        text: format!(
            "It was used already, is too old, or was replaced by a newer one. {what_to_do}"
        ),
        mail_folder: None,
        next: Some(next),
        link: None,
    })?;
    Ok((StatusCode::BAD_REQUEST, shown).into_response())
}

/// A form of a member's.
#[derive(Template)]
#[template(path = "pages/member_form.html")]
pub struct MemberPage<'a> {
    pub shell: Shell<'a>,
    /// Address and words of the page above.
    pub above: (&'a str, &'a str),
    pub words: Words<'a>,
    pub danger: bool,
    pub fields: Vec<Field>,
    pub errors: FormErrors,
    pub mail_folder: Option<&'a Path>,
}

impl<'a> MemberPage<'a> {
    pub fn of_account(member: &'a Member, words: Words<'a>, fields: Vec<Field>) -> Self {
        Self {
            shell: Shell::new(&member.session, Here::Account),
            above: ("/account", "Your log-in"),
            words,
            danger: false,
            fields,
            errors: FormErrors::default(),
            mail_folder: None,
        }
    }

    pub fn of_members(member: &'a Member, words: Words<'a>, fields: Vec<Field>) -> Self {
        Self {
            shell: Shell::new(&member.session, Here::Members),
            above: ("/members", "Members"),
            ..Self::of_account(member, words, fields)
        }
    }

    pub fn show(&self) -> Result<Response, Failure> {
        page(self)
    }
}
