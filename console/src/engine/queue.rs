//! The NOC's message queue (seed, FIGURE 2, message queue 38): takes messages, carries them out in their order, and says how they ended.
//!
//! A message is on disk before anything is done about it, and its number is used up then; a configuration becomes a job in
//! one transaction with the mark that it did. So each has one effect, wherever the power goes. What has no lasting
//! effect (a discovery, a list) is simply done again after a restart.

mod carry;
mod read;

use super::reports::blocking;
use super::state::Shared;
use super::{Engine, Inner, entropy, unix_now};
use crate::noc_client::{NocClient, NocError};
use crate::problem::{Explain, chain, problem};
use crate::store::{MessageEnd, MessageKey, Store, StoreError, StoredMessage};
use crate::view::{Event, JobStep, MessageRow, seconds};
use muster_protocol::crypto::uniform;
use muster_protocol::queue::{MessageReport, MessageReports, MessageState, Order, SignedMessage};
use read::{Opened, Refusal, open};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::{Notify, watch};

const FIRST_RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_secs(30);
/// Messages that are shown.
pub(super) const MOST_SHOWN: u32 = 200;

/// What the parts of this task share.
pub(super) struct Queue {
    pub(super) shared: Arc<Shared>,
    pub(super) store: Arc<Store>,
    pub(super) client: watch::Receiver<Option<NocClient>>,
    /// There is something to tell the NOC.
    pub(super) outbox: watch::Sender<()>,
}

/// What went wrong with a message, so that it is not even kept.
#[derive(Debug, thiserror::Error)]
enum TakeError {
    #[error(transparent)]
    Noc(#[from] NocError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Queue {
    /// For ever; starts anew when another NOC is joined.
    pub(super) async fn run(self, engine: Weak<Inner>) {
        let mut client = self.client.clone();
        let ready = Notify::new();
        loop {
            let current = client.borrow_and_update().clone();
            let following = async {
                match &current {
                    Some(client) => {
                        self.show(client).await;
                        tokio::join!(
                            self.take_all(client, &ready),
                            self.carry_out_all(client, &engine, &ready),
                            self.watch_jobs(client)
                        )
                    }
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = following => return,
                changed = client.changed() => if changed.is_err() { return },
            }
        }
    }

    /// Takes messages as they come.
    async fn take_all(&self, client: &NocClient, ready: &Notify) {
        let mut retry = FIRST_RETRY;
        loop {
            match self.take(client, ready).await {
                Ok(()) => retry = FIRST_RETRY,
                Err(error) => {
                    tracing::debug!(error = %chain(&error), "no messages of the NOC");
                    tokio::time::sleep(retry.mul_f64(0.5 + uniform(&mut *entropy(), 1_000) as f64 / 1_000.0)).await;
                    retry = (retry * 2).min(LONGEST_RETRY);
                }
            }
        }
    }

    async fn take(&self, client: &NocClient, ready: &Notify) -> Result<(), TakeError> {
        let noc = client.root();
        let last = blocking(&self.store, move |store| store.last_message(noc)).await?;
        let messages = client.messages(last).await?.messages;
        let mut refused = Vec::new();
        for message in messages {
            if let Err(report) = self.keep(client, &message).await? {
                refused.push(report);
            }
        }
        ready.notify_one();
        self.changed(client).await;
        if !refused.is_empty() {
            client.report_messages(&MessageReports { items: refused }).await?;
            // They are not above the last number that was taken: a NOC that gives them again must not be asked without a pause.
            tokio::time::sleep(FIRST_RETRY).await;
        }
        Ok(())
    }

    /// Puts a message on disk; or what to tell the NOC about one that nobody vouches for.
    async fn keep(&self, client: &NocClient, message: &SignedMessage) -> Result<Result<(), MessageReport>, StoreError> {
        let opened = match open(&client.root(), client.console(), message) {
            Ok(opened) => opened,
            Err(refusal) => {
                tracing::warn!(number = %message.number, why = %refusal, "a message is refused");
                return Ok(Err(refusal.report(message.number)));
            }
        };
        let Opened { head, said, order } = opened;
        let key = MessageKey { noc: client.root(), number: head.number };
        let now = unix_now().0;
        let taken = blocking(&self.store, move |store| store.take_message(key, &said, now)).await?;
        let end = match order {
            _ if !taken => return Ok(Ok(())),
            Ok(order) if now <= head.expires => {
                tracing::info!(number = %head.number, order = order.name(), "the NOC has this console do something");
                return Ok(Ok(()));
            }
            Ok(_) => problem("message_expired", "it came too late", "Send it again; check the console's clock."),
            Err(why) => problem(
                "not_understood",
                format!("this console does not understand it: {why}"),
                "Use programs of the same version at both ends.",
            ),
        };
        self.end(key, MessageEnd::Failed(end)).await?;
        Ok(Ok(()))
    }

    /// Carries out what is on disk, one after the other.
    async fn carry_out_all(&self, client: &NocClient, engine: &Weak<Inner>, ready: &Notify) {
        let noc = client.root();
        loop {
            let open = match blocking(&self.store, move |store| store.open_messages(noc)).await {
                Ok(open) => open,
                Err(error) => {
                    tracing::error!(error = %chain(&error), "messages of the NOC cannot be read back");
                    tokio::time::sleep(LONGEST_RETRY).await;
                    continue;
                }
            };
            let next = open.into_iter().find(|message| message.job.is_none());
            let Some(message) = next else {
                ready.notified().await;
                continue;
            };
            // The engine lives as long as somebody holds it, not as long as this task.
            let Some(inner) = engine.upgrade() else { return };
            let engine = Engine { inner };
            let ended = self.carry_out(&engine, &message).await;
            drop(engine);
            if let Some(end) = ended
                && let Err(error) = self.end(message.key, end).await
            {
                tracing::error!(error = %chain(&error), "the end of a message is not kept; it will be tried again");
                tokio::time::sleep(LONGEST_RETRY).await;
            }
            self.changed(client).await;
        }
    }

    /// Ends messages whose job has ended.
    async fn watch_jobs(&self, client: &NocClient) {
        let noc = client.root();
        let (_, mut events) = self.shared.subscribe();
        loop {
            let open = blocking(&self.store, move |store| store.open_messages(noc)).await.unwrap_or_default();
            for message in open {
                let Some(job) = message.job else { continue };
                if let Some(end) = self.job_end(job).await {
                    if let Err(error) = self.end(message.key, end).await {
                        tracing::error!(error = %chain(&error), "the end of a message is not kept");
                    }
                    self.show(client).await;
                }
            }
            loop {
                let Some(batch) = events.next().await else { return };
                if batch.iter().any(|event| matches!(event, Event::Job { .. })) {
                    break;
                }
            }
        }
    }

    /// The end of a job of one appliance. One that is not remembered any more ended long ago, in a way that nobody knows.
    async fn job_end(&self, id: u32) -> Option<MessageEnd> {
        let item = || self.shared.read(|state| state.job(id).map(|job| job.items.first().cloned()));
        let mut found = item();
        if found.is_none() {
            // It is on disk a moment before it is shown.
            tokio::time::sleep(FIRST_RETRY).await;
            found = item();
        }
        let Some(item) = found else {
            return Some(MessageEnd::Failed(problem("no_such_job", "its job is lost", "Send it again.")));
        };
        let item = item?;
        match item.step {
            JobStep::Configured => Some(MessageEnd::Done(None)),
            JobStep::Failed => {
                Some(MessageEnd::Failed(item.problem.unwrap_or_else(|| {
                    problem("unknown", "the configuration failed", "Look at the job on the console.")
                })))
            }
            JobStep::Cancelled => Some(MessageEnd::Failed(problem(
                "cancelled",
                "the administrator of the console cancelled it",
                "Ask him, then send it again.",
            ))),
            _ => None,
        }
    }

    async fn end(&self, key: MessageKey, end: MessageEnd) -> Result<(), StoreError> {
        let at = unix_now().0;
        blocking(&self.store, move |store| store.end_message(key, at, &end)).await?;
        let _ = self.outbox.send(());
        Ok(())
    }

    /// There may be something to tell and to show.
    async fn changed(&self, client: &NocClient) {
        let _ = self.outbox.send(());
        self.show(client).await;
    }

    async fn show(&self, client: &NocClient) {
        let noc = client.root();
        match blocking(&self.store, move |store| store.messages(noc, MOST_SHOWN)).await {
            Ok(messages) => {
                let rows = messages.iter().map(row).collect();
                self.shared.change(|state| state.set_messages(rows));
            }
            Err(error) => tracing::error!(error = %chain(&error), "messages of the NOC cannot be read back"),
        }
    }
}

/// A message for a person.
pub(crate) fn row(message: &StoredMessage) -> MessageRow {
    let order: Option<Order> = serde_json::from_str(&message.said).ok();
    let target = order.as_ref().and_then(Order::target);
    let found = match (&order, message.state) {
        (Some(Order::Refresh), MessageState::Done) => message.answer.as_deref().and_then(|count| count.parse().ok()),
        (Some(Order::List { .. }), MessageState::Done) => message.answer.as_deref().map(carry::entries),
        _ => None,
    };
    MessageRow {
        number: message.key.number.to_string(),
        name: order.as_ref().map_or("", Order::name).to_owned(),
        mac: target.map(|target| target.mac.to_string()).unwrap_or_default(),
        uid: target.and_then(|target| target.uid).map(|uid| uid.to_string()),
        received: seconds(message.received),
        finished: message.finished.map(seconds),
        state: message.state.into(),
        job: message.job,
        found,
        problem: message.problem.clone(),
    }
}

impl Refusal {
    fn report(&self, number: muster_protocol::queue::MessageNumber) -> MessageReport {
        let detail = format!("{self}. {}", self.remedy());
        MessageReport { number, state: MessageState::Failed, code: self.code(), detail, answer: None }
    }
}
