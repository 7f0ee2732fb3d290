//! The pages, one to a file, and what the signed-in ones have in common.

pub mod access_keys;
pub mod account;
pub mod api_tokens;
pub mod audit_log;
pub mod billing;
pub mod buckets;
pub mod change_email;
pub mod change_password;
pub mod confirm_signup;
pub mod connect;
pub mod create_access_key;
pub mod dashboard;
pub mod delete_account;
pub mod dismiss_notice;
pub mod email_links;
pub mod forgot_password;
pub mod forms;
pub mod invitation;
pub mod landing;
pub mod login;
pub mod login_code;
pub mod login_passkey;
pub mod logout;
pub mod member;
pub mod members;
pub mod passkeys;
pub mod recovery_codes;
pub mod refusal;
pub mod refusals;
pub mod reset_password;
pub mod revoke_access_key;
pub mod rotate_access_key;
pub mod second_step;
pub mod settings;
pub mod signup;
pub mod theme;
pub mod usage;

use controlplane::accounts::Session;
use controlplane::operators::Looking;

use crate::figures::Moment;

/// The frame around every signed-in page.
pub struct Shell<'a> {
    pub company: &'a str,
    pub email: &'a str,
    pub csrf_token: &'a str,
    pub here: Here,
    /// An operator looks at the page.
    pub looking: Option<&'a Looking>,
}

/// The entry of the navigation that is marked as the current one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Here {
    Overview,
    Buckets,
    AccessKeys,
    Usage,
    Refusals,
    Members,
    Account,
    Connect,
    AuditLog,
    ApiTokens,
    Settings,
    Billing,
}

impl<'a> Shell<'a> {
    pub fn new(session: &'a Session, here: Here) -> Self {
        Self {
            company: &session.company,
            email: &session.email,
            csrf_token: &session.csrf_token,
            here,
            looking: session.looking.as_ref(),
        }
    }

    /// Until when, for the banner.
    pub fn until(looking: &Looking) -> Moment {
        Moment(looking.until)
    }
}
