//! A database transaction under one of the two roles, and in whose name it acts.
//! Dropped without [`Tx::commit`] it leaves nothing behind.

use std::net::IpAddr;

use sqlx::{PgConnection, Postgres, Transaction};

use crate::Error;
use crate::ids::{ApiTokenId, MemberId, NodeId, OperatorId, TenantId};

/// Whoever asks for a change; the audit log keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Actor {
    /// The control plane itself.
    #[default]
    System,
    /// The bearer of the admin token.
    Operator,
    /// An operator who has logged in.
    NamedOperator {
        id: OperatorId,
        email: String,
    },
    Member {
        id: MemberId,
        email: String,
    },
    /// A program, with a member's API token.
    ApiToken {
        id: ApiTokenId,
        name: String,
        /// The member's address.
        email: String,
    },
    /// An S3 client, by its access key, through a node.
    AccessKey {
        access_key_id: String,
        node: NodeId,
    },
    Node(NodeId),
}

impl Actor {
    /// As people read it: an email address, an access key id, `operator`, …
    pub fn label(&self) -> String {
        match self {
            Self::System => "system".to_owned(),
            Self::Operator => "operator".to_owned(),
            Self::NamedOperator { email, .. } => format!("operator {email}"),
            Self::Member { email, .. } => email.clone(),
            Self::ApiToken { name, email, .. } => format!("{email} (API token {name})"),
            Self::AccessKey { access_key_id, .. } => access_key_id.clone(),
            Self::Node(node) => format!("node {node}"),
        }
    }

    pub fn is_operator(&self) -> bool {
        matches!(self, Self::Operator | Self::NamedOperator { .. })
    }

    /// As the operators' own audit log names it.
    pub(crate) fn among_operators(&self) -> String {
        match self {
            Self::Operator => "admin token".to_owned(),
            Self::NamedOperator { email, .. } => email.clone(),
            other => other.label(),
        }
    }
}

/// Where a request came from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Origin {
    pub address: Option<IpAddr>,
    pub user_agent: Option<String>,
    pub request_id: Option<String>,
}

pub struct Tx {
    inner: Transaction<'static, Postgres>,
    tenant: Option<TenantId>,
    pub(crate) actor: Actor,
    pub(crate) origin: Origin,
}

impl Tx {
    pub(crate) fn new(inner: Transaction<'static, Postgres>, tenant: Option<TenantId>) -> Self {
        Self {
            inner,
            tenant,
            actor: Actor::System,
            origin: Origin::default(),
        }
    }

    /// Says in whose name the rest of the transaction acts, for the audit log and `created_by`.
    #[must_use]
    pub fn acting(mut self, actor: Actor, origin: Origin) -> Self {
        self.actor = actor;
        self.origin = origin;
        self
    }

    /// The tenant whose rows alone can be seen.
    pub fn tenant(&self) -> Result<TenantId, Error> {
        self.tenant.ok_or_else(|| {
            Error::Internal(anyhow::anyhow!("a tenant's transaction is needed here"))
        })
    }

    pub fn connection(&mut self) -> &mut PgConnection {
        &mut self.inner
    }

    pub async fn commit(self) -> Result<(), Error> {
        Ok(self.inner.commit().await?)
    }
}
