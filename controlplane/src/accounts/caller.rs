//! Who asks for something of their tenant: a member with a session, or a program with a member's API token.
//! A token may what its scopes name and the member's role allows at that moment, and never more.

use crate::Actor;
use crate::accounts::{Act, Role, Session, may};
use crate::api_tokens::{Bearer, TokenScope};
use crate::ids::{MemberId, TenantId};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    pub tenant_id: TenantId,
    pub member_id: MemberId,
    pub email: String,
    pub company: String,
    pub role: Role,
    /// None: a session, which may all that the role allows.
    pub token: Option<Bearer>,
}

impl Caller {
    pub fn may(&self, act: Act) -> bool {
        let named = |token: &Bearer| token.scopes.iter().any(|scope| scope.act() == act);
        may(self.role, act) && self.token.as_ref().is_none_or(named)
    }

    /// The scopes that count at this moment: those that the role allows.
    pub fn scopes(&self) -> Vec<TokenScope> {
        let all = TokenScope::ALL.into_iter();
        all.filter(|scope| self.may(scope.act())).collect()
    }

    /// In whose name a transaction acts.
    pub fn actor(&self) -> Actor {
        match &self.token {
            Some(token) => Actor::ApiToken {
                id: token.id,
                name: token.name.clone(),
                email: self.email.clone(),
            },
            None => Actor::Member {
                id: self.member_id,
                email: self.email.clone(),
            },
        }
    }
}

impl From<&Session> for Caller {
    fn from(session: &Session) -> Self {
        Self {
            tenant_id: session.tenant_id,
            member_id: session.member_id,
            email: session.email.clone(),
            company: session.company.clone(),
            role: session.role,
            token: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ApiTokenId;
    use chrono::DateTime;

    fn caller(role: Role, scopes: Option<&[TokenScope]>) -> Caller {
        Caller {
            tenant_id: TenantId::random(),
            member_id: MemberId::random(),
            email: "ann@example.com".to_owned(),
            company: "Acme".to_owned(),
            role,
            token: scopes.map(|scopes| Bearer {
                id: ApiTokenId::random(),
                name: "deploy".to_owned(),
                scopes: scopes.to_vec(),
                expires_at: DateTime::UNIX_EPOCH,
                hash: [0; 32],
            }),
        }
    }

    #[test]
    fn a_token_may_what_both_its_scopes_and_the_role_allow() {
        for role in Role::ALL {
            for act in Act::ALL {
                let all = caller(role, Some(&TokenScope::ALL));
                let named = TokenScope::ALL.iter().any(|scope| scope.act() == act);
                assert_eq!(all.may(act), named && may(role, act), "{role:?} {act:?}");
                assert!(!caller(role, Some(&[])).may(act));
                assert_eq!(caller(role, None).may(act), may(role, act));
            }
        }
        let keys = caller(Role::Owner, Some(&[TokenScope::AccessKeys]));
        assert_eq!(keys.scopes(), [TokenScope::AccessKeys]);
        assert!(
            caller(Role::Billing, Some(&[TokenScope::AccessKeys]))
                .scopes()
                .is_empty()
        );
        // Handing the account over asks for a password.
        assert!(!caller(Role::Owner, Some(&TokenScope::ALL)).may(Act::TransferOwnership));
    }
}
