//! The mails that there are; each is a folder in `templates/emails` with its subject, its text and its HTML.
//! A new one needs a line here and the three files.

use askama::Template;

use super::{Content, Letter};

macro_rules! letters {
    ($(
        $(#[$doc:meta])*
        $name:ident $kind:literal [$subject:tt $text:tt $html:tt] { $($field:ident),* } $(-> $link:ident)?
    )*) => {$(
        $(#[$doc])*
        pub(crate) struct $name<'a> {
            $(pub $field: &'a str,)*
        }

        impl Letter for $name<'_> {
            const KIND: &'static str = $kind;

            // Not every field stands in every part.
            #[allow(dead_code)]
            fn write(&self) -> Result<Content, askama::Error> {
                #[derive(Template)]
                #[template(path = $subject)]
                struct Subject<'a> { $($field: &'a str,)* }
                #[derive(Template)]
                #[template(path = $text)]
                struct Text<'a> { $($field: &'a str,)* }
                #[derive(Template)]
                #[template(path = $html)]
                struct Html<'a> { $($field: &'a str,)* }
                let subject = Subject { $($field: self.$field,)* }.render()?;
                let link: Option<&str> = None;
                $(let link = link.or(Some(self.$link));)?
                Ok(Content {
                    // One line, whatever a company calls itself.
                    subject: subject.split_whitespace().collect::<Vec<_>>().join(" "),
                    text: Text { $($field: self.$field,)* }.render()?,
                    html: Html { $($field: self.$field,)* }.render()?,
                    link: link.map(str::to_owned),
                })
            }
        }
    )*};
}

letters! {
    /// To who signs up.
    ConfirmSignUp "confirm_sign_up"
        ["emails/confirm_sign_up/subject.txt" "emails/confirm_sign_up/body.txt" "emails/confirm_sign_up/body.html"]
        { link } -> link
    /// To who has an account and signs up all the same.
    AlreadyRegistered "already_registered"
        ["emails/already_registered/subject.txt" "emails/already_registered/body.txt" "emails/already_registered/body.html"]
        { log_in, reset }
    ResetPassword "reset_password"
        ["emails/reset_password/subject.txt" "emails/reset_password/body.txt" "emails/reset_password/body.html"]
        { link } -> link
    PasswordChanged "password_changed"
        ["emails/password_changed/subject.txt" "emails/password_changed/body.txt" "emails/password_changed/body.html"]
        { when, from, reset }
    /// To the new address.
    ConfirmEmail "confirm_email"
        ["emails/confirm_email/subject.txt" "emails/confirm_email/body.txt" "emails/confirm_email/body.html"]
        { old, link } -> link
    /// To the old address.
    EmailChanged "email_changed"
        ["emails/email_changed/subject.txt" "emails/email_changed/body.txt" "emails/email_changed/body.html"]
        { new, when, link } -> link
    /// To the address that holds again.
    EmailChangeUndone "email_change_undone"
        ["emails/email_change_undone/subject.txt" "emails/email_change_undone/body.txt" "emails/email_change_undone/body.html"]
        { link } -> link
    Invitation "invitation"
        ["emails/invitation/subject.txt" "emails/invitation/body.txt" "emails/invitation/body.html"]
        { company, by, role, link } -> link
    /// To who is invited and has an account with a company already.
    InvitationElsewhere "invitation_elsewhere"
        ["emails/invitation_elsewhere/subject.txt" "emails/invitation_elsewhere/body.txt" "emails/invitation_elsewhere/body.html"]
        { company, by }
    SecondStepChanged "second_step_changed"
        ["emails/second_step_changed/subject.txt" "emails/second_step_changed/body.txt" "emails/second_step_changed/body.html"]
        { what, when, from, reset }
    /// To whose passkey was used behind its counter.
    PasskeyCopied "passkey_copied"
        ["emails/passkey_copied/subject.txt" "emails/passkey_copied/body.txt" "emails/passkey_copied/body.html"]
        { name, when, from, account }
    /// To everybody of a team whose account is deleted.
    AccountDeleted "account_deleted"
        ["emails/account_deleted/subject.txt" "emails/account_deleted/body.txt" "emails/account_deleted/body.html"]
        { company, by, when, until, account_id }
    OwnershipTransferred "ownership_transferred"
        ["emails/ownership_transferred/subject.txt" "emails/ownership_transferred/body.txt" "emails/ownership_transferred/body.html"]
        { company, old, new, when }
    /// Where a tenant stands with paying has changed.
    BillingStanding "billing_standing"
        ["emails/billing_standing/subject.txt" "emails/billing_standing/body.txt" "emails/billing_standing/body.html"]
        { company, headline, detail, next, link } -> link
    UsageAlert "usage_alert"
        ["emails/usage_alert/subject.txt" "emails/usage_alert/body.txt" "emails/usage_alert/body.html"]
        { company, percent, what, used, of, end, link } -> link
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_typed_is_escaped_in_html_and_cannot_break_a_subject() {
        let letter = Invitation {
            company: "<b>Acme\r\nBcc: eve@example.com",
            by: "ann@example.com",
            role: "developer",
            link: "https://storage.example/invitation?token=t0",
        };
        let written = letter.write().unwrap();
        assert!(!written.subject.contains(['\r', '\n']));
        assert!(written.html.contains("&#60;b&#62;Acme") && !written.html.contains("<b>Acme"));
        assert!(written.text.contains("<b>Acme"));
        for body in [&written.text, &written.html] {
            assert!(body.contains(letter.link), "{body}");
        }
        assert_eq!(written.link.as_deref(), Some(letter.link));
    }
}
