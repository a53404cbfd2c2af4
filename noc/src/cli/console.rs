//! `muster-noc console`: consoles that may configure.

use super::{Output, answer, operator, site};
use muster_noc::Noc;
use muster_protocol::text::printable;
use serde::Serialize;
use std::path::Path;
use std::time::Duration;

pub(super) fn list(dir: &Path, output: Output) -> anyhow::Result<()> {
    answer(output, &Noc::open(dir)?.consoles()?, |consoles| {
        for c in consoles {
            let sites: Vec<_> = c.sites.iter().map(ToString::to_string).collect();
            let state = if c.revoked.is_some() { "revoked" } else { "enrolled" };
            println!("{}  {state}  sites {}  {}", c.id, sites.join(","), printable(&c.name));
        }
    })
}

pub(super) fn invite(
    dir: &Path,
    names: &[String],
    organisation: Option<&str>,
    valid: Duration,
    output: Output,
) -> anyhow::Result<()> {
    #[derive(Serialize)]
    struct Invite {
        invite: String,
    }
    let noc = Noc::open(dir)?;
    let organisation = organisation.map(|handle| operator::organisation(&noc, handle)).transpose()?;
    let known = noc.sites_of(organisation)?;
    let sites = names.iter().map(|name| Ok(site::find(&known, name)?.id)).collect::<anyhow::Result<Vec<_>>>()?;
    let invite = noc.invite(&sites, valid)?;
    answer(output, &Invite { invite }, |shown| println!("{}", shown.invite))
}
