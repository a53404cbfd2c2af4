//! What a daemon could not be told because it was away or hung, told when it is back.

use super::back_end::Place;
use super::former::Former;
use super::netlink::Netlink;
use super::resolver::Owner;
use super::{NetworkError, files, host_name};
use muster_protocol::parameters::NetworkSettings;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::Mutex;

/// How often it is tried, and how many times: for an hour.
const EVERY: Duration = Duration::from_secs(5);
const ATTEMPTS: usize = 720;

/// One change of this host's network at a time; counts them.
pub(super) static TURN: Mutex<u64> = Mutex::const_new(0);

/// What is told.
pub(super) enum Later {
    /// The former network is back. A daemon that hangs has our settings in its memory and would come back to them; one that is
    /// started again has not.
    Former(Box<Former>),
    /// Who the name servers are, at the agent's start.
    Resolver(Owner, NetworkSettings),
}

/// Tells it as long as nothing else changes the network than the change of this turn.
pub(super) fn tell(what: Later, (root, interface, patience): (PathBuf, String, Duration), turn: u64) {
    tokio::spawn(async move {
        let mut told = false;
        for _ in 0..ATTEMPTS {
            tokio::time::sleep(EVERY).await;
            let now = TURN.lock().await;
            if *now != turn {
                return;
            }
            let place = Place { root: &root, interface: &interface, patience };
            if told {
                // It may have gone on with what it was about before it heard us.
                let _ = what.settle().await;
                return;
            }
            if what.attempt(place).await.is_ok() {
                tracing::info!("the network's daemon was told what it could not be told before");
                told = true;
            }
        }
    });
}

impl Later {
    async fn attempt(&self, place: Place<'_>) -> Result<(), NetworkError> {
        let former = match self {
            Later::Former(former) => former,
            Later::Resolver(owner, settings) => return owner.tell(place, settings).await,
        };
        let place = Place { interface: &former.interface, ..place };
        former.back_end.check(place).await?;
        let netlink = Netlink::open()?;
        let index = netlink.link(&former.interface).await?.index;
        former.bring_back(place, &netlink, index).await?;
        self.settle().await
    }

    async fn settle(&self) -> Result<(), NetworkError> {
        let Later::Former(former) = self else { return Ok(()) };
        let netlink = Netlink::open()?;
        let index = netlink.link(&former.interface).await?.index;
        former.hold(&netlink, index).await?;
        files::restore(&former.files)?;
        if former.is_forgotten() { Ok(()) } else { host_name::set(&former.host_name) }
    }
}
