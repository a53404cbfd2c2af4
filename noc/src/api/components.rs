//! For appliances: what they shall have, the repository's metadata, and its files (decision 0044).

use super::request::AsAppliance;
use super::{ApiError, App, Fault};
use crate::components::{folder, spec};
use crate::error::StoreError;
use crate::operators::OrganisationId;
use crate::store::component_plans::{self as plans, Plan, Whose};
use crate::store::components::{self as store, Repository};
use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use data_encoding::{BASE64, HEXLOWER};
use futures_util::stream;
use muster_protocol::api::ComponentPlan;
use muster_protocol::component::ComponentRoot;
use muster_protocol::id::Uid;
use muster_protocol::time::UnixTime;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::places::{Place, Places};

/// Files that go out at the same time, so that beats always find threads and files.
const DOWNLOADS: usize = 64;
/// Of these, those of one organisation, and of one appliance.
const OF_ORGANISATION: usize = 48;
const OF_APPLIANCE: usize = 2;
/// Until whoever downloads takes the next piece.
const IDLE: Duration = Duration::from_secs(60);
/// Bytes of a piece, and pieces that wait.
const CHUNK: usize = 1 << 16;
const AHEAD: usize = 4;

/// Room for downloads.
#[derive(Clone)]
pub(crate) struct Downloads {
    all: Arc<Semaphore>,
    organisations: Places<OrganisationId>,
    appliances: Places<Uid>,
}

/// The room that one takes.
struct Room {
    _all: OwnedSemaphorePermit,
    _organisation: Place<OrganisationId>,
    _appliance: Place<Uid>,
}

impl Default for Downloads {
    fn default() -> Self {
        let (organisations, appliances) = (Places::default(), Places::default());
        Downloads { all: Arc::new(Semaphore::new(DOWNLOADS)), organisations, appliances }
    }
}

impl Downloads {
    fn take(&self, organisation: OrganisationId, uid: Uid) -> Result<Room, ApiError> {
        let appliance = self.appliances.take(uid, OF_APPLIANCE);
        let _appliance = appliance.ok_or(ApiError::TooManyDownloads { limit: OF_APPLIANCE })?;
        let _organisation = self.organisations.take(organisation, OF_ORGANISATION).ok_or(ApiError::DownloadsBusy)?;
        let _all = self.all.clone().try_acquire_owned().map_err(|_| ApiError::DownloadsBusy)?;
        Ok(Room { _all, _organisation, _appliance })
    }
}

/// `GET /v1/appliances/components`
pub(super) async fn plan(
    State(app): State<App>,
    AsAppliance(uid): AsAppliance,
) -> Result<Json<ComponentPlan>, ApiError> {
    let found = app.noc.store.read(move |db| {
        let whose = plans::whose(db, &uid)?;
        Ok::<_, ApiError>(plans::plan_of(db, &uid, &whose)?)
    });
    let found = found.await?;
    let none = || Plan { repository: None, lines: Vec::new(), bytes_per_s: None };
    let plan = found.unwrap_or_else(none);
    let revision = plan.revision();
    let components = plan.components();
    let root = plan.repository.map(|Repository { serial, root_hash, issued }| {
        let root = ComponentRoot { serial, root_hash, issued: UnixTime(issued) };
        BASE64.encode(&app.noc.signer.component_root(&root))
    });
    Ok(Json(ComponentPlan { root, components, bandwidth: plan.bytes_per_s, revision }))
}

/// `GET /v1/appliances/components/metadata/{file}`
pub(super) async fn metadata(
    State(app): State<App>,
    AsAppliance(uid): AsAppliance,
    Path(file): Path<String>,
) -> Result<Response, ApiError> {
    if !spec::is_file_name(&file) {
        return Err(Fault::NotFound.into());
    }
    let found = app.noc.store.read(move |db| {
        let whose = plans::whose(db, &uid)?;
        if let Some(version) = file.strip_suffix(".root.json") {
            let version: u32 = version.parse().map_err(|_| Fault::NotFound)?;
            return Ok::<_, ApiError>(store::root(db, u64::from(version))?);
        }
        Ok(store::metadata(db, whose.organisation, &file)?)
    });
    let text = found.await?.ok_or(Fault::NotFound)?;
    Ok(([(header::CONTENT_TYPE, "application/json")], text).into_response())
}

/// `GET /v1/appliances/components/targets/{file}`: `{SHA-256}.{target}`
pub(super) async fn target(
    State(app): State<App>,
    AsAppliance(uid): AsAppliance,
    Path(file): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let (sha256, hash, name) = split(&file).ok_or(Fault::NotFound)?;
    let found = app.noc.store.read(move |db| {
        let Whose { organisation, site, model } = plans::whose(db, &uid)?;
        let found = store::served(db, organisation, &name, &hash)?.filter(|component| component.is_for(site, &model));
        found.map(|found| (found, organisation)).ok_or_else(|| ApiError::from(Fault::NotFound))
    });
    let (component, organisation) = found.await?;
    let room = app.downloads.take(OrganisationId(organisation), uid)?;
    let path = folder::path(&app.noc.path, &sha256);
    let lost = |error: io::Error| {
        tracing::error!(%error, component = component.target, "the file of a component is not there as it was added");
        ApiError::Store(StoreError::Corrupt { what: "component" })
    };
    let mut opened = File::open(&path).await.map_err(lost)?;
    if opened.metadata().await.map_err(lost)?.len() != component.size {
        return Err(lost(io::ErrorKind::UnexpectedEof.into()));
    }
    let tag = format!("\"{sha256}\"");
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    // RFC 9110, section 13.1.5: of another version, whoever asks gets all of this one.
    let is_same = text(header::IF_RANGE).is_none_or(|wanted| wanted == tag);
    let part = if is_same { part(text(header::RANGE), component.size) } else { Part::Whole };
    let size = component.size;
    let (status, start, length, of) = match part {
        Part::Whole => (StatusCode::OK, 0, size, None),
        Part::Slice { start, end } => {
            let of = format!("bytes {start}-{}/{size}", end.saturating_sub(1));
            (StatusCode::PARTIAL_CONTENT, start, end - start, Some(of))
        }
        Part::Beyond => return Err(ApiError::BeyondEnd { size }),
    };
    opened.seek(io::SeekFrom::Start(start)).await.map_err(lost)?;
    let mut answer = (status, sent(opened, length, room)).into_response();
    let fields = [
        (header::CONTENT_TYPE, Some("application/octet-stream".to_owned())),
        (header::ACCEPT_RANGES, Some("bytes".to_owned())),
        (header::CONTENT_LENGTH, Some(length.to_string())),
        (header::ETAG, Some(tag)),
        (header::CONTENT_RANGE, of),
    ];
    for (name, value) in fields {
        // Of our own making, without control characters.
        answer.headers_mut().extend(value.and_then(|value| value.parse().ok()).map(|value| (name, value)));
    }
    Ok(answer)
}

/// The hash in hexadecimal, the hash, and the name of the target.
fn split(file: &str) -> Option<(String, [u8; 32], String)> {
    let (sha256, name) = file.split_once('.').filter(|_| spec::is_file_name(file))?;
    let hash = HEXLOWER.decode(sha256.as_bytes()).ok()?.try_into().ok()?;
    Some((sha256.to_owned(), hash, name.to_owned()))
}

/// Which part of a file is asked for.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    Whole,
    /// From a byte to before another.
    Slice {
        start: u64,
        end: u64,
    },
    /// Nothing of it is there.
    Beyond,
}

/// RFC 9110, section 14: one range of bytes. What does not read, and several ranges, count as not asked.
fn part(asked: Option<&str>, size: u64) -> Part {
    let Some((first, last)) = asked.and_then(|asked| asked.trim().strip_prefix("bytes=")?.split_once('-')) else {
        return Part::Whole;
    };
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if !digits(first) || !digits(last) {
        return Part::Whole;
    }
    // A number that does not fit is beyond any end.
    let number = |text: &str| (!text.is_empty()).then(|| text.parse::<u64>().unwrap_or(u64::MAX));
    match (number(first), number(last)) {
        (None, None) => Part::Whole,
        (Some(start), last) if last.is_some_and(|last| last < start) => Part::Whole,
        (Some(start), _) if start >= size => Part::Beyond,
        (Some(start), last) => Part::Slice { start, end: last.map_or(size, |last| last.saturating_add(1).min(size)) },
        (None, Some(0)) => Part::Beyond,
        (None, Some(_)) if size == 0 => Part::Beyond,
        (None, Some(count)) => Part::Slice { start: size.saturating_sub(count), end: size },
    }
}

/// A body that is read from the disk as it goes out. Whoever takes nothing for a minute loses the connection, and makes room.
fn sent(mut file: File, length: u64, room: Room) -> Body {
    let (pieces, taken) = mpsc::channel::<io::Result<Bytes>>(AHEAD);
    tokio::spawn(async move {
        let _room = room;
        let mut left = length;
        while left > 0 {
            let mut piece = vec![0; CHUNK.min(usize::try_from(left).unwrap_or(CHUNK))];
            let read = file.read(&mut piece).await.and_then(|read| match read {
                0 => Err(io::ErrorKind::UnexpectedEof.into()),
                read => Ok(read),
            });
            let (piece, ended) = match read {
                Ok(read) => {
                    piece.truncate(read);
                    left -= read as u64;
                    (Ok(Bytes::from(piece)), false)
                }
                Err(error) => (Err(error), true),
            };
            let is_taken = tokio::time::timeout(IDLE, pieces.send(piece)).await.is_ok_and(|sent| sent.is_ok());
            if ended || !is_taken {
                return;
            }
        }
    });
    Body::from_stream(stream::unfold(taken, |mut taken| async { taken.recv().await.map(|piece| (piece, taken)) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_lies_inside_of_the_file_or_is_none() {
        let slice = |start, end| Part::Slice { start, end };
        for (asked, expected) in [
            (None, Part::Whole),
            (Some("bytes=0-"), slice(0, 10)),
            (Some("bytes=3-5"), slice(3, 6)),
            (Some("bytes=9-9"), slice(9, 10)),
            (Some("bytes=3-99"), slice(3, 10)),
            (Some("bytes=3-99999999999999999999999"), slice(3, 10)),
            (Some("bytes=-4"), slice(6, 10)),
            (Some("bytes=-99"), slice(0, 10)),
            (Some("bytes=10-"), Part::Beyond),
            (Some("bytes=99999999999999999999999-"), Part::Beyond),
            (Some("bytes=-0"), Part::Beyond),
            (Some("bytes=5-3"), Part::Whole),
            (Some("bytes=-"), Part::Whole),
            (Some("bytes=0-1,3-4"), Part::Whole),
            (Some("bytes=+1-2"), Part::Whole),
            (Some("bytes=a-b"), Part::Whole),
            (Some("lines=0-1"), Part::Whole),
            (Some(""), Part::Whole),
        ] {
            assert_eq!(part(asked, 10), expected, "{asked:?}");
        }
        assert_eq!((part(Some("bytes=0-"), 0), part(Some("bytes=-1"), 0)), (Part::Beyond, Part::Beyond));
    }

    #[test]
    fn nobody_takes_all_the_room() {
        let downloads = Downloads::default();
        let (one, other) = (OrganisationId(1), OrganisationId(2));
        let uid = |n: usize| Uid([u8::try_from(n).expect("small"); 20]);
        let mut taken = vec![downloads.take(one, uid(0)).expect("room"), downloads.take(one, uid(0)).expect("room")];
        assert!(matches!(downloads.take(one, uid(0)), Err(ApiError::TooManyDownloads { .. })));
        taken.extend((2..OF_ORGANISATION).map(|n| downloads.take(one, uid(n)).expect("room")));
        assert!(matches!(downloads.take(one, uid(99)), Err(ApiError::DownloadsBusy)));
        taken.extend((OF_ORGANISATION..DOWNLOADS).map(|n| downloads.take(other, uid(100 + n)).expect("room")));
        assert!(matches!(downloads.take(other, uid(99)), Err(ApiError::DownloadsBusy)));
        taken.pop();
        downloads.take(other, uid(99)).expect("what ends makes room");
    }

    #[test]
    fn a_file_is_asked_for_by_hash_and_name_alone() {
        let hash = "ab".repeat(32);
        assert_eq!(split(&format!("{hash}.a_1.tar.gz")).expect("read").2, "a_1.tar.gz");
        for bad in ["", "a_1", &hash, &format!("{hash}.../x"), &format!("{}.a", "AB".repeat(32)), "ab.a_1"] {
            assert!(split(bad).is_none(), "{bad}");
        }
    }
}
