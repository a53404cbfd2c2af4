//! A NOC that is killed again and again while a fleet beats: every beat that it acknowledged is there, and none twice.

use super::client::{Connection, Identity, Target};
use super::fleet::Fleet;
use anyhow::ensure;
use muster_noc::Noc;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;

/// Kills it `kills` times under `appliances` that beat as fast as they are answered; what came of it.
pub fn soak(kills: u64, appliances: usize, seed: u64) -> anyhow::Result<Value> {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let folder = tempfile::tempdir()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let data = folder.path().join("noc");
    let fleet = Fleet::make(&data, appliances, 3_600)?;
    let mut noc = super::serve(&data, folder.path());
    let identities = runtime.block_on(fleet.enrol(appliances))?;
    let target = Target::new(fleet.address(), fleet.ca_pem())?;

    let (stop, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut beating = JoinSet::new();
    for identity in identities {
        let (target, stop, acknowledged) = (target.clone(), stop.clone(), acknowledged.clone());
        beating.spawn_on(async move { beat(&target, &identity, &stop, &acknowledged).await }, runtime.handle());
    }
    let mut state = seed | 1;
    for kill in 0..kills {
        let before = acknowledged.load(Ordering::SeqCst);
        crate::wait::until("beats after the last kill", Duration::from_secs(60), || {
            let now = acknowledged.load(Ordering::SeqCst);
            (now > before + 20).then_some(()).ok_or(format!("kill {kill}: {now} acknowledged"))
        });
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        std::thread::sleep(Duration::from_millis(state % 300));
        noc.kill();
        noc = super::serve(&data, folder.path());
    }
    stop.store(true, Ordering::SeqCst);
    // Each ends when its last beat is acknowledged, too.
    let all = runtime.block_on(async { beating.join_all().await });
    let (mut sent, mut repeated) = (0, 0);
    for one in all {
        let (counted, again) = one?;
        (sent, repeated) = (sent + counted, repeated + again);
    }
    noc.kill();
    let held = held(&data)?;
    ensure!(held.0 == sent, "seed {seed}: {sent} beats were acknowledged, and {} are there", held.0);
    ensure!(held.1 == sent, "seed {seed}: {sent} beats were acknowledged, and {} are there once it is folded", held.1);
    ensure!(repeated > 0, "no kill met a beat");
    Ok(
        json!({ "soak": "beats", "kills": kills, "appliances": appliances, "acknowledged": sent, "repeated": repeated, "seed": seed }),
    )
}

/// Before and after the journal is folded.
fn held(data: &Path) -> anyhow::Result<(u64, u64)> {
    let noc = Noc::open(data)?;
    let before = noc.beats_held()?;
    noc.fold_history()?;
    Ok((before, noc.beats_held()?))
}

/// Beats until it is told to stop, each the same again until it is acknowledged; how many, and how many tries came to nothing.
async fn beat(
    target: &Target,
    identity: &Identity,
    stop: &AtomicBool,
    acknowledged: &AtomicU64,
) -> anyhow::Result<(u64, u64)> {
    let (boot, config) = (super::client::random_boot()?, identity.config(target, true)?);
    let (mut counter, mut again, mut connection) = (0, 0, None::<Connection>);
    while !stop.load(Ordering::SeqCst) {
        loop {
            if connection.is_none() {
                connection = Connection::open(target, config.clone(), identity.seq()).await.ok();
            }
            if let Some(open) = &mut connection {
                open.go_on(boot, counter);
                if open.beat().await.is_ok() {
                    break;
                }
                again += 1;
            }
            connection = None;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        counter += 1;
        acknowledged.fetch_add(1, Ordering::SeqCst);
    }
    Ok((counter, again))
}
