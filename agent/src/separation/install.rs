//! The installer, asked by the worker. It is the keeper's: it believes none of the bytes that the worker hands in before it has
//! verified them itself (decision 0045).

use super::ask::{Answer, Bytes};
use super::worker::Separated;
use crate::installer::{Installer, Order, Part, Supply, Taken, Wanted};
use muster_protocol::api::ComponentReport;
use muster_protocol::crypto::keys::PublicKey;
use serde::{Deserialize, Serialize};

/// What the worker may ask of the installer; answered at once.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Install {
    NeedsPlan { owner: [u8; 32], time: u64, revision: String },
    Take(Box<Order>),
    Heard(Bytes),
    Reports,
    Wanted,
    Supply(u64, Bytes),
    End(u64),
    Missing(u64),
    Failed(u64, String),
}

/// In the keeper.
pub(super) fn answer(installer: &impl Installer, ask: Install) -> Answer {
    let supply = |number, part| Answer::Taken(installer.supply(Supply { number, part }));
    match ask {
        Install::NeedsPlan { owner, time, revision } => {
            Answer::Is(installer.needs_plan(&PublicKey(owner), time, &revision))
        }
        Install::Take(order) => {
            installer.take(*order);
            Answer::Done
        }
        Install::Heard(signed) => {
            installer.heard(&signed.decode().unwrap_or_default());
            Answer::Done
        }
        Install::Reports => Answer::Reports(installer.reports()),
        Install::Wanted => Answer::Wanted(installer.wanted()),
        Install::Supply(number, bytes) => supply(number, Part::Bytes(bytes.decode().unwrap_or_default())),
        Install::End(number) => supply(number, Part::End),
        Install::Missing(number) => supply(number, Part::Missing),
        Install::Failed(number, code) => supply(number, Part::Failed(code)),
    }
}

/// In the worker.
impl Installer for Separated {
    fn needs_plan(&self, owner: &PublicKey, time: u64, revision: &str) -> bool {
        let ask = Install::NeedsPlan { owner: owner.0, time, revision: revision.to_owned() };
        matches!(self.installs(ask), Some(Answer::Is(true)))
    }

    fn take(&self, order: Order) {
        let _ = self.installs(Install::Take(Box::new(order)));
    }

    fn heard(&self, signed: &[u8]) {
        let _ = self.installs(Install::Heard(Bytes::of(signed)));
    }

    fn reports(&self) -> Vec<ComponentReport> {
        match self.installs(Install::Reports) {
            Some(Answer::Reports(reports)) => reports,
            _ => Vec::new(),
        }
    }

    fn wanted(&self) -> Wanted {
        match self.installs(Install::Wanted) {
            Some(Answer::Wanted(wanted)) => wanted,
            _ => Wanted::Nothing,
        }
    }

    fn supply(&self, Supply { number, part }: Supply) -> Taken {
        let ask = match part {
            Part::Bytes(bytes) => Install::Supply(number, Bytes::of(&bytes)),
            Part::End => Install::End(number),
            Part::Missing => Install::Missing(number),
            Part::Failed(code) => Install::Failed(number, code),
        };
        match self.installs(ask) {
            Some(Answer::Taken(taken)) => taken,
            _ => Taken::Enough,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::installer::local::LocalInstaller;
    use crate::separation::ask::{self, Ask};
    use crate::storage::MemoryStorage;
    use muster_protocol::api::{ComponentPlan, RequiredComponent};
    use muster_protocol::id::Uid;

    fn sent(ask: Install) -> Install {
        let mut bytes = Vec::new();
        ask::write(&mut bytes, &Ask::Install(ask)).expect("fits");
        match ask::read(&mut &bytes[..]) {
            Ok(Some(Ask::Install(ask))) => ask,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_the_worker_asks_of_the_installer_reads_back_and_is_answered_at_once() {
        let installer = LocalInstaller::open(None, Uid([7; 20]), MemoryStorage::default()).expect("opens");
        let ask = |ask| answer(&installer, sent(ask));
        let needs_plan = || Install::NeedsPlan { owner: [1; 32], time: 5, revision: "r".into() };
        assert!(matches!(ask(needs_plan()), Answer::Is(true)));
        let filter = RequiredComponent { name: "filter".into(), version: "1".into(), target: "filter_1".into() };
        let plan = ComponentPlan { components: vec![filter], revision: "r".into(), ..ComponentPlan::default() };
        let order = Order { owner: PublicKey([1; 32]).to_base64(), time: 5, plan };
        assert!(matches!(ask(Install::Take(Box::new(order))), Answer::Done));
        assert!(matches!(ask(needs_plan()), Answer::Is(false)));
        assert!(matches!(ask(Install::Reports), Answer::Reports(reports) if reports.len() == 1));
        assert!(matches!(ask(Install::Wanted), Answer::Wanted(Wanted::Nothing)));
        assert!(matches!(ask(Install::Heard(Bytes::of(b"no statement"))), Answer::Done));
        // Nobody asked for it.
        for unasked in [
            Install::Supply(1, Bytes::of(&[7; 16_384])),
            Install::End(1),
            Install::Missing(1),
            Install::Failed(1, "noc_unreachable".into()),
        ] {
            assert!(matches!(ask(unasked), Answer::Taken(Taken::Enough)));
        }
    }
}
