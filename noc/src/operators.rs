//! People who sign in: who they are, what they may do, and how the NOC is convinced that it is they.
//!
//! `access`: roles, scopes and what follows from them. `password`: rules and hashes. `limit`: how often may be guessed.
//! `secret`: what sessions and API tokens carry. `people`: what the command line does with operators and organisations.

pub(crate) mod access;
pub(crate) mod limit;
pub(crate) mod password;
pub(crate) mod people;
pub(crate) mod secret;

pub use access::{OperatorId, OrganisationId, Role, RoleAt};
pub use people::{NewOperator, PeopleError};

use access::Scope;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A customer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Organisation {
    /// Its number.
    pub id: OrganisationId,
    /// Ends the sign-in names of its operators, as `anna@handle`. Never changes.
    pub handle: String,
    /// Its name.
    pub name: String,
    /// When it was added, Unix seconds.
    pub created: u64,
}

/// A person who may sign in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Operator {
    /// Their number.
    pub id: OperatorId,
    /// Their organisation; none for people of the NOC itself.
    pub organisation: Option<OrganisationId>,
    /// What they sign in with.
    pub login: String,
    /// What they are called.
    pub name: String,
    /// When they were added, Unix seconds.
    pub created: u64,
    /// When they were disabled, if they are.
    pub disabled: Option<u64>,
    /// What they may do, and where.
    pub roles: Vec<RoleAt>,
}

/// A session, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Session {
    /// Its number.
    pub id: u32,
    /// Whose it is.
    pub operator: OperatorId,
    /// How its secret is carried.
    pub kind: SessionKind,
    /// When it began, Unix seconds.
    pub created: u64,
    /// When it was last used, to within five minutes.
    pub used: u64,
    /// When it ends at the latest. It ends sooner when it is not used for twelve hours.
    pub expires: u64,
    /// The address it was begun from.
    pub address: String,
    /// What the program called itself. Untrusted text.
    pub program: String,
}

/// How the secret of a session is carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SessionKind {
    /// In a cookie that no script can read: for browsers.
    Cookie,
    /// In the `Authorization` header: for programs.
    Bearer,
}

/// A session, and who signed in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct OpenSession {
    /// The session.
    #[serde(flatten)]
    pub session: Session,
    /// What they sign in with.
    pub login: String,
}

/// An API token, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct ApiToken {
    /// Its number.
    pub(crate) id: u32,
    /// Whose it is: it can do no more than they.
    pub(crate) operator: OperatorId,
    /// What it is for.
    pub(crate) name: String,
    /// What it may be used for.
    pub(crate) scopes: Vec<Scope>,
    /// When it was made, Unix seconds.
    pub(crate) created: u64,
    /// When it was last used, to within five minutes.
    pub(crate) used: Option<u64>,
    /// When it ends.
    pub(crate) expires: u64,
}
