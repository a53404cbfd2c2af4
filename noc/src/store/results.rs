//! Results of configurations, as consoles report them or as a beat proves them.

use super::appliances::{self, Appliance, from_json};
use super::consoles::Console;
use super::holdings::{self, Wish};
use super::plans::LEASE_S;
use super::{audit, organisations, versions, word};
use crate::audit::{By, Event};
use crate::error::StoreError;
use crate::operators::access::Place;
use crate::watch::{Notice, Whereabouts};
use muster_protocol::api::{Health, Provisioning, ResultItem};
use muster_protocol::id::{Seq, SiteId};
use muster_protocol::parameters::{Network6, RawSettings};
use muster_protocol::text::misleads;
use muster_protocol::wire::result::Reason;
use rusqlite::{Connection, OptionalExtension, params};

/// Longest reason that is kept, in characters.
const MAX_REASON: usize = 64;

/// Keeps what a console reports; the same again changes nothing. Tells what the status daemon has to know.
pub(crate) fn report(
    db: &Connection,
    now: u64,
    console: &Console,
    items: &[ResultItem],
) -> Result<Vec<Notice>, StoreError> {
    let mut notices = Vec::new();
    for item in items {
        if i64::try_from(item.seq.0).is_err() {
            continue;
        }
        let Some(appliance) = appliances::find(db, &item.uid)? else { continue };
        if !appliance.record.site.is_some_and(|site| console.sites.contains(&site)) {
            continue;
        }
        notices.extend(keep(db, now, &By::console(console.id), &appliance, item.seq, item.configured, &item.reason)?);
    }
    Ok(notices)
}

/// Keeps one result. What names no grant of ours is ignored: a console that repeats it forever would help nobody.
pub(super) fn keep(
    db: &Connection,
    now: u64,
    by: &By,
    appliance: &Appliance,
    seq: Seq,
    configured: bool,
    reason: &str,
) -> Result<Option<Notice>, StoreError> {
    let sql = "SELECT configured, site, settings, interval_s FROM grants WHERE appliance = ?1 AND seq = ?2";
    let grant: Option<(Option<bool>, u32, String, u32)> = db
        .prepare_cached(sql)?
        .query_row(params![appliance.id, seq.0], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
        .optional()?;
    let Some((known, site, settings, interval_s)) = grant else {
        tracing::warn!(uid = %appliance.record.uid, %seq, "a result for a grant that was never signed");
        return Ok(None);
    };
    if known == Some(configured) {
        return Ok(None);
    }
    let reason: String = reason.chars().filter(|c| !misleads(*c)).take(MAX_REASON).collect();
    db.prepare_cached(
        "UPDATE grants SET configured = ?3, reason = ?4, reported = ?5 WHERE appliance = ?1 AND seq = ?2",
    )?
    .execute(params![appliance.id, seq.0, configured, reason, now])?;
    versions::decide(db, now, appliance.id, seq, configured, &reason)?;
    let action = if configured { "appliance.configured" } else { "appliance.failed" };
    let place = Place { organisation: organisations::of_site(db, SiteId(site))?, site: Some(SiteId(site)) };
    let detail = serde_json::json!({ "seq": seq, "reason": reason, "settings": settings });
    audit::record(db, now, by, Event::new(place, action, format!("appliance:{}", appliance.record.uid)).with(detail))?;
    match configured {
        true if seq > appliance.applied => {
            let in_force = InForce { seq, site: SiteId(site), settings, interval_s };
            succeeded(db, appliance, &in_force).map(Some)
        }
        false if seq == appliance.applied => rolled_back(db, now, appliance, seq),
        false if seq == appliance.seq => {
            if reason == Reason::NotOpened.code() {
                // Sealed without the claim key, and not opened: it was reset and follows no root. The next grant comes
                // with the key. (Sealed with the key, it makes no difference.)
                appliances::forget_pin(db, appliance.id)?;
            }
            holdings::shorten_leases(db, appliance.id, now + LEASE_S)?;
            appliances::set_provisioning(db, appliance.id, Provisioning::Failed)?;
            Ok(None)
        }
        _ => Ok(None),
    }
}

struct InForce {
    seq: Seq,
    site: SiteId,
    settings: String,
    interval_s: u32,
}

fn succeeded(db: &Connection, appliance: &Appliance, new: &InForce) -> Result<Notice, StoreError> {
    let latest = new.seq == appliance.seq;
    let provisioning = if latest { Provisioning::Configured } else { Provisioning::Granted };
    let health = match appliance.record.health {
        Health::NotExpected => Health::NeverReported,
        known => known,
    };
    let whereabouts = Some(put_in_force(db, appliance, new, (provisioning, health), latest)?);
    Ok(Notice::Expect { uid: appliance.record.uid, site: new.site, interval_s: new.interval_s, whereabouts })
}

/// A grant that had been applied was rolled back: the one before it is in force again, or none.
fn rolled_back(db: &Connection, now: u64, appliance: &Appliance, seq: Seq) -> Result<Option<Notice>, StoreError> {
    let sql = "SELECT seq, site, settings, interval_s FROM grants
               WHERE appliance = ?1 AND seq < ?2 AND configured = 1 ORDER BY seq DESC LIMIT 1";
    let former = db
        .prepare_cached(sql)?
        .query_row(params![appliance.id, seq.0], |row| {
            Ok(InForce {
                seq: Seq(row.get(0)?),
                site: SiteId(row.get(1)?),
                settings: row.get(2)?,
                interval_s: row.get(3)?,
            })
        })
        .optional()?;
    match former {
        Some(former) => {
            let was = (Provisioning::Failed, appliance.record.health);
            let whereabouts = Some(put_in_force(db, appliance, &former, was, false)?);
            let (uid, site, interval_s) = (appliance.record.uid, former.site, former.interval_s);
            Ok(Some(Notice::Expect { uid, site, interval_s, whereabouts }))
        }
        None => {
            appliances::set_provisioning(db, appliance.id, Provisioning::Failed)?;
            db.prepare_cached("UPDATE appliances SET applied = 0, settings = NULL WHERE id = ?1")?
                .execute([appliance.id])?;
            // It never made a grant final, so it follows no root yet.
            appliances::forget_pin(db, appliance.id)?;
            holdings::put_out_of_force(db, appliance.id, now + LEASE_S)?;
            appliances::set_health(db, now, &appliance.record.uid, Health::NotExpected)?;
            Ok(Some(Notice::Forget { uid: appliance.record.uid }))
        }
    }
}

/// In one statement: a beat that proves a configuration is the busiest write of a large job.
fn put_in_force(
    db: &Connection,
    appliance: &Appliance,
    new: &InForce,
    (provisioning, health): (Provisioning, Health),
    end_leases: bool,
) -> Result<Whereabouts, StoreError> {
    let revision = super::next_revision(db)?;
    db.prepare_cached(
        "UPDATE appliances SET applied = ?2, settings = ?3, interval_s = ?4, pinned = 1, provisioning = ?5, health = ?6,
         revision = ?7 WHERE id = ?1",
    )?
    .execute(params![
        appliance.id,
        new.seq.0,
        new.settings,
        new.interval_s,
        word(&provisioning),
        word(&health),
        revision
    ])?;
    let settings: RawSettings = from_json("granted settings", &new.settings)?;
    let address: std::net::Ipv4Addr =
        settings.address.parse().map_err(|_| StoreError::Corrupt { what: "granted address" })?;
    let address6 = Network6::parse(&settings.address6).map(|network| network.address.to_bits());
    let (address, host_name) = (address.into(), settings.host_name.as_str());
    let wish = Wish { appliance: appliance.id, address, address6, host_name };
    holdings::put_in_force(db, new.site, &wish, end_leases)?;
    let gateway = settings.gateway.parse::<std::net::Ipv4Addr>().ok().map(u32::from);
    let behind = gateway.map(|gateway| holdings::holder_in_force(db, new.site, gateway)).transpose()?.flatten();
    Ok(Whereabouts { address, gateway, behind })
}
