//! Watching over addresses in use (decision 0017): [`guard`] decides, [`super::arp`] and [`super::nd`] know how a link is asked and told,
//! this drives them with a clock.

pub mod guard;

use super::{Link, NetworkError, chain};
use guard::{Guard, Say};
use muster_protocol::id::Mac;
use muster_protocol::time::Millis;
use std::io;
use std::net::IpAddr;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// Who else claims the addresses of this appliance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Conflicts {
    /// Its IPv4 address.
    pub ipv4: Option<Mac>,
    /// Its IPv6 address.
    pub ipv6: Option<Mac>,
}

impl Conflicts {
    /// Who claims either.
    pub fn any(self) -> Option<Mac> {
        self.ipv4.or(self.ipv6)
    }

    /// Who claims the address of this family.
    pub fn of(&mut self, address: IpAddr) -> &mut Option<Mac> {
        match address {
            IpAddr::V4(_) => &mut self.ipv4,
            IpAddr::V6(_) => &mut self.ipv6,
        }
    }
}

/// How one address's link is heard, asked and told.
pub(super) trait Claims {
    /// Who claims the address next, besides this appliance. Cancel-safe.
    async fn receive(&self) -> io::Result<Mac>;
    /// The same of what is here already.
    fn take(&self) -> Option<Mac>;
    /// Says it to everybody on the link.
    fn say(&self, say: Say) -> io::Result<()>;
}

/// Claims that come faster are taken together: no flood of them costs more than this many wake-ups.
const LOOK_AT_MOST_EVERY: Duration = Duration::from_secs(1);
/// How many are taken in one go; the kernel drops the rest.
const MOST_AT_ONCE: usize = 64;
const RETRY: Duration = Duration::from_secs(10);

/// Watches over an address in use until it is dropped; `conflicts` says who else claims it.
pub async fn watch_over(link: Link, address: IpAddr, conflicts: watch::Sender<Conflicts>) {
    match address {
        IpAddr::V4(ipv4) => watch(&link, address, &conflicts, || super::arp::claims(&link, ipv4)).await,
        IpAddr::V6(ipv6) => watch(&link, address, &conflicts, || super::nd::claims(&link, ipv6)).await,
    }
}

async fn watch<C: Claims>(
    link: &Link,
    address: IpAddr,
    conflicts: &watch::Sender<Conflicts>,
    open: impl Fn() -> Result<C, NetworkError>,
) {
    let clock = Clock::start();
    let mut guard = Guard::new(clock.now());
    let mut complained = false;
    let tell = |who| {
        conflicts.send_if_modified(|told| std::mem::replace(told.of(address), who) != who);
    };
    loop {
        let error = match open() {
            Ok(claims) => serve(&mut guard, &claims, &clock, tell).await,
            Err(error) => chain(&error),
        };
        if !complained {
            tracing::warn!(error, interface = link.name, %address, "address conflicts cannot be seen; trying again");
            complained = true;
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// Until the socket fails.
async fn serve(guard: &mut Guard, claims: &impl Claims, clock: &Clock, tell: impl Fn(Option<Mac>)) -> String {
    let mut rest = false;
    loop {
        while let Some(say) = guard.poll_say() {
            if let Err(error) = claims.say(say) {
                tracing::debug!(%error, "an address could not be defended");
            }
        }
        tell(guard.conflict());
        if std::mem::take(&mut rest) {
            tokio::time::sleep(LOOK_AT_MOST_EVERY).await;
        }
        tokio::select! {
            received = claims.receive() => {
                match received {
                    Ok(by) => guard.handle_claim(clock.now(), by),
                    // An interface that is set down says so once; it may come back.
                    Err(error) if error.raw_os_error() == Some(nix::libc::ENETDOWN) => {}
                    Err(error) => return error.to_string(),
                }
                for by in std::iter::from_fn(|| claims.take()).take(MOST_AT_ONCE) {
                    guard.handle_claim(clock.now(), by);
                }
                rest = true;
            }
            () = clock.until(guard.poll_timeout()) => guard.handle_timeout(clock.now()),
        }
    }
}

/// Milliseconds since a start.
pub(super) struct Clock(Instant);

impl Clock {
    pub(super) fn start() -> Clock {
        Clock(Instant::now())
    }

    pub(super) fn now(&self) -> Millis {
        Millis(u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    pub(super) async fn until(&self, at: Option<Millis>) {
        match at {
            Some(at) => tokio::time::sleep_until(self.0 + Duration::from_millis(at.0)).await,
            None => std::future::pending().await,
        }
    }
}
