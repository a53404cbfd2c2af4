//! What the NOC's own command line does with organisations and operators, and with the audit log.

use super::access::{OperatorId, OrganisationId, Place, RoleAt};
use super::password::{self, PasswordError};
use super::{OpenSession, Operator, Organisation};
use crate::api::{Fault, Refused, Window};
use crate::audit::{self, Anchor, AnchorError, By, Event, Record, Verdict};
use crate::clock;
use crate::error::{AsProblem, StoreError};
use crate::noc::Noc;
use crate::store::audit::{self as log, Search};
use crate::store::{operators, organisations, sessions};
use muster_protocol::api::Problem;
use rusqlite::Connection;
use std::path::Path;
use zeroize::Zeroizing;

/// Why the NOC did not do it.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct PeopleError(Refused);

impl AsProblem for PeopleError {
    fn problem(&self) -> Problem {
        match &self.0 {
            Refused::Fault(fault) => fault.problem(),
            Refused::Store(error) => error.problem(),
        }
    }
}

impl From<StoreError> for PeopleError {
    fn from(error: StoreError) -> Self {
        PeopleError(error.into())
    }
}

impl From<PasswordError> for PeopleError {
    fn from(error: PasswordError) -> Self {
        PeopleError(Fault::from(error).into())
    }
}

/// A person to be added.
#[derive(Clone, Debug)]
pub struct NewOperator {
    /// Their organisation; none for people of the NOC itself.
    pub organisation: Option<OrganisationId>,
    /// What they sign in with.
    pub login: String,
    /// What they are called.
    pub name: String,
    /// What they may do, and where.
    pub roles: Vec<RoleAt>,
}

impl Noc {
    /// Adds an organisation.
    pub fn add_organisation(&self, handle: &str, name: &str) -> Result<Organisation, PeopleError> {
        let (handle, name) = (handle.to_owned(), name.to_owned());
        self.write(move |db| add_organisation(db, &By::local(), &handle, &name))
    }

    /// Every organisation, by number.
    pub fn organisations(&self) -> Result<Vec<Organisation>, PeopleError> {
        Ok(self.inner.store.read_now(organisations::all)?)
    }

    /// Adds an operator.
    pub fn add_operator(&self, new: NewOperator, password: Zeroizing<String>) -> Result<Operator, PeopleError> {
        let hashed = password::hash(&new.login, &password)?;
        self.write(move |db| add_operator(db, &By::local(), &new, &hashed))
    }

    /// Every operator, by number.
    pub fn operators(&self) -> Result<Vec<Operator>, PeopleError> {
        Ok(self.inner.store.read_now(operators::all)?)
    }

    /// Who is signed in, of an organisation or everybody, by number of session; at most 1,000.
    pub fn sessions(&self, organisation: Option<OrganisationId>) -> Result<Vec<OpenSession>, PeopleError> {
        let window = Window { limit: 1_000, after: None };
        let found = self.inner.store.read_now(|db| sessions::page(db, clock::now(), organisation, window))?;
        Ok(found.items)
    }

    /// Ends a session, whoever's it is; who is signed out.
    pub fn end_session(&self, session: u32) -> Result<Operator, PeopleError> {
        self.write(move |db| {
            let found = sessions::find(db, clock::now(), session)?.ok_or(Fault::NotFound)?;
            let operator = again(db, found.operator)?;
            end_session(db, &By::local(), &operator, session)?;
            Ok(operator)
        })
    }

    /// Sets somebody's password and ends their sessions and API tokens; the operator.
    pub fn set_password(&self, login: &str, password: Zeroizing<String>) -> Result<Operator, PeopleError> {
        let hashed = password::hash(login, &password)?;
        let login = login.to_owned();
        self.write(move |db| {
            let (operator, _) = operators::by_login(db, &login)?.ok_or(Fault::NotFound)?;
            reset_password(db, &By::local(), &operator, &hashed)?;
            Ok(operator)
        })
    }

    /// Disables somebody, whose sessions and API tokens end, or lets them sign in again; the operator.
    pub fn disable_operator(&self, login: &str, disabled: bool) -> Result<Operator, PeopleError> {
        let login = login.to_owned();
        self.write(move |db| {
            let (operator, _) = operators::by_login(db, &login)?.ok_or(Fault::NotFound)?;
            change_operator(db, &By::local(), &operator, None, Some(disabled))
        })
    }

    /// Replaces somebody's roles; the operator.
    pub fn set_roles(&self, login: &str, roles: Vec<RoleAt>) -> Result<Operator, PeopleError> {
        let login = login.to_owned();
        self.write(move |db| {
            let (operator, _) = operators::by_login(db, &login)?.ok_or(Fault::NotFound)?;
            set_roles(db, &By::local(), &operator, &roles)
        })
    }

    /// Looks for forgeries in the audit log, by what the database and the data folder hold and by an anchor kept elsewhere.
    pub fn verify_audit(&self, anchor: Option<&Path>) -> Result<Verdict, AnchorError> {
        let root = self.root();
        let mut anchors = Vec::new();
        anchors.extend(audit::read_anchor(&audit::anchor_file(&self.inner.path), &root)?);
        if let Some(path) = anchor {
            let found = audit::read_anchor(path, &root)?;
            let found = found.ok_or_else(|| AnchorError::NotSigned { path: path.to_owned() })?;
            if let Some(cut) = self.inner.store.read_now(log::cut)?.filter(|cut| found.seq < cut.seq) {
                return Err(AnchorError::Pruned { path: path.to_owned(), seq: found.seq, up_to: cut.seq });
            }
            anchors.push(found);
        }
        Ok(self.inner.store.read_now(|db| audit::verify(db, &root, &anchors))?)
    }

    /// Has the root sign the end of the audit log, in the data folder and to be kept elsewhere; none of an empty log.
    pub fn anchor_audit(&self) -> Result<Option<Anchor>, AnchorError> {
        audit::checkpoint(&self.inner.store, &self.inner.signer, &self.inner.path, clock::now())
    }

    /// Records of the audit log, newest first, at most `limit`. Texts are compared from their beginning.
    pub fn search_audit(
        &self,
        actor: Option<String>,
        action: Option<String>,
        subject: Option<String>,
        since: Option<u64>,
        limit: usize,
    ) -> Result<Vec<Record>, StoreError> {
        let search = Search { actor, action, subject, since, ..Search::default() };
        self.inner.store.read_now(|db| Ok(log::search(db, None, &search, Window { limit, after: None })?.items))
    }

    /// Every record of the audit log, oldest first, until `take` has had enough.
    pub fn each_audit(&self, take: impl FnMut(Record) -> bool) -> Result<(), StoreError> {
        self.inner.store.read_now(|db| log::each(db, None, take))
    }

    fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Refused> + Send + 'static,
    ) -> Result<T, PeopleError> {
        self.inner.store.write_now(work).map_err(PeopleError)
    }
}

/// Adds an organisation, with its record.
pub(crate) fn add_organisation(db: &Connection, by: &By, handle: &str, name: &str) -> Result<Organisation, Refused> {
    let added = organisations::add(db, clock::now(), handle, name)?;
    let event = Event::new(Place::organisation(added.id), "organisation.add", format!("organisation:{}", added.id));
    log::record(db, clock::now(), by, event.with(serde_json::json!(added)))?;
    Ok(added)
}

/// Adds an operator, with its record. The password is hashed already.
pub(crate) fn add_operator(db: &Connection, by: &By, new: &NewOperator, hashed: &str) -> Result<Operator, Refused> {
    let NewOperator { organisation, login, name, roles } = new;
    let new = operators::New { organisation: *organisation, login, name, password: hashed, roles };
    let added = operators::add(db, clock::now(), &new)?;
    record(db, by, &added, "operator.add", serde_json::json!(added))?;
    Ok(added)
}

/// Renames, disables or enables somebody, with its record; how they are then.
pub(crate) fn change_operator(
    db: &Connection,
    by: &By,
    operator: &Operator,
    name: Option<&str>,
    disabled: Option<bool>,
) -> Result<Operator, Refused> {
    operators::change(db, clock::now(), operator.id, name, disabled)?;
    record(db, by, operator, "operator.change", serde_json::json!({ "name": name, "disabled": disabled }))?;
    again(db, operator.id)
}

/// Replaces somebody's roles, with its record; how they are then.
pub(crate) fn set_roles(db: &Connection, by: &By, operator: &Operator, roles: &[RoleAt]) -> Result<Operator, Refused> {
    operators::set_roles(db, operator.id, operator.organisation, roles)?;
    record(db, by, operator, "operator.roles", serde_json::json!({ "before": operator.roles, "after": roles }))?;
    again(db, operator.id)
}

/// Sets somebody else's password, with its record, and ends what was begun with the old one.
pub(crate) fn reset_password(db: &Connection, by: &By, operator: &Operator, hashed: &str) -> Result<(), Refused> {
    let now = clock::now();
    operators::set_password(db, now, operator.id, hashed, None)?;
    operators::revoke_tokens(db, now, operator.id)?;
    Ok(record(db, by, operator, "operator.password", serde_json::Value::Null)?)
}

/// Ends one of somebody's sessions, with its record.
pub(crate) fn end_session(db: &Connection, by: &By, operator: &Operator, session: u32) -> Result<(), StoreError> {
    sessions::revoke(db, clock::now(), session)?;
    record(db, by, operator, "session.revoke", serde_json::json!({ "session": session }))
}

/// Where an operator belongs: whoever administers that, administers them.
pub(crate) fn home(operator: &Operator) -> Place {
    Place { organisation: operator.organisation, site: None }
}

/// Appends a record about an operator.
pub(crate) fn record(
    db: &Connection,
    by: &By,
    operator: &Operator,
    action: &'static str,
    detail: serde_json::Value,
) -> Result<(), StoreError> {
    let event = Event::new(home(operator), action, format!("operator:{}:{}", operator.id, operator.login));
    log::record(db, clock::now(), by, event.with(detail))
}

fn again(db: &Connection, id: OperatorId) -> Result<Operator, Refused> {
    operators::find(db, id)?.ok_or(Refused::Store(StoreError::Corrupt { what: "operator" }))
}
