//! Invites that wait for their console, as operators see them.

use super::rows;
use crate::api::{Page, Window};
use crate::error::StoreError;
use crate::operators::access::{OperatorId, OrganisationId, visible};
use muster_protocol::id::SiteId;
use rusqlite::{Connection, params};

/// Digits of its hash that name an invite.
const DIGITS: usize = 20;

/// An invite, without its token.
#[derive(Clone, Debug)]
pub(crate) struct OwnedInvite {
    /// The first digits of the token's hash.
    pub(crate) id: String,
    pub(crate) organisation: OrganisationId,
    pub(crate) sites: Vec<SiteId>,
    pub(crate) expires: u64,
    pub(crate) used: Option<u64>,
}

/// What an invite is called.
pub(crate) fn id_of(token_hash: &[u8; 32]) -> String {
    data_encoding::HEXLOWER.encode(&token_hash[..DIGITS / 2])
}

/// Invites for sites that an operator sees all of. They are few; their order is by name, so it stays from page to page.
pub(crate) fn seen_by(
    db: &Connection,
    now: u64,
    reader: OperatorId,
    organisation: Option<OrganisationId>,
    window: Window,
) -> Result<Page<(i64, OwnedInvite)>, StoreError> {
    let seen = visible("s.organisation", "s.id");
    let sql = format!(
        "SELECT i.token_hash FROM invites i WHERE i.used IS NULL AND i.expires > ?2 AND NOT EXISTS (
             SELECT 1 FROM invite_sites t JOIN sites s ON s.id = t.site WHERE t.token_hash = i.token_hash
             AND NOT (({seen}) AND (?3 IS NULL OR s.organisation = ?3)))
         ORDER BY i.token_hash"
    );
    let hashes =
        rows(db, &sql, params![reader, now, organisation], |row| Ok::<_, StoreError>(row.get::<_, [u8; 32]>(0)?))?;
    let after = window.after.unwrap_or(i64::MIN);
    let mut found = Vec::new();
    for hash in hashes {
        let key = key(&hash);
        if key > after && found.len() <= window.limit {
            found.extend(find(db, &id_of(&hash))?.map(|invite| (key, invite)));
        }
    }
    Ok(Page::of(found, window.limit, |(key, _)| *key))
}

/// Orders hashes as the database does.
fn key(hash: &[u8; 32]) -> i64 {
    let mut first = [0; 8];
    first.copy_from_slice(&hash[..8]);
    (u64::from_be_bytes(first) ^ (1 << 63)) as i64
}

/// One by its name.
pub(crate) fn find(db: &Connection, id: &str) -> Result<Option<OwnedInvite>, StoreError> {
    let sql = "SELECT token_hash, expires, used FROM invites WHERE lower(substr(hex(token_hash), 1, ?2)) = ?1";
    let found = rows(db, sql, params![id, DIGITS as i64], |row| {
        Ok::<_, StoreError>((row.get::<_, [u8; 32]>(0)?, row.get(1)?, row.get(2)?))
    })?;
    let Some((hash, expires, used)) = found.into_iter().next() else { return Ok(None) };
    let sql = "SELECT t.site, s.organisation FROM invite_sites t JOIN sites s ON s.id = t.site WHERE t.token_hash = ?1
               ORDER BY t.site";
    let sites = rows(db, sql, [hash], |row| Ok::<_, StoreError>((SiteId(row.get(0)?), row.get(1)?)))?;
    let Some(&(_, organisation)) = sites.first() else { return Ok(None) };
    let sites = sites.into_iter().map(|(site, _)| site).collect();
    Ok(Some(OwnedInvite { id: id_of(&hash), organisation, sites, expires, used }))
}

/// Takes an invite back.
pub(crate) fn remove(db: &Connection, id: &str) -> Result<(), StoreError> {
    let named = "SELECT token_hash FROM invites WHERE lower(substr(hex(token_hash), 1, ?2)) = ?1 AND used IS NULL";
    db.execute(&format!("DELETE FROM invite_sites WHERE token_hash IN ({named})"), params![id, DIGITS as i64])?;
    let sql = "DELETE FROM invites WHERE lower(substr(hex(token_hash), 1, ?2)) = ?1 AND used IS NULL";
    db.execute(sql, params![id, DIGITS as i64])?;
    Ok(())
}
