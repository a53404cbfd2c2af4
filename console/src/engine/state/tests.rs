use super::*;
use crate::view::{JobStep, Settings};
use muster_protocol::api::{AlertKind, Handling};
use muster_protocol::id::SiteId;

fn job(items: u8) -> JobView {
    let item = |n| JobItemView {
        uid: Uid([n; 20]).to_string(),
        mac: String::new(),
        settings: Settings::default(),
        step: JobStep::Waiting,
        percent: 0,
        attempts: 0,
        problem: None,
    };
    JobView { id: 1, site: 1, started: 0, finished: None, cancelled: false, items: (0..items).map(item).collect() }
}

fn alert(id: u64) -> Alert {
    let (appliances, handling) = (vec![Uid([1; 20])], Handling::default());
    let (kind, rule) = (AlertKind::Silent, String::new());
    Alert { id, site: SiteId(1), kind, appliances, opened: 5, closed: None, rule, handling }
}

#[tokio::test(start_paused = true)]
async fn a_subscriber_gets_a_replay_and_then_only_what_changed() {
    let shared = Shared::new(CancellationToken::new());
    shared.change(|state| state.put_job(job(3)));
    let (replay, mut subscription) = shared.subscribe();
    assert!(matches!(&replay[1], Event::Appliances { reset: true, .. }));
    assert!(matches!(replay.last(), Some(Event::Job { whole: true, job }) if job.items.len() == 3));
    shared.flush();
    subscription.next().await.expect("what was pending at the time, once more");

    shared.change(|state| {
        state.change_item(1, &Uid([2; 20]), |item| item.step = JobStep::Sending);
        state.alert(alert(9));
    });
    shared.flush();
    let events = subscription.next().await.expect("a batch");
    let [Event::Alerts { reset: false, alerts }, Event::Job { whole: false, job }] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!((alerts[0].id, alerts[0].appliances[0].name.as_str()), (9, "AEAQ-CAIB"));
    assert_eq!((job.items.len(), job.items[0].step), (1, JobStep::Sending));
    shared.flush();
    assert!(subscription.receiver.is_empty(), "nothing changed, nothing is sent");
}

#[tokio::test(start_paused = true)]
async fn a_slow_subscriber_gets_a_replay() {
    let shared = Shared::new(CancellationToken::new());
    let (_, mut subscription) = shared.subscribe();
    for id in 0..(MOST_BEHIND as u64 + 10) {
        shared.change(|state| state.alert(alert(id)));
        shared.flush();
    }
    let events = subscription.next().await.expect("a replay");
    let all = events.iter().find_map(|event| match event {
        Event::Alerts { reset: true, alerts } => Some(alerts.len()),
        _ => None,
    });
    assert_eq!(all, Some(MOST_BEHIND + 10));
    shared.change(|state| state.navigate(None));
    shared.flush();
    assert_eq!(subscription.next().await, Some(vec![Event::Navigate { uid: None }]));
}

#[tokio::test(start_paused = true)]
async fn a_subscription_ends_with_its_engine() {
    let stop = CancellationToken::new();
    let shared = Shared::new(stop.clone());
    let (_, mut subscription) = shared.subscribe();
    shared.change(|state| state.navigate(None));
    shared.flush();
    stop.cancel();
    assert!(subscription.next().await.is_some(), "what was sent before is not lost");
    assert_eq!(subscription.next().await, None);
}

#[tokio::test(start_paused = true)]
async fn changes_go_out_by_themselves_in_batches() {
    let shared = Shared::new(CancellationToken::new());
    let (_, mut subscription) = shared.subscribe();
    let feed = tokio::spawn({
        let shared = Arc::clone(&shared);
        async move { shared.feed().await }
    });
    shared.change(|state| state.navigate(Some("A".into())));
    assert_eq!(subscription.next().await.expect("a batch").len(), 1);
    let before = tokio::time::Instant::now();
    for _ in 0..5 {
        shared.change(|state| state.navigate(None));
    }
    assert_eq!(subscription.next().await.expect("a batch").len(), 5);
    assert!(before.elapsed() <= BATCH);
    feed.abort();
}
