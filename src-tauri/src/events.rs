//! What is pushed to the window: the engine's events and where to go, over one channel.

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use muster_console::view::Event;
use std::sync::{Mutex, PoisonError};
use tauri::ipc::Channel;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// The one subscription of a window.
#[derive(Debug, Default)]
pub(crate) struct Feed(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    listening: Option<(mpsc::UnboundedSender<Event>, CancellationToken)>,
    /// Where to go once the window listens.
    pending: Option<Event>,
}

impl Feed {
    /// Sends `batches` to `channel` from now on, and to no earlier channel: the window was loaded anew.
    pub(crate) fn subscribe(&self, channel: Channel<Vec<Event>>, batches: BoxStream<'static, Vec<Event>>) {
        let (navigate, navigation) = mpsc::unbounded_channel();
        let stop = CancellationToken::new();
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pending) = state.pending.take() {
            let _ = navigate.send(pending);
        }
        if let Some((_, earlier)) = state.listening.replace((navigate, stop.clone())) {
            earlier.cancel();
        }
        let send = move |batch| channel.send(batch).is_ok();
        tauri::async_runtime::spawn(stop.run_until_cancelled_owned(pump(batches, navigation, send)));
    }

    /// Shows an appliance, or the alerts, in the window: now, or as soon as it listens.
    pub(crate) fn navigate(&self, uid: Option<String>) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let event = Event::Navigate { uid };
        let undelivered = match &state.listening {
            Some((navigate, _)) => navigate.send(event).err().map(|error| error.0),
            None => Some(event),
        };
        if undelivered.is_some() {
            state.pending = undelivered;
        }
    }
}

/// Ends with the engine, or when `send` says that the window is gone.
async fn pump(
    mut batches: BoxStream<'static, Vec<Event>>,
    mut navigation: mpsc::UnboundedReceiver<Event>,
    send: impl Fn(Vec<Event>) -> bool,
) {
    loop {
        let batch = tokio::select! {
            // What happened comes before where to go: the replay holds the appliance to show.
            biased;
            batch = batches.next() => match batch {
                Some(batch) => batch,
                None => return,
            },
            Some(event) = navigation.recv() => vec![event],
        };
        if !send(batch) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tauri::ipc::InvokeResponseBody;

    fn channel() -> (Channel<Vec<Event>>, mpsc::UnboundedReceiver<serde_json::Value>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let channel = Channel::new(move |body| {
            if let InvokeResponseBody::Json(json) = body {
                let _ = sender.send(serde_json::from_str(&json)?);
            }
            Ok(())
        });
        (channel, receiver)
    }

    /// A replay, and nothing after it.
    fn replay() -> BoxStream<'static, Vec<Event>> {
        let replay = vec![Event::Alerts { reset: true, alerts: vec![] }];
        futures_util::stream::iter([replay]).chain(futures_util::stream::pending()).boxed()
    }

    fn kinds(batch: &serde_json::Value) -> Vec<&str> {
        batch.as_array().into_iter().flatten().filter_map(|event| event["kind"].as_str()).collect()
    }

    #[tokio::test]
    async fn where_to_go_comes_after_the_replay() {
        let feed = Feed::default();
        feed.navigate(Some("ABCD-EFGH".to_owned()));
        let (channel, mut sent) = channel();
        feed.subscribe(channel, replay());
        assert_eq!(kinds(&sent.recv().await.expect("the replay")), ["alerts"]);
        let navigate = sent.recv().await.expect("where to go");
        assert_eq!(kinds(&navigate), ["navigate"]);
        assert_eq!(navigate[0]["uid"], "ABCD-EFGH");
    }

    #[tokio::test]
    async fn a_window_that_loads_anew_takes_over() {
        let feed = Feed::default();
        let (channel_one, mut sent_one) = channel();
        feed.subscribe(channel_one, replay());
        sent_one.recv().await.expect("the first replay");
        let (channel_two, mut sent_two) = channel();
        feed.subscribe(channel_two, replay());
        assert!(sent_one.recv().await.is_none(), "the earlier channel is closed");
        sent_two.recv().await.expect("the second replay");
        feed.navigate(None);
        assert_eq!(kinds(&sent_two.recv().await.expect("where to go")), ["navigate"]);
    }
}
