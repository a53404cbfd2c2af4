//! Roles, scopes, and what somebody who has signed in may do.
//!
//! What lies outside of somebody's organisations is not there for them: it is answered in the words of what does not exist.

use crate::api::Fault;
use crate::store::word;
use muster_protocol::id::SiteId;
use rusqlite::types::{FromSql, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use serde::{Deserialize, Serialize};
use std::fmt;
use utoipa::ToSchema;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
        #[serde(transparent)]
        pub struct $name(pub u32);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl ToSql for $name {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                self.0.to_sql()
            }
        }

        impl FromSql for $name {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                u32::column_result(value).map($name)
            }
        }
    };
}

number! {
    /// Number of a customer.
    OrganisationId
}
number! {
    /// Number of a person who may sign in.
    OperatorId
}

/// The organisation that a new NOC has, and that everything of earlier versions belongs to.
pub(crate) const DEFAULT_ORGANISATION: OrganisationId = OrganisationId(1);

/// What somebody may do. Each includes the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Sees.
    Viewer,
    /// Changes appliances, invites and revokes consoles, acknowledges alerts.
    Operator,
    /// Changes policies, operators and roles, and reads the audit log.
    Administrator,
}

/// A role, and where it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RoleAt {
    /// The organisation; none for everywhere, which only people of the NOC itself can have.
    #[serde(default)]
    #[schema(value_type = Option<u32>)]
    pub organisation: Option<OrganisationId>,
    /// The site; none for the whole organisation.
    #[serde(default)]
    #[schema(value_type = Option<u32>)]
    pub site: Option<SiteId>,
    /// What may be done there.
    pub role: Role,
}

/// What an API token may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
pub(crate) enum Scope {
    #[serde(rename = "organisations:read")]
    ReadOrganisations,
    #[serde(rename = "organisations:write")]
    WriteOrganisations,
    #[serde(rename = "sites:read")]
    ReadSites,
    #[serde(rename = "sites:write")]
    WriteSites,
    #[serde(rename = "operators:read")]
    ReadOperators,
    #[serde(rename = "operators:write")]
    WriteOperators,
    #[serde(rename = "consoles:read")]
    ReadConsoles,
    #[serde(rename = "consoles:write")]
    WriteConsoles,
    #[serde(rename = "appliances:read")]
    ReadAppliances,
    #[serde(rename = "appliances:write")]
    WriteAppliances,
    #[serde(rename = "alerts:read")]
    ReadAlerts,
    #[serde(rename = "alerts:write")]
    WriteAlerts,
    #[serde(rename = "audit:read")]
    ReadAudit,
}

/// What a request has to come with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Needs {
    /// A session, or an API token with this scope.
    Scope(Scope),
    /// A session: no API token makes, lists or ends sessions, tokens or passwords.
    Session,
}

/// Where something is: decides who sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// None for what is the NOC's own.
    pub(crate) organisation: Option<OrganisationId>,
    pub(crate) site: Option<SiteId>,
}

impl Place {
    pub(crate) const NOC: Place = Place { organisation: None, site: None };

    pub(crate) fn organisation(id: OrganisationId) -> Place {
        Place { organisation: Some(id), site: None }
    }

    pub(crate) fn site(organisation: OrganisationId, site: SiteId) -> Place {
        Place { organisation: Some(organisation), site: Some(site) }
    }
}

/// How somebody is here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Via {
    Session(u32),
    Token(u32),
}

/// Somebody who has signed in, within the transaction that asked.
#[derive(Clone, Debug)]
pub(crate) struct Access {
    pub(crate) operator: OperatorId,
    pub(crate) login: String,
    pub(crate) roles: Vec<RoleAt>,
    pub(crate) via: Via,
    /// The client's address, for the audit log.
    pub(crate) address: String,
    /// Its last use, as it is written down, is some minutes old.
    pub(crate) is_stale: bool,
}

impl Access {
    /// The highest role at a place; none when the place is not theirs to see.
    pub(crate) fn role(&self, place: Place) -> Option<Role> {
        let covers = |at: &&RoleAt| match (at.organisation, at.site) {
            (None, _) => true,
            (organisation, None) => organisation == place.organisation,
            (organisation, site) => organisation == place.organisation && site == place.site,
        };
        self.roles.iter().filter(covers).map(|at| at.role).max()
    }

    /// Refuses what they do not see in the words of what is not there, and what they only see as forbidden.
    pub(crate) fn need(&self, role: Role, place: Place) -> Result<(), Fault> {
        match self.role(place) {
            None => Err(Fault::NotFound),
            Some(has) if has < role => Err(Fault::Role { needed: role }),
            Some(_) => Ok(()),
        }
    }

    /// Whether they have a role anywhere in an organisation.
    pub(crate) fn sees_organisation(&self, id: OrganisationId) -> bool {
        self.roles.iter().any(|at| at.organisation.is_none_or(|of| of == id))
    }

    /// [`Access::need`] for the whole of an organisation that they see, if only in part.
    pub(crate) fn need_whole(&self, role: Role, id: OrganisationId) -> Result<(), Fault> {
        match self.role(Place::organisation(id)) {
            Some(has) if has >= role => Ok(()),
            _ if self.sees_organisation(id) => Err(Fault::Role { needed: role }),
            _ => Err(Fault::NotFound),
        }
    }
}

/// The condition that operator `?1` has a role at `organisation` and `site` (columns, or `NULL`): any, or only this one.
pub(crate) fn visible_to(role: Option<Role>, organisation: &str, site: &str) -> String {
    let only = role.map(|role| format!("AND r.role = '{}'", word(&role))).unwrap_or_default();
    format!(
        "EXISTS (SELECT 1 FROM operator_roles r WHERE r.operator = ?1 {only} AND (r.organisation IS NULL
         OR (r.organisation = {organisation} AND (r.site IS NULL OR r.site = {site}))))"
    )
}

/// [`visible_to`] for every role.
pub(crate) fn visible(organisation: &str, site: &str) -> String {
    visible_to(None, organisation, site)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(roles: Vec<RoleAt>) -> Access {
        Access {
            operator: OperatorId(1),
            login: "anna@acme".into(),
            roles,
            via: Via::Session(1),
            address: String::new(),
            is_stale: false,
        }
    }

    fn at(organisation: Option<u32>, site: Option<u32>, role: Role) -> RoleAt {
        RoleAt { organisation: organisation.map(OrganisationId), site: site.map(SiteId), role }
    }

    #[test]
    fn a_role_holds_where_it_was_given_and_below() {
        let site = |organisation, site| Place::site(OrganisationId(organisation), SiteId(site));
        let of_site = access(vec![at(Some(2), Some(7), Role::Operator)]);
        assert_eq!(of_site.role(site(2, 7)), Some(Role::Operator));
        assert_eq!(of_site.role(site(2, 8)), None);
        assert_eq!(of_site.role(Place::organisation(OrganisationId(2))), None);
        assert_eq!(of_site.need(Role::Viewer, site(2, 8)), Err(Fault::NotFound));
        assert_eq!(of_site.need_whole(Role::Viewer, OrganisationId(2)), Err(Fault::Role { needed: Role::Viewer }));
        assert_eq!(of_site.need_whole(Role::Viewer, OrganisationId(3)), Err(Fault::NotFound));

        let of_organisation = access(vec![at(Some(2), None, Role::Viewer), at(Some(2), Some(7), Role::Administrator)]);
        assert_eq!(of_organisation.role(site(2, 8)), Some(Role::Viewer));
        assert_eq!(of_organisation.role(site(2, 7)), Some(Role::Administrator), "the higher one counts");
        assert_eq!(of_organisation.role(site(3, 7)), None);
        assert_eq!(of_organisation.role(Place::NOC), None);

        let everywhere = access(vec![at(None, None, Role::Operator)]);
        assert_eq!(everywhere.role(site(3, 7)), Some(Role::Operator));
        assert_eq!(everywhere.need(Role::Administrator, Place::NOC), Err(Fault::Role { needed: Role::Administrator }));
    }
}
