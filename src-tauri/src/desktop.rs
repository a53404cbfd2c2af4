//! The app behind its window: the engine, and on this computer perhaps a NOC and a practice fleet.
//!
//! Everything starts when it is first needed. What failed to start is tried again when the window asks again.

use crate::applet_page::{self, Asked, Page};
use crate::error::{PracticeError, SetupError};
use crate::events::Feed;
use crate::local_noc::{self, LocalNoc};
use crate::local_time::Zone;
use crate::notify::desktop::{NotificationService, sound_way};
use crate::options::Options;
use crate::practice::{BEAT_INTERVAL_S, COUNT, Fleet};
use crate::quiet::Quiet;
use crate::settings::Settings;
use crate::summary::SUMMARY;
use crate::tray::{Tray, TrayView};
use crate::watch::{Sources, watch};
use crate::{action, export, sleep, summary, wall, window};
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use muster_console::applet_folder;
use muster_console::engine::{self, Engine, EngineError};
use muster_console::identity::Identity;
use muster_console::problem::Explain;
use muster_console::view::{
    AppletPreview, ApplicationChecked, Capabilities, Event, ImportReport, NocLink, NotificationState, PracticeKnobs,
    ProblemView, SiteSetup, StartView,
};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;
use tauri::ipc::Channel;
use tauri::{AppHandle, Manager};
use tokio::sync::{Mutex, OnceCell, mpsc};

/// Seconds between beats of a site of real appliances.
const REAL_BEAT_INTERVAL_S: u32 = 60;
/// How long the window waits to hear whether the NOC answers before it shows what is known without it.
const LINK_WITHIN: Duration = Duration::from_secs(5);

/// How long quitting may take.
const STOP_WITHIN: Duration = Duration::from_secs(12);

/// The app's state.
pub(crate) struct Desktop {
    app: AppHandle,
    folder: PathBuf,
    /// The size of the fleet when the whole app is practice.
    practice: Option<u16>,
    /// Folders of applets that their vendor works on.
    applets: Vec<PathBuf>,
    engine: OnceCell<Engine>,
    local: Mutex<Local>,
    feed: Feed,
    /// That of the tray's pop-up.
    summary: Feed,
    settings: Settings,
    /// Absent until the engine runs, and on a desktop that has no session bus.
    tray: OnceLock<Tray>,
}

/// What runs here besides the engine.
#[derive(Default)]
struct Local {
    noc: Option<LocalNoc>,
    fleet: Option<Fleet>,
}

impl Desktop {
    /// Nothing is started yet; `folder` is made when something is.
    pub(crate) fn new(app: AppHandle, folder: PathBuf, options: &Options) -> Self {
        Self {
            app,
            settings: Settings::open(&folder),
            folder,
            practice: options.practice,
            applets: options.applet.clone(),
            engine: OnceCell::new(),
            local: Mutex::default(),
            feed: Feed::default(),
            summary: Feed::default(),
            tray: OnceLock::new(),
        }
    }

    /// The engine, started if need be.
    pub(crate) async fn engine(&self) -> Result<&Engine, ProblemView> {
        self.engine.get_or_try_init(|| self.start()).await
    }

    async fn start(&self) -> Result<Engine, ProblemView> {
        let mut local = self.local.lock().await;
        if local.noc.is_none() && LocalNoc::exists(&self.noc_folder()) {
            local.noc = Some(LocalNoc::open(self.noc_folder()).await?);
        }
        let remembered = practice_count(&self.folder);
        if let Some(count) = self.practice.or(remembered).filter(|_| local.fleet.is_none()) {
            match Fleet::start(count, &self.fleet_folder()).await {
                Ok(fleet) => local.fleet = Some(fleet),
                // Real appliances are not to be left alone because the practice ones are missing.
                Err(error) if self.practice.is_none() => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "no practice fleet");
                }
                Err(error) => return Err(error.problem()),
            }
        }
        let engine = Engine::start(engine::Options {
            targets: local.fleet.iter().map(|fleet| fleet.target).collect(),
            // Practice stays on this computer.
            lan: self.practice.is_none(),
            ..engine::Options::new(&self.folder)
        });
        let engine = engine.await.map_err(|error| error.problem())?;
        let joined = Identity::load(&self.folder).map_err(|error| error.problem())?.is_some();
        if self.practice.is_some() {
            let setup = practice_site();
            let options = local_noc::loopback().map_err(|source| SetupError::Address { source }.problem())?;
            let invite = self.set_up(&mut local, &setup, options).await?;
            if !joined {
                engine.join(&invite).await.map_err(|error| error.problem())?;
            }
        }
        if joined || self.practice.is_some() {
            link_known(&engine).await;
        }
        drop(local);
        self.watch(&engine);
        Ok(engine)
    }

    /// Brings NOC, site, fleet and inventory to what `setup` says, whatever an earlier attempt left; an invite to it.
    async fn set_up(
        &self,
        local: &mut Local,
        setup: &SiteSetup,
        options: muster_noc::Options,
    ) -> Result<String, ProblemView> {
        let noc = match &mut local.noc {
            Some(noc) => noc,
            none => none.insert(LocalNoc::create(self.noc_folder(), options).await?),
        };
        let interval = if setup.practice { BEAT_INTERVAL_S } else { REAL_BEAT_INTERVAL_S };
        noc.site(setup, interval).await?;
        if setup.practice {
            let fleet = match &mut local.fleet {
                Some(fleet) => fleet,
                none => {
                    let fleet = Fleet::start(self.practice.unwrap_or(COUNT), &self.fleet_folder()).await;
                    none.insert(fleet.map_err(|error| error.problem())?)
                }
            };
            let report = noc.import(fleet.manifest.clone()).await?;
            if let Some(error) = report.errors.first() {
                return Err(SetupError::Manifest { message: error.message.clone() }.problem());
            }
        }
        noc.invite().await
    }

    /// What the window asks first.
    pub(crate) async fn start_view(&self) -> Result<StartView, ProblemView> {
        let engine = self.engine().await?;
        let local = self.local.lock().await;
        let knobs = match &local.fleet {
            Some(fleet) => fleet.knobs().await,
            None => PracticeKnobs::default(),
        };
        Ok(StartView {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            capabilities: Capabilities {
                lan: true,
                local_noc: true,
                manage_noc: local.noc.is_some(),
                practice: local.fleet.is_some(),
                applet_preview: !self.applets.is_empty(),
            },
            noc: engine.noc(),
            knobs,
        })
    }

    /// Pushes everything to a window, now and from now on.
    pub(crate) async fn subscribe(&self, window: &str, channel: Channel<Vec<Event>>) -> Result<(), ProblemView> {
        let feed = if window == SUMMARY { &self.summary } else { &self.feed };
        feed.subscribe(channel, batches(self.engine().await?));
        Ok(())
    }

    /// Makes this computer its own NOC, and joins it.
    pub(crate) async fn use_this_computer(&self, setup: SiteSetup) -> Result<(), ProblemView> {
        let engine = self.engine().await?;
        let mut local = self.local.lock().await;
        if engine.noc() != NocLink::NotJoined {
            return Err(SetupError::AlreadyJoined.problem());
        }
        let had_noc = local.noc.is_some();
        let invite = match self.set_up(&mut local, &setup, local_noc::on_network(&setup.noc_address)).await {
            Ok(invite) => invite,
            Err(problem) => {
                // The form is corrected and sent again, perhaps with another address: a NOC that nobody has used yet
                // must not stand in the way.
                if !had_noc && let Some(noc) = local.noc.take() {
                    noc.stop().await;
                }
                if !had_noc {
                    self.remove_unused_noc();
                }
                return Err(problem);
            }
        };
        if let Some(fleet) = &local.fleet {
            engine.set_targets(vec![fleet.target]).await.map_err(|error| error.problem())?;
            remember_practice(&self.folder, COUNT).map_err(|source| SetupError::Remember { source }.problem())?;
        }
        engine.join(&invite).await.map_err(|error| error.problem())?;
        link_known(engine).await;
        Ok(())
    }

    /// Joins a NOC elsewhere.
    pub(crate) async fn join(&self, invite: &str) -> Result<(), ProblemView> {
        let engine = self.engine().await?;
        engine.join(invite).await.map_err(|error| error.problem())?;
        link_known(engine).await;
        Ok(())
    }

    /// Saves a job's summary where the administrator wants it.
    pub(crate) async fn export_job(&self, id: u32) -> Result<Option<String>, ProblemView> {
        let csv = self.engine().await?.job_csv(id).await.map_err(|error| error.problem())?;
        export::save(&self.app, &format!("muster-job-{id}.csv"), csv).await.map_err(|error| error.problem())
    }

    /// Takes a vendor's manifest into the NOC of this computer.
    pub(crate) async fn import_manifest(&self, csv: String) -> Result<ImportReport, ProblemView> {
        match &self.local.lock().await.noc {
            Some(noc) => noc.import(csv).await,
            None => Err(SetupError::NocElsewhere.problem()),
        }
    }

    /// Turns the practice fleet's knobs.
    pub(crate) async fn set_knobs(&self, knobs: PracticeKnobs) -> Result<(), ProblemView> {
        match &self.local.lock().await.fleet {
            Some(fleet) => fleet.turn(knobs).await.map_err(|error| error.problem()),
            None => Err(PracticeError::NotRunning.problem()),
        }
    }

    /// The applets in the folders that the command line names, as they are now.
    pub(crate) async fn applet_previews(&self, language: String) -> Result<Vec<AppletPreview>, ProblemView> {
        let folders = self.applets.clone();
        let read = move || Ok(folders.iter().map(|folder| applet_folder::preview(folder, &language)).collect());
        local_noc::blocking(read).await
    }

    /// Judges values by the form of one of them.
    pub(crate) async fn check_preview(&self, name: String, values: Value) -> Result<ApplicationChecked, ProblemView> {
        let folders = self.applets.clone();
        let judge = move || {
            for folder in &folders {
                match applet_folder::check(folder, &name, &values) {
                    Ok(None) => {}
                    Ok(Some(checked)) => return Ok(checked),
                    Err(error) => return Err(error.problem()),
                }
            }
            Err(EngineError::NoSuchApplet { name }.problem())
        };
        local_noc::blocking(judge).await
    }

    /// The own page of an applet: of one in a folder that the command line names, else of one that the site has.
    pub(crate) async fn applet_page(&self, asked: &Asked) -> Option<Page> {
        if let Some(page) = self.applets.iter().find_map(|folder| applet_page::preview(folder, asked)) {
            return Some(page);
        }
        let files = self.engine().await.ok()?.applet_page(asked.site, &asked.name, &asked.version)?;
        Some(Page { html: files.html, css: files.css, logic: files.logic })
    }

    /// What is set about notifications.
    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The settings of notifications, and what this desktop can do of them.
    pub(crate) async fn notification_state(&self) -> NotificationState {
        let settings = self.settings.get();
        let quiet = Quiet::of(&settings, &Zone::system(), wall());
        let until = match quiet {
            Some(Quiet::Until(at) | Quiet::Hours(at)) => u32::try_from(at).ok(),
            Some(Quiet::Open) | None => None,
        };
        NotificationState {
            settings,
            note: self.settings.note(),
            quiet: quiet.is_some(),
            quiet_until: until,
            sound: sound_way().await,
        }
    }

    /// Whether the tray can bring the window back, and end the app.
    pub(crate) fn has_tray(&self) -> bool {
        self.tray.get().is_some_and(Tray::is_visible)
    }

    /// Shows the window, and in it an appliance or the alerts.
    pub(crate) fn open_at(&self, uid: Option<String>) {
        // It covers what it opened; whoever clicks in it has chosen.
        summary::close(&self.app);
        window::raise(&self.app);
        self.feed.navigate(uid);
    }

    /// Ends what runs here, in good order, in the time that somebody who quits is willing to wait.
    pub(crate) async fn stop(&self) {
        if tokio::time::timeout(STOP_WITHIN, self.stop_all()).await.is_err() {
            tracing::warn!("not everything ended in good order; what was acknowledged is on disk");
        }
    }

    async fn stop_all(&self) {
        if let Some(engine) = self.engine.get() {
            engine.shutdown().await;
        }
        let Local { noc, fleet } = std::mem::take(&mut *self.local.lock().await);
        if let Some(fleet) = fleet {
            fleet.stop().await;
        }
        if let Some(noc) = noc {
            noc.stop().await;
        }
    }

    /// Keeps tray and notifications going for as long as the engine runs.
    fn watch(&self, engine: &Engine) {
        let (app, engine, batches) = (self.app.clone(), engine.clone(), batches(engine));
        let folder = self.folder.clone();
        tauri::async_runtime::spawn(async move {
            let (chosen, actions) = mpsc::unbounded_channel();
            let (told, results) = mpsc::unbounded_channel();
            let service = NotificationService::new(chosen.clone());
            let desktop = app.state::<Desktop>();
            match Tray::start(&app, TrayView::unknown(), chosen).await {
                // The engine starts once, so there is none yet.
                Ok(tray) => drop(desktop.tray.set(tray)),
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "this desktop shows no tray icon");
                }
            }
            let (woken, woke) = mpsc::unbounded_channel();
            let sources = Sources { engine, batches, results, woke, settings: desktop.settings(), folder: &folder };
            tokio::join!(
                watch(sources, desktop.tray.get(), service),
                action::follow(&app, actions, told),
                sleep::follow(woken),
            );
        });
    }

    fn noc_folder(&self) -> PathBuf {
        self.folder.join("noc")
    }

    fn fleet_folder(&self) -> PathBuf {
        self.folder.join("fleet")
    }

    fn remove_unused_noc(&self) {
        if let Err(error) = std::fs::remove_dir_all(self.noc_folder())
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(error = &error as &dyn std::error::Error, "an unused NOC stays on disk");
        }
    }
}

/// A replay, and what follows it.
fn batches(engine: &Engine) -> BoxStream<'static, Vec<Event>> {
    let (replay, subscription) = engine.subscribe();
    let following = futures_util::stream::unfold(subscription, |mut subscription| async move {
        subscription.next().await.map(|batch| (batch, subscription))
    });
    futures_util::stream::iter([replay]).chain(following).boxed()
}

/// Waits until it is known whether the NOC answers: the window would otherwise ask the question of a first start.
async fn link_known(engine: &Engine) {
    let (_, mut subscription) = engine.subscribe();
    let known = async { while engine.noc() == NocLink::NotJoined && subscription.next().await.is_some() {} };
    // Without an answer the window shows what is known, and hears of the connection when there is one.
    let _ = tokio::time::timeout(LINK_WITHIN, known).await;
}

/// A network for practice: RFC 2544's, which is on nobody's cable, with room for ten thousand.
fn practice_site() -> SiteSetup {
    SiteSetup {
        name: "Practice".to_owned(),
        pool: "198.18.0.10-198.18.255.250".to_owned(),
        netmask: "255.255.0.0".to_owned(),
        gateway: "198.18.0.1".to_owned(),
        domain: "practice.example".to_owned(),
        dns1: "198.18.0.2".to_owned(),
        dns2: "198.18.0.3".to_owned(),
        pool6: String::new(),
        gateway6: String::new(),
        host_name: "{model}-{n:03}".to_owned(),
        noc_address: String::new(),
        practice: true,
    }
}

/// Whether a practice fleet belongs to the NOC of this computer, and how large it is.
fn practice_count(folder: &Path) -> Option<u16> {
    std::fs::read_to_string(folder.join("practice")).ok()?.trim().parse().ok().filter(|count| *count > 0)
}

fn remember_practice(folder: &Path, count: u16) -> std::io::Result<()> {
    std::fs::write(folder.join("practice"), format!("{count}\n"))
}
