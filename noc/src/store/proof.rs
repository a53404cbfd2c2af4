//! Proof of ownership: what appliances ask for by their own words, and what a policy requires of them (decision 0047).

use super::appliances::{self, Appliance};
use crate::error::{StoreError, problem};
use crate::policy::site::Policy;
use crate::policy::values::Source;
use muster_protocol::api::{Problem, RequiredProof};
use muster_protocol::parameters::{Field, FieldError};
use muster_protocol::wire::here::Proof;
use rusqlite::{Connection, OptionalExtension, params};

/// Why nothing is granted to an appliance.
pub(crate) struct Lack {
    code: &'static str,
    what: String,
    remedy: &'static str,
}

impl Lack {
    /// In a plan.
    pub(crate) fn problem(self) -> Problem {
        problem(409, self.code, self.what, self.remedy)
    }

    /// In the answer to a request for a grant.
    pub(crate) fn field_error(self) -> FieldError {
        FieldError::new(Field::HostName, self.code, format!("{}. {}", self.what, self.remedy))
    }
}

/// What an appliance said in an answer that it signed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Said {
    /// What it asks for while nobody owns it.
    pub(crate) proof: Proof,
    /// Nobody owns it.
    pub(crate) is_unowned: bool,
}

/// [`lack`], by what the appliance says now. It is kept for when a grant is asked for.
pub(crate) fn judge(
    db: &Connection,
    policy: &Policy,
    appliance: &Appliance,
    said: Option<Said>,
) -> Result<Option<Lack>, StoreError> {
    let Some(Said { proof, is_unowned }) = said else { return lack(db, policy, appliance) };
    let sql = "UPDATE appliances SET proof = ?2 WHERE id = ?1 AND proof IS NOT ?2";
    db.prepare_cached(sql)?.execute(params![appliance.id, word(proof)])?;
    // It was reset: what it followed once counts no more.
    let lacking = lack(db, policy, &Appliance { pinned: appliance.pinned && !is_unowned, ..appliance.clone() })?;
    if lacking.is_some() && appliance.pinned {
        appliances::forget_pin(db, appliance.id)?;
    }
    Ok(lacking)
}

/// Why a policy does not let a console bring an appliance anything. One that follows this NOC has been through it: it accepts nobody
/// else.
pub(crate) fn lack(db: &Connection, policy: &Policy, appliance: &Appliance) -> Result<Option<Lack>, StoreError> {
    let required = policy.site.proof;
    let wants = match required {
        RequiredProof::Any => return Ok(None),
        RequiredProof::Claim => "the code of its label or a voucher of its vendor as proof of ownership",
        RequiredProof::Voucher => "a voucher of its vendor as proof of ownership",
    };
    if appliance.pinned {
        return Ok(None);
    }
    // Without its name: who plans for hundreds reads the same sentence once.
    let rule = rule(policy);
    let Some(proof) = said(db, appliance)? else {
        return Ok(Some(Lack {
            code: "proof_not_shown",
            what: format!("nothing that this appliance signed shows what it asks for, and {rule} requires {wants}"),
            remedy: "Discover it again from a console of this version or a later one, and plan again.",
        }));
    };
    if required.is_met_by(proof) {
        return Ok(None);
    }
    let asks = match proof {
        Proof::Open => "takes whoever comes first",
        Proof::Claim => "asks for the code of its label only",
        Proof::Voucher => "asks for a voucher",
    };
    Ok(Some(Lack {
        code: "proof_too_weak",
        what: format!("this appliance {asks}, and {rule} requires {wants}"),
        remedy: "Have the appliance ask for it (`proof` in its agent's configuration) and discover it again, or have an administrator \
                 change `proof` in that policy.",
    }))
}

/// The rule in words, for whoever never saw the policy.
fn rule(policy: &Policy) -> String {
    let value = policy.site.proof.word();
    match policy.source("proof") {
        Source::Default => format!("the default (proof = {value})"),
        Source::Organisation => format!("the organisation's policy (proof = {value})"),
        Source::OrganisationProfile(model) => format!("the organisation's policy for {model} (proof = {value})"),
        Source::Site => format!("the site's policy (proof = {value})"),
        Source::SiteProfile(model) => format!("the site's policy for {model} (proof = {value})"),
    }
}

/// What an appliance asked for in the last answer of its own that came here.
fn said(db: &Connection, appliance: &Appliance) -> Result<Option<Proof>, StoreError> {
    let sql = "SELECT proof FROM appliances WHERE id = ?1";
    let known: Option<Option<String>> =
        db.prepare_cached(sql)?.query_row([appliance.id], |row| row.get(0)).optional()?;
    let Some(known) = known.flatten() else { return Ok(None) };
    let found = [Proof::Claim, Proof::Voucher, Proof::Open].into_iter().find(|proof| word(*proof) == known);
    found.map(Some).ok_or(StoreError::Corrupt { what: "proof of ownership" })
}

fn word(proof: Proof) -> &'static str {
    match proof {
        Proof::Claim => "claim",
        Proof::Voucher => "voucher",
        Proof::Open => "open",
    }
}
