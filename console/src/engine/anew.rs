//! Asking anew: the NOC, over a new connection, and an appliance.

use super::{Engine, EngineError};
use crate::identity::Identity;
use crate::noc_client::NocClient;
use crate::view::{CheckedView, NocLink};
use muster_protocol::id::Uid;

impl Engine {
    /// Fetches everything from the NOC over a new connection, and says how it stands then. After a sleep of this computer the
    /// connection looks whole, and nothing comes over it.
    pub async fn refresh(&self) -> Result<NocLink, EngineError> {
        let folder = self.inner.options.data_dir.clone();
        let loaded = tokio::task::spawn_blocking(move || Identity::load(&folder)).await;
        let identity = loaded.map_err(|_| EngineError::Ended)??.ok_or(EngineError::NotJoined)?;
        let anew = NocClient::new(&identity)?;
        let mut synced = self.inner.synced.clone();
        let before = synced.borrow().begun;
        self.inner.client.send_if_modified(|client| {
            // Another NOC may have been joined meanwhile: that one is asked anyway.
            let is_same = client.as_ref().is_some_and(|client| client.is_like(&anew));
            if is_same {
                *client = Some(anew);
            }
            is_same
        });
        let reached = synced.wait_for(|synced| synced.begun > before && synced.reached.is_some());
        reached.await.map_err(|_| EngineError::Ended)?;
        Ok(self.noc())
    }

    /// Asks after one appliance: the NOC, and by a roll call the appliance itself.
    pub async fn check_now(&self, uid: &str) -> Result<CheckedView, EngineError> {
        let uid: Uid = uid.parse()?;
        let before = self.inner.shared.read(|state| state.roster.answers());
        let (noc, called) = tokio::join!(self.refresh(), self.roll_call());
        let (noc, problem) = (noc?, called?.problem);
        let connected = matches!(noc, NocLink::Connected { .. });
        Ok(self.inner.shared.read(|state| CheckedView {
            name: state.roster.name(&uid),
            heard_at: state.roster.heard_after(&uid, before),
            problem,
            connected,
            health: state.roster.health(&uid),
        }))
    }
}
