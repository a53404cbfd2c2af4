//! The commands of the window and the command line.

use super::lan::Command;
use super::roster::beat_view;
use super::{Engine, EngineError, entropy, unix_now};
use crate::check::{self, Other};
use crate::files::computer_name;
use crate::jobs::JobError;
use crate::noc_client::{self, NocClient};
use crate::problem::{Explain, problem};
use crate::store::{MessageKey, StoredItem, StoredJob};
use crate::view::{
    BeatView, CellError, Chosen, DiscoveryView, EditedRow, JobStep, JobView, PlanRowView, PlanView, ProblemView,
    RowOwnership, Settings, is_under_way, seconds,
};
use crate::{export, view};
use data_encoding::BASE64;
use muster_protocol::api::{PlanFor, PlanRequest, PlanRow, Provisioning};
use muster_protocol::crypto::claim::ClaimSecret;
use muster_protocol::crypto::random;
use muster_protocol::delivery::Wants;
use muster_protocol::id::{SiteId, Uid};
use muster_protocol::parameters::RawSettings;
use muster_protocol::wire::here::State;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use tokio::sync::oneshot;

impl Engine {
    /// Calls the roll, anew if it is under way.
    pub async fn discover(&self) -> Result<(), EngineError> {
        let (begun, has_begun) = oneshot::channel();
        self.send(Command::Discover { begun }).await?;
        has_begun.await.map_err(|_| EngineError::Ended)
    }

    /// Calls the roll, and waits for its end.
    pub async fn roll_call(&self) -> Result<DiscoveryView, EngineError> {
        let (_, mut events) = self.subscribe();
        self.discover().await?;
        loop {
            let discovery = self.discovery();
            if !discovery.running {
                return Ok(discovery);
            }
            if events.next().await.is_none() {
                return Err(EngineError::Ended);
            }
        }
    }

    /// Sends the kick-start of an appliance once more, if it has applied settings of a job of this console and waits for it;
    /// true then.
    pub(super) async fn kick(&self, uid: Uid) -> Result<bool, EngineError> {
        let (answer, answered) = oneshot::channel();
        self.send(Command::Kick { uid, answer }).await?;
        answered.await.map_err(|_| EngineError::Ended)
    }

    /// Says at the NOC that an alert was seen, and what there is to say of it.
    pub async fn acknowledge(&self, alert: u32, note: &str) -> Result<(), EngineError> {
        let client = self.client()?;
        let alert = client.acknowledge(u64::from(alert), note).await?;
        self.inner.shared.change(|state| state.alert(alert));
        Ok(())
    }

    /// Has the NOC tell nobody of an alert for so many seconds.
    pub async fn silence(&self, alert: u32, seconds: u32) -> Result<(), EngineError> {
        let client = self.client()?;
        let alert = client.silence(u64::from(alert), seconds).await?;
        self.inner.shared.change(|state| state.alert(alert));
        Ok(())
    }

    /// Ends the roll call; who was heard stays.
    pub async fn stop_discovery(&self) -> Result<(), EngineError> {
        self.send(Command::StopDiscovery).await
    }

    /// Changes the extra addresses that are pinged.
    pub async fn set_targets(&self, targets: Vec<SocketAddr>) -> Result<(), EngineError> {
        self.send(Command::Targets(targets)).await
    }

    /// Enrols this console with an invite and connects. An unused invite stays good when this fails.
    pub async fn join(&self, invite: &str) -> Result<(), EngineError> {
        if let Some(job) = self.jobs().iter().find(|job| job.finished.is_none()) {
            return Err(EngineError::JobRunning { job: job.id });
        }
        let seed = random::<32>(&mut *entropy());
        let identity = noc_client::join(invite, &computer_name(), seed, unix_now()).await?;
        let client = NocClient::new(&identity)?;
        let (folder, keyring) = (self.inner.options.data_dir.clone(), self.inner.options.keyring);
        let kept = tokio::task::spawn_blocking(move || identity.save(&folder, keyring).map(|()| identity)).await;
        let identity = kept.map_err(|_| EngineError::Ended)??;
        self.send(Command::Identity(Box::new(identity))).await?;
        self.inner.client.send_replace(Some(client));
        Ok(())
    }

    /// What appliances would get by the site's policy. Their addresses are held for a while.
    pub async fn plan(&self, site: u32, chosen: Vec<Chosen>) -> Result<PlanView, EngineError> {
        let site = SiteId(site);
        let client = self.client()?;
        let uids = distinct(chosen.iter().map(|chosen| chosen.uid.as_str()))?;
        let mut refused = BTreeMap::new();
        let mut appliances = Vec::new();
        for (uid, chosen) in uids.iter().zip(&chosen) {
            match self.plan_for(uid, chosen.claim.as_deref()) {
                Ok(appliance) => appliances.push(appliance),
                Err(why) => drop(refused.insert(*uid, why)),
            }
        }
        let (expires, mut planned) = if appliances.is_empty() {
            (unix_now().0, BTreeMap::new())
        } else {
            let plan = client.plan(&PlanRequest { site, appliances }).await?;
            (plan.expires, plan.rows.into_iter().map(|row| (row.uid, row)).collect::<BTreeMap<_, _>>())
        };
        let rows = uids.iter().map(|uid| self.plan_row(uid, planned.remove(uid), refused.remove(uid))).collect();
        Ok(PlanView { site: site.0, expires: seconds(expires), rows })
    }

    /// Everything that is wrong with edited rows, at its cell.
    pub async fn check(&self, site: u32, rows: Vec<EditedRow>) -> Result<Vec<CellError>, EngineError> {
        let uids = distinct(rows.iter().map(|row| row.uid.as_str()))?;
        let rows: Vec<_> = uids.into_iter().zip(rows.into_iter().map(|row| RawSettings::from(row.settings))).collect();
        Ok(self.findings(SiteId(site), &rows))
    }

    /// Makes a job of checked rows and begins it; its number. The job is on disk when this returns.
    pub async fn configure(&self, site: u32, rows: Vec<EditedRow>) -> Result<u32, EngineError> {
        self.configure_for(site, rows, None).await
    }

    /// [`Engine::configure`], for a message of the NOC: it becomes the job, or is still to be carried out.
    pub(super) async fn configure_for(
        &self,
        site: u32,
        rows: Vec<EditedRow>,
        message: Option<MessageKey>,
    ) -> Result<u32, EngineError> {
        let site = SiteId(site);
        self.client()?;
        let uids = distinct(rows.iter().map(|row| row.uid.as_str()))?;
        let rows: Vec<_> = uids.into_iter().zip(rows.into_iter().map(|row| RawSettings::from(row.settings))).collect();
        if rows.is_empty() {
            return Err(EngineError::NothingChosen);
        }
        // Before the first word from the NOC no site is known, and it decides anyway.
        let known = self.inner.shared.read(|state| state.sites.is_empty() || state.sites.iter().any(|s| s.id == site));
        if !known {
            return Err(EngineError::NoSuchSite { site });
        }
        let findings = self.findings(site, &rows);
        if !findings.is_empty() {
            return Err(EngineError::Check { findings });
        }
        let _one_at_a_time = self.inner.configuring.lock().await;
        let items = self.items(&rows)?;
        let started = unix_now().0;
        let stored = items.clone();
        let id = self.with_store(move |store| store.create_job(site, started, &stored, message)).await?;
        let job = StoredJob { id, site, started, finished: None, cancelled: false, items };
        // Shown before anything else can be asked, so that a second job cannot take the same appliances.
        self.inner.shared.change(|state| state.put_job(crate::jobs::job_view(&job)));
        self.send(Command::AddJob(job)).await?;
        Ok(id)
    }

    /// What `read` makes of a job, without a copy of all its appliances.
    pub fn with_job<T>(&self, id: u32, read: impl FnOnce(&JobView) -> T) -> Option<T> {
        self.inner.shared.read(|state| state.job(id).map(read))
    }

    /// Stops what has not begun; appliances in the middle are finished first.
    pub async fn cancel_job(&self, id: u32) -> Result<(), EngineError> {
        let (answer, answered) = oneshot::channel();
        self.send(Command::Cancel { id, answer }).await?;
        Ok(answered.await.map_err(|_| EngineError::Ended)??)
    }

    /// Starts failed and cancelled appliances of a job again; all of them if none are named.
    pub async fn retry_job(&self, id: u32, uids: Vec<String>) -> Result<(), EngineError> {
        let uids = distinct(uids.iter().map(String::as_str))?;
        let _one_at_a_time = self.inner.configuring.lock().await;
        let (answer, answered) = oneshot::channel();
        self.send(Command::Retry { id, uids, answer }).await?;
        Ok(answered.await.map_err(|_| EngineError::Ended)??)
    }

    /// Beats of one appliance since a time, oldest first.
    pub async fn beats(&self, uid: &str, since: u32) -> Result<Vec<BeatView>, EngineError> {
        let uid: Uid = uid.parse()?;
        let beats = self.client()?.beats(&uid, u64::from(since)).await?;
        Ok(beats.iter().map(|beat| beat_view(beat.at, &beat.values)).collect())
    }

    /// The summary of a job as CSV.
    pub async fn job_csv(&self, id: u32) -> Result<String, EngineError> {
        let job = self.job(id).ok_or(JobError::Unknown { id })?;
        Ok(export::job(&job))
    }

    /// A remembered preference.
    pub async fn get_preference(&self, key: &str) -> Result<Option<String>, EngineError> {
        let key = key.to_owned();
        self.with_store(move |store| store.preference(&key)).await
    }

    /// Remembers a preference.
    pub async fn set_preference(&self, key: &str, value: &str) -> Result<(), EngineError> {
        let (key, value) = (key.to_owned(), value.to_owned());
        self.with_store(move |store| store.set_preference(&key, &value)).await
    }

    async fn send(&self, command: Command) -> Result<(), EngineError> {
        self.inner.lan.send(command).await.map_err(|_| EngineError::Ended)
    }

    fn client(&self) -> Result<NocClient, EngineError> {
        self.inner.client.borrow().clone().ok_or(EngineError::NotJoined)
    }

    fn plan_for(&self, uid: &Uid, claim: Option<&str>) -> Result<PlanFor, ProblemView> {
        let claim = claim.map(str::trim).filter(|claim| !claim.is_empty());
        if let Some(Err(error)) = claim.map(str::parse::<ClaimSecret>) {
            return Err(problem("bad_claim", error.to_string(), "Read the code on the label again."));
        }
        let heard = self.inner.shared.read(|state| {
            let answer = state.roster.answer(uid);
            // Of one that the NOC has configured it knows what it needs, unless it was reset.
            let is_known = state.roster.known(uid).is_some_and(|known| known.provisioning == Provisioning::Configured);
            answer.map(|heard| {
                let is_followed = is_known && heard.state != State::Unconfigured;
                let here = (!is_followed).then(|| BASE64.encode(&heard.signed));
                (heard.device_key, heard.mac, Wants::of(heard.state, heard.proof), here)
            })
        });
        let (device_key, mac, wants, here) =
            heard.ok_or_else(|| EngineError::NotHeard { uids: vec![*uid] }.problem())?;
        let (device_key, claim) = (device_key.to_base64(), claim.map(str::to_owned));
        Ok(PlanFor { device_key, mac, claim, wants_voucher: wants == Wants::Voucher, here })
    }

    fn plan_row(&self, uid: &Uid, planned: Option<PlanRow>, refused: Option<ProblemView>) -> PlanRowView {
        let row = self.inner.shared.read(|state| state.roster.row(uid));
        let (mac, model, current) = row.map(|row| (row.mac, row.model, row.settings)).unwrap_or_default();
        let known = self.inner.shared.read(|state| state.roster.known(uid).is_some());
        let view = PlanRowView {
            uid: uid.to_string(),
            mac,
            model,
            ownership: if known { RowOwnership::Owned } else { RowOwnership::Unclaimed },
            settings: Settings::default(),
            current,
            rules: BTreeMap::new(),
            problem: refused,
        };
        let Some(planned) = planned else {
            let missing = || problem("no_plan", "the NOC did not answer for this appliance", "Plan again.");
            return PlanRowView { problem: view.problem.clone().or_else(|| Some(missing())), ..view };
        };
        PlanRowView {
            ownership: planned.ownership.into(),
            settings: planned.settings.map(Settings::from).unwrap_or_default(),
            rules: planned.rules,
            problem: planned.problem.map(|refused| noc_client::NocError::Refused(refused).problem()),
            ..view
        }
    }

    fn findings(&self, site: SiteId, rows: &[(Uid, RawSettings)]) -> Vec<CellError> {
        let planned: BTreeSet<Uid> = rows.iter().map(|(uid, _)| *uid).collect();
        self.inner.shared.read(|state| {
            // What was replaced gave its address and name to another one, whatever it answered while it lived.
            let is_replaced =
                |uid: &&Uid| state.roster.known(uid).is_some_and(|known| known.provisioning == Provisioning::Replaced);
            let others: Vec<Other> = state
                .roster
                .uids()
                .difference(&planned)
                .filter(|uid| !is_replaced(uid))
                .map(|uid| Other {
                    name: state.roster.name(uid),
                    settings: state.roster.settings(uid).into(),
                    addresses: state.roster.peer(uid).and_then(|peer| usable_v4(peer.address)).into_iter().collect(),
                })
                .collect();
            check::check(state.sites.iter().find(|known| known.id == site), rows, &others)
        })
    }

    fn items(&self, rows: &[(Uid, RawSettings)]) -> Result<Vec<StoredItem>, EngineError> {
        let mut items = Vec::new();
        let mut silent = Vec::new();
        self.inner.shared.read(|state| {
            let busy = |uid: &Uid| {
                let text = uid.to_string();
                let held = |item: &view::JobItemView| item.uid == text && is_under_way(item.step);
                state
                    .job_views()
                    .iter()
                    .find(|job| job.finished.is_none() && job.items.iter().any(held))
                    .map(|job| job.id)
            };
            for (uid, settings) in rows {
                if state.roster.is_under_way(uid)
                    && let Some(job) = busy(uid)
                {
                    return Err(JobError::Busy { uid: *uid, job });
                }
                match state.roster.answer(uid) {
                    Some(heard) => items.push(StoredItem {
                        uid: *uid,
                        mac: heard.mac,
                        device_key: heard.device_key,
                        // Checked before, so this is what the appliance will have.
                        settings: settings.tidied(),
                        grant: None,
                        saved: None,
                        step: JobStep::Waiting,
                        attempts: 0,
                        problem: None,
                    }),
                    None => silent.push(*uid),
                }
            }
            Ok(())
        })?;
        if silent.is_empty() { Ok(items) } else { Err(EngineError::NotHeard { uids: silent }) }
    }
}

fn distinct<'a>(uids: impl Iterator<Item = &'a str>) -> Result<Vec<Uid>, EngineError> {
    let mut seen = BTreeSet::new();
    let mut list = Vec::new();
    for text in uids {
        let uid: Uid = text.parse()?;
        if !seen.insert(uid) {
            return Err(EngineError::Twice { uid });
        }
        list.push(uid);
    }
    Ok(list)
}

fn usable_v4(address: SocketAddr) -> Option<std::net::Ipv4Addr> {
    match address.ip() {
        IpAddr::V4(ip) if !ip.is_unspecified() && !ip.is_loopback() => Some(ip),
        _ => None,
    }
}
