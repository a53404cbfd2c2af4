//! That this computer slept: what was known before is old, and connections that look whole are dead.
//!
//! `logind` says so on Linux; everywhere, the clock on the wall ran ahead of the one that stands still during sleep.

use tokio::sync::mpsc;
use tokio::time::Instant;

/// A wall clock that runs ahead by more was set, or this computer slept: either is a reason to look anew.
const AHEAD_S: u64 = 20;

/// The two clocks.
#[derive(Debug)]
pub(crate) struct Clocks {
    running: Instant,
    wall: u64,
}

impl Clocks {
    /// As they are now.
    pub(crate) fn new(running: Instant, wall: u64) -> Self {
        Self { running, wall }
    }

    /// Whether this computer slept since the last look.
    pub(crate) fn slept(&mut self, running: Instant, wall: u64) -> bool {
        let ran = running.duration_since(self.running).as_secs();
        let passed = wall.saturating_sub(self.wall);
        *self = Self { running, wall };
        passed > ran + AHEAD_S
    }
}

/// Tells `woke` whenever `logind` says that a sleep is over, for as long as somebody listens.
#[cfg(target_os = "linux")]
pub(crate) async fn follow(woke: mpsc::UnboundedSender<()>) {
    if let Err(error) = logind::follow(&woke).await {
        // The clocks say it, too, a little later.
        tracing::info!(error = &error as &dyn std::error::Error, "logind does not tell when this computer sleeps");
    }
}

/// Other systems have the clocks.
#[cfg(not(target_os = "linux"))]
pub(crate) async fn follow(_woke: mpsc::UnboundedSender<()>) {}

#[cfg(target_os = "linux")]
mod logind {
    use futures_util::StreamExt;
    use tokio::sync::mpsc;

    #[zbus::proxy(
        interface = "org.freedesktop.login1.Manager",
        default_service = "org.freedesktop.login1",
        default_path = "/org/freedesktop/login1"
    )]
    trait Logind {
        /// Before a sleep with `true`, after it with `false`.
        #[zbus(signal)]
        fn prepare_for_sleep(&self, start: bool) -> zbus::Result<()>;
    }

    pub(super) async fn follow(woke: &mpsc::UnboundedSender<()>) -> zbus::Result<()> {
        follow_on(zbus::Connection::system().await?, woke).await
    }

    pub(super) async fn follow_on(connection: zbus::Connection, woke: &mpsc::UnboundedSender<()>) -> zbus::Result<()> {
        let mut signals = LogindProxy::new(&connection).await?.receive_prepare_for_sleep().await?;
        while let Some(signal) = signals.next().await {
            if signal.args().is_ok_and(|arguments| !arguments.start) && woke.send(()).is_err() {
                break;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn logind_says_when_a_sleep_is_over() {
        use std::io::BufRead;
        struct Logind;
        #[zbus::interface(name = "org.freedesktop.login1.Manager")]
        impl Logind {
            #[zbus(signal)]
            async fn prepare_for_sleep(
                emitter: &zbus::object_server::SignalEmitter<'_>,
                start: bool,
            ) -> zbus::Result<()>;
        }
        let mut daemon = std::process::Command::new("dbus-daemon")
            .args(["--session", "--nofork", "--nopidfile", "--print-address=1"])
            .stdout(std::process::Stdio::piped())
            .spawn()
            .expect("dbus-daemon");
        let mut address = String::new();
        let output = daemon.stdout.take().expect("piped");
        std::io::BufReader::new(output).read_line(&mut address).expect("it names its address");
        let connect = || zbus::connection::Builder::address(address.trim()).expect("an address");
        let path = "/org/freedesktop/login1";
        let system = connect().serve_at(path, Logind).expect("served").name("org.freedesktop.login1").expect("a name");
        let system = system.build().await.expect("on the bus");
        let own = connect().build().await.expect("on the bus");
        let (woken, mut woke) = mpsc::unbounded_channel();
        let following = tokio::spawn(async move { logind::follow_on(own, &woken).await });
        let emitter = zbus::object_server::SignalEmitter::new(&system, path).expect("an emitter");
        // Until the other side listens, nobody hears.
        let heard = async {
            loop {
                for start in [true, false] {
                    Logind::prepare_for_sleep(&emitter, start).await.expect("told");
                }
                if tokio::time::timeout(Duration::from_millis(50), woke.recv()).await.is_ok() {
                    return;
                }
            }
        };
        let heard = tokio::time::timeout(Duration::from_secs(30), heard).await;
        following.abort();
        daemon.kill().expect("ended");
        daemon.wait().expect("ended");
        heard.expect("it is told");
    }

    #[test]
    fn a_wall_clock_that_ran_ahead_means_sleep() {
        let start = Instant::now();
        let mut clocks = Clocks::new(start, 1_000);
        let after = |seconds| start + Duration::from_secs(seconds);
        assert!(!clocks.slept(after(600), 1_600), "time passes");
        assert!(!clocks.slept(after(610), 1_625), "a clock is corrected");
        assert!(clocks.slept(after(611), 5_000), "it slept");
        assert!(!clocks.slept(after(620), 5_009), "once");
        assert!(!clocks.slept(after(630), 4_000), "a clock that is set back says nothing");
    }
}
