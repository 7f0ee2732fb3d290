//! What a member may do: one table, asked by the pages' route table and by whoever changes something.
//! A role or an act that is not here may nothing.

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    Owner,
    Admin,
    Developer,
    Billing,
    ReadOnly,
}

/// What somebody wants to do to their tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// See the pages: buckets, keys without their secrets, usage, members.
    View,
    /// One's own log-in: password, address, second step, sessions; and leaving.
    OwnLogIn,
    ManageAccessKeys,
    ManageBuckets,
    ManageBilling,
    ManageMembers,
    TransferOwnership,
    /// With everything in it, and before that to take all of it along.
    DeleteAccount,
}

impl Role {
    pub const ALL: [Self; 5] = [
        Self::Owner,
        Self::Admin,
        Self::Developer,
        Self::Billing,
        Self::ReadOnly,
    ];

    /// `None` for a role that this release does not know; its bearer may do nothing.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Admin => "admin",
            Self::Developer => "developer",
            Self::Billing => "billing",
            Self::ReadOnly => "read_only",
        }
    }

    /// As people read it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Admin => "admin",
            Self::Developer => "developer",
            Self::Billing => "billing",
            Self::ReadOnly => "read-only",
        }
    }
}

impl Act {
    pub const ALL: [Self; 8] = [
        Self::View,
        Self::OwnLogIn,
        Self::ManageAccessKeys,
        Self::ManageBuckets,
        Self::ManageBilling,
        Self::ManageMembers,
        Self::TransferOwnership,
        Self::DeleteAccount,
    ];
}

pub fn may(role: Role, act: Act) -> bool {
    use Role::{Admin, Billing, Developer, Owner};
    match act {
        Act::View | Act::OwnLogIn => true,
        Act::ManageAccessKeys | Act::ManageBuckets => matches!(role, Owner | Admin | Developer),
        Act::ManageBilling => matches!(role, Owner | Admin | Billing),
        Act::ManageMembers => matches!(role, Owner | Admin),
        Act::TransferOwnership | Act::DeleteAccount => role == Owner,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table as it is told to customers; a change of it is a change of the promise.
    #[test]
    fn the_table_is_the_promised_one() {
        let rows = Role::ALL.map(|role| {
            let marks = Act::ALL.map(|act| if may(role, act) { 'x' } else { '.' });
            format!("{} {}", String::from_iter(marks), role.as_str())
        });
        let promised = [
            "xxxxxxxx owner",
            "xxxxxx.. admin",
            "xxxx.... developer",
            "xx..x... billing",
            "xx...... read_only",
        ];
        assert_eq!(rows, promised);
    }

    #[test]
    fn a_role_is_read_back_and_an_unknown_one_is_none() {
        for role in Role::ALL {
            assert_eq!(Role::parse(role.as_str()), Some(role));
        }
        assert_eq!(Role::parse("root"), None);
        assert_eq!(Role::parse("Owner"), None);
    }
}
