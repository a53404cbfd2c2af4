//! The message queue over real TLS: order, delivery while a console waits, what consoles report, and refusals.

use crate::world::{Console, Device, World, code};
use data_encoding::BASE64;
use muster_noc::{AsProblem, MessageView, NewOrder, Noc, QueueError, Standing};
use muster_protocol::api::{Plan, PlanFor, PlanRequest};
use muster_protocol::crypto::sign::{Purpose, verify};
use muster_protocol::id::{ConsoleId, Mac, SiteId};
use muster_protocol::parameters::RawSettings;
use muster_protocol::queue::{
    Filter, MOST_MESSAGES, Message, MessageNumber, MessageReport, MessageReports, MessageState, Messages, Order,
};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3_600);

struct Bench {
    world: World,
    site: SiteId,
    console: Console,
}

impl Bench {
    async fn new() -> Bench {
        let world = World::new().await;
        let site = world.site("Bern", "192.0.2.10-192.0.2.99").id;
        let console = world.console(&[site]).await;
        Bench { world, site, console }
    }

    fn id(&self) -> ConsoleId {
        self.console.enrolled.console
    }

    fn send(&self, order: NewOrder) -> MessageView {
        self.world.noc.send(self.id(), order, HOUR).expect("sent")
    }

    fn refused(&self, order: NewOrder) -> String {
        self.world.noc.send(self.id(), order, HOUR).expect_err("refused").problem().code
    }

    async fn fetch(&self, after: MessageNumber) -> Vec<Message> {
        let page: Messages = self.console.http.get(&format!("console/queue?after={after}")).await.expect("messages");
        let read = |signed: &muster_protocol::queue::SignedMessage| {
            let bytes = BASE64.decode(signed.message.as_bytes()).expect("base64");
            let json = verify(&self.world.noc.root(), Purpose::Message, &bytes).expect("signed by the root");
            let message: Message = serde_json::from_slice(&json).expect("a message");
            assert_eq!((message.head.number, message.head.console), (signed.number, self.id()));
            message
        };
        page.messages.iter().map(read).collect()
    }

    async fn report(&self, items: Vec<MessageReport>) {
        let reports = MessageReports { items };
        self.console.http.post_nothing("console/queue/reports", &reports).await.expect("taken");
    }

    fn stands(&self, number: MessageNumber) -> MessageView {
        self.world.noc.message(self.id(), number).expect("found")
    }
}

fn says(number: MessageNumber, state: MessageState) -> MessageReport {
    MessageReport { number, state, code: String::new(), detail: String::new(), answer: None }
}

fn mac(device: &Device) -> Mac {
    device.mac
}

#[tokio::test]
async fn messages_come_in_order_signed_and_to_their_console_only() {
    let bench = Bench::new().await;
    let other = bench.world.console(&[bench.site]).await;
    let orders = [NewOrder::Refresh, NewOrder::List { filter: Filter::Configured }, NewOrder::Status];
    let sent: Vec<_> = orders.into_iter().map(|order| bench.send(order)).collect();
    let got = bench.fetch(MessageNumber(0)).await;
    assert_eq!(
        got.iter().map(|m| m.head.number).collect::<Vec<_>>(),
        sent.iter().map(|m| m.number).collect::<Vec<_>>()
    );
    assert_eq!(
        got.iter().map(|m| m.order.clone()).collect::<Vec<_>>(),
        [Order::Refresh, Order::List { filter: Filter::Configured }, Order::Status]
    );
    assert_eq!(bench.stands(sent[0].number).state, Standing::Fetched);
    // Given until they are taken; above a number only what is above it.
    assert_eq!(bench.fetch(sent[0].number).await.len(), 2);
    bench.report(vec![says(sent[0].number, MessageState::Taken), says(sent[2].number, MessageState::Done)]).await;
    assert_eq!(bench.fetch(MessageNumber(0)).await.len(), 1);

    // The other console sees nothing of it, and cannot speak of it.
    let forged = MessageReports { items: vec![says(sent[1].number, MessageState::Failed)] };
    other.http.post_nothing("console/queue/reports", &forged).await.expect("taken, and about nothing");
    assert_eq!(bench.stands(sent[1].number).state, Standing::Fetched);
}

#[tokio::test]
async fn a_console_that_waits_hears_at_once_also_of_what_another_process_wrote() {
    let bench = Bench::new().await;
    let beside = Noc::open(&bench.world.dir.path().join("noc")).expect("the command line opens it, too");
    let id = bench.id();
    let send = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        tokio::task::spawn_blocking(move || beside.send(id, NewOrder::Refresh, HOUR)).await.expect("ran").expect("sent")
    };
    // A long poll without a message would last 25 s.
    let heard = tokio::time::timeout(Duration::from_secs(15), bench.fetch(MessageNumber(0)));
    let (sent, heard) = tokio::join!(send, heard);
    assert_eq!(heard.expect("woken")[0].head.number, sent.number);
}

#[tokio::test]
async fn what_a_console_reports_only_ever_goes_on() {
    let bench = Bench::new().await;
    let number = bench.send(NewOrder::List { filter: Filter::All }).number;
    bench.fetch(MessageNumber(0)).await;
    bench.report(vec![says(number, MessageState::Taken)]).await;
    let taken = bench.stands(number);
    assert!(taken.state == Standing::Taken && taken.taken.is_some() && taken.finished.is_none(), "{taken:?}");
    let list = "00:11:22:33:44:55:a,b,10.0.0.1,255.0.0.0,0.0.0.0,0.0.0.0";
    let done = MessageReport { answer: Some(format!("{list}\u{202e}")), ..says(number, MessageState::Done) };
    bench.report(vec![done]).await;
    let ended = bench.stands(number);
    assert_eq!((ended.state, ended.answer.as_deref()), (Standing::Done, Some(list)), "without what misleads");
    assert!(ended.is_over() && ended.finished.is_some());
    for late in [MessageState::Taken, MessageState::Failed] {
        bench.report(vec![says(number, late)]).await;
        assert_eq!(bench.stands(number), ended);
    }

    let number = bench.send(NewOrder::Refresh).number;
    let long = "x".repeat(2_000);
    let failed = MessageReport { code: long.clone(), detail: long, ..says(number, MessageState::Failed) };
    bench.report(vec![failed]).await;
    let ended = bench.stands(number);
    assert_eq!((ended.state, ended.code.len(), ended.detail.len()), (Standing::Failed, 64, 500));
    // A number that was never given out is nobody's.
    bench.report(vec![says(MessageNumber(1), MessageState::Done)]).await;
    let root = bench.world.administrator().await;
    let page = root.get("/v1/audit?action=queue.").await.good();
    let recorded: Vec<_> = page["items"].as_array().expect("rows").iter().map(|row| row["action"].clone()).collect();
    let wanted = ["queue.failed", "queue.send", "queue.done", "queue.taken", "queue.send"];
    assert_eq!(recorded, wanted.map(serde_json::Value::from), "each once");
    let many = vec![says(number, MessageState::Done); MOST_MESSAGES + 1];
    let refused = bench.console.http.post_nothing("console/queue/reports", &MessageReports { items: many }).await;
    assert_eq!(code(refused), "too_many");
}

#[tokio::test]
async fn what_was_taken_back_or_has_expired_is_not_given() {
    let bench = Bench::new().await;
    let (noc, id) = (&bench.world.noc, bench.id());
    let cancelled = bench.send(NewOrder::Refresh).number;
    assert_eq!(noc.cancel_message(id, cancelled).expect("taken back").state, Standing::Cancelled);
    assert_eq!(noc.cancel_message(id, cancelled).expect("again").state, Standing::Cancelled);
    let kept = bench.send(NewOrder::Status).number;
    assert_eq!(bench.fetch(MessageNumber(0)).await.len(), 1);
    bench.report(vec![says(kept, MessageState::Taken)]).await;
    assert_eq!(noc.cancel_message(id, kept).expect_err("taken").problem().code, "message_taken");
    let unknown = noc.cancel_message(id, MessageNumber(1)).expect_err("unknown");
    assert_eq!(unknown.problem().code, "unknown_message");

    let short = noc.send(id, NewOrder::Refresh, Duration::from_secs(10)).expect("sent");
    let expired = async {
        while bench.stands(short.number).state != Standing::Expired {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), expired).await.expect("its ten seconds end");
    let after = bench.send(NewOrder::Refresh).number;
    let got = bench.fetch(MessageNumber(0)).await;
    assert_eq!(got.iter().map(|m| m.head.number).collect::<Vec<_>>(), [after]);
    // A console that had fetched it in time still says how it ended.
    bench.report(vec![says(short.number, MessageState::Done)]).await;
    assert_eq!(bench.stands(short.number).state, Standing::Done);
}

#[tokio::test]
async fn a_configuration_names_the_appliance_and_site_that_the_inventory_knows() {
    let bench = Bench::new().await;
    let thun = bench.world.site("Thun", "192.0.2.110-192.0.2.199").id;
    let devices = [Device::new(0), Device::new(1)];
    bench.world.import(&devices);
    let config = |site, settings| NewOrder::Config { mac: mac(&devices[0]), site, settings };
    let Order::Config { target, site, settings } = bench.send(config(None, None)).order else { panic!("a config") };
    assert_eq!((target.uid, site, settings), (Some(devices[0].uid), bench.site, None));

    let unknown: Mac = "02:00:00:00:00:99".parse().expect("MAC");
    let Order::Kick { target } = bench.send(NewOrder::Kick { mac: unknown }).order else { panic!("a kick") };
    assert_eq!((target.mac, target.uid), (unknown, None));

    let settings = RawSettings {
        host_name: "Mail-9".into(),
        domain: "example.net".into(),
        address: "192.0.2.50".into(),
        netmask: "/24".into(),
        ..RawSettings::default()
    };
    let Order::Config { settings: Some(said), .. } = bench.send(config(None, Some(settings.clone()))).order else {
        panic!("with settings")
    };
    assert_eq!((said.host_name.as_str(), said.netmask.as_str()), ("mail-9", "255.255.255.0"), "as they will be");

    let wrong = RawSettings { address: "192.0.2.999".into(), ..settings };
    assert_eq!(bench.refused(config(None, Some(wrong))), "invalid_settings");
    assert_eq!(bench.refused(config(Some(thun), None)), "not_its_site");
    let both = bench.world.console(&[bench.site, thun]).await;
    let error = bench.world.noc.send(both.enrolled.console, config(None, None), HOUR).expect_err("which?");
    assert_eq!(error.problem().code, "which_site");
    bench.console.plan(bench.site, &devices[..1]).await;
    let sent = bench.world.noc.send(both.enrolled.console, config(None, None), HOUR).expect("its own site");
    assert!(matches!(sent.order, Order::Config { site, .. } if site == bench.site));
}

#[tokio::test]
async fn every_refusal_says_what_to_do() {
    let bench = Bench::new().await;
    let (noc, id) = (&bench.world.noc, bench.id());
    let code_of = |error: QueueError| {
        let problem = error.problem();
        assert!(!problem.title.is_empty() && !problem.detail.is_empty(), "{problem:?}");
        problem.code
    };
    let send = |console, seconds| noc.send(console, NewOrder::Refresh, Duration::from_secs(seconds));
    assert_eq!(code_of(send(ConsoleId(99), 60).expect_err("unknown")), "unknown_console");
    assert_eq!(code_of(send(id, 9).expect_err("short")), "bad_lifetime");
    assert_eq!(code_of(send(id, 8 * 86_400).expect_err("long")), "bad_lifetime");
    for _ in 0..1_000 {
        send(id, 60).expect("sent");
    }
    assert_eq!(code_of(send(id, 60).expect_err("too many")), "queue_full");
    let listed = noc.messages(Some(id), 2_000).expect("listed");
    assert_eq!(listed.len(), 1_000);
    assert!(listed.windows(2).all(|pair| pair[0].number > pair[1].number), "numbers ascend, whatever the clock says");
    assert_eq!(bench.fetch(MessageNumber(0)).await.len(), MOST_MESSAGES);

    // One was heard with the MAC of the other.
    let twins = [Device::new(5), Device::new(6)];
    bench.world.import(&twins);
    let heard = PlanFor { mac: twins[0].mac, ..twins[1].plan_for() };
    let request = PlanRequest { site: bench.site, appliances: vec![heard] };
    bench.console.http.post::<Plan>("console/plans", &request).await.expect("planned");
    let console = bench.world.console(&[bench.site]).await.enrolled.console;
    let error = noc.send(console, NewOrder::Kick { mac: twins[0].mac }, HOUR).expect_err("which?");
    assert_eq!(code_of(error), "ambiguous_mac");

    noc.revoke_console(id).expect("revoked");
    assert_eq!(code_of(send(id, 60).expect_err("revoked")), "console_revoked");
    assert_eq!(code(bench.console.http.get::<Messages>("console/queue").await), "console_revoked");
    assert_eq!(code(bench.world.anybody().await.get::<Messages>("console/queue").await), "certificate_missing");
}
