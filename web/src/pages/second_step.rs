//! `/account/second-step`: sets codes up as the second step of the log-in, and turns them off.
//! The secret is in the page alone until a code has shown that the app has it.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use controlplane::accounts::{self, TotpSetup};
use qrcodegen::{QrCode, QrCodeEcc};

use crate::App;
use crate::errors::FormErrors;
use crate::failure::{Failure, page};
use crate::forgery::{MemberForm, text_fields};
use crate::pages::forms::{Field, MemberPage, Words};
use crate::pages::recovery_codes;
use crate::pages::{Here, Shell};
use crate::session::Member;

#[derive(Template)]
#[template(path = "pages/second_step.html")]
struct SecondStepPage<'a> {
    shell: Shell<'a>,
    qr: Qr,
    secret: &'a str,
    sealed: &'a str,
    code: Field,
    password: Field,
    errors: FormErrors,
}

/// A QR code as one path of an SVG, a unit a module.
pub struct Qr {
    pub size: i32,
    pub path: String,
}

text_fields! {
    SetUpFields { sealed, code, password }
}

text_fields! {
    OffFields { password, code }
}

pub async fn show(State(app): State<App>, member: Member) -> Result<Response, Failure> {
    let mut tx = member.begin(&app).await?;
    let there = accounts::second_step(&mut tx, &member.session).await?;
    tx.commit().await?;
    if there.is_some_and(|step| step.app_since.is_some()) {
        return Ok(Redirect::to("/account").into_response());
    }
    let setup = accounts::begin_totp(&app.cp, &member.session)?;
    form(&member, &setup, FormErrors::default())
}

pub async fn submit(
    State(app): State<App>,
    MemberForm { member, fields }: MemberForm<SetUpFields>,
) -> Result<Response, Failure> {
    let SetUpFields {
        sealed,
        code,
        password,
        ..
    } = &fields;
    let (session, origin) = (&member.session, &member.origin);
    match accounts::enable_totp(&app.cp, session, sealed, code, password, origin).await {
        Ok(codes) => recovery_codes::page_of(&member, "Two-step log-in is on", &codes),
        Err(error) => {
            let status = error.status();
            let errors = FormErrors::explain(error, &["code", "password"])?;
            let setup = accounts::resume_totp(&app.cp, session, sealed)?;
            Ok((status, form(&member, &setup, errors)?).into_response())
        }
    }
}

pub async fn show_off(member: Member) -> Result<Response, Failure> {
    off_form(&member, FormErrors::default())
}

pub async fn off(
    State(app): State<App>,
    MemberForm { member, fields }: MemberForm<OffFields>,
) -> Result<Response, Failure> {
    let (session, origin) = (&member.session, &member.origin);
    let (password, code) = (&fields.password, fields.code.trim());
    match accounts::disable_totp(&app.cp, session, password, code, origin).await {
        Ok(()) => Ok(Redirect::to("/account?notice=second-step-off").into_response()),
        Err(error) => {
            let status = error.status();
            let errors = FormErrors::explain(error, &["code", "password"])?;
            Ok((status, off_form(&member, errors)?).into_response())
        }
    }
}

fn off_form(member: &Member, errors: FormErrors) -> Result<Response, Failure> {
    let words = Words {
        title: "Turn codes of an app off",
        lead: "Your log-in asks for no code any more. Without passkeys your password alone opens it, and your recovery codes end.",
        action: "/account/second-step/off",
        submit: "Turn it off",
    };
    let fields = vec![
        Field::present_password("Your password"),
        Field::code("From your app, or a recovery code."),
    ];
    let mut page = MemberPage::of_account(member, words, fields);
    page.danger = true;
    page.errors = errors;
    page.show()
}

fn form(member: &Member, setup: &TotpSetup, errors: FormErrors) -> Result<Response, Failure> {
    page(&SecondStepPage {
        shell: Shell::new(&member.session, Here::Account),
        qr: qr(&setup.uri),
        secret: &setup.secret,
        sealed: &setup.sealed,
        code: Field::code("The six digits that the app shows now."),
        password: Field::present_password("Your password"),
        errors,
    })
}

/// Nothing to scan where the text is too long for any code: the secret stands beside it.
pub fn qr(text: &str) -> Qr {
    let mut qr = Qr {
        size: 0,
        path: String::new(),
    };
    let Ok(code) = QrCode::encode_text(text, QrCodeEcc::Medium) else {
        return qr;
    };
    qr.size = code.size();
    for y in 0..qr.size {
        let mut x = 0;
        while x < qr.size {
            let start = x;
            while x < qr.size && code.get_module(x, y) {
                x += 1;
            }
            match x - start {
                0 => x += 1,
                run => qr.path.push_str(&format!("M{start} {y}h{run}v1H{start}z")),
            }
        }
    }
    qr
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dark_module_is_in_the_path_once() {
        let text = "otpauth://totp/Vaultaire:a@b.example?secret=ABCDEFGH&issuer=Vaultaire";
        let code = QrCode::encode_text(text, QrCodeEcc::Medium).expect("it fits");
        let all = (0..code.size()).flat_map(|y| (0..code.size()).map(move |x| (x, y)));
        let dark = all.filter(|(x, y)| code.get_module(*x, *y)).count();
        let path = qr(text).path;
        let runs = path
            .split('h')
            .skip(1)
            .filter_map(|rest| rest.split('v').next());
        let covered: usize = runs.filter_map(|run| run.parse::<usize>().ok()).sum();
        assert_eq!(covered, dark);
    }
}
