//! The pages, one to a file, and what the signed-in ones have in common.

pub mod access_keys;
pub mod create_access_key;
pub mod dashboard;
pub mod landing;
pub mod login;
pub mod logout;
pub mod revoke_access_key;
pub mod signup;

use controlplane::accounts::Session;

/// The frame around every signed-in page.
pub struct Shell<'a> {
    pub company: &'a str,
    pub email: &'a str,
    pub csrf_token: &'a str,
    pub here: Here,
}

/// The entry of the navigation that is marked as the current one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Here {
    Overview,
    AccessKeys,
}

impl<'a> Shell<'a> {
    pub fn new(session: &'a Session, here: Here) -> Self {
        Self {
            company: &session.company,
            email: &session.email,
            csrf_token: &session.csrf_token,
            here,
        }
    }
}
