//! The power is cut at any write: afterwards the old version is in force or the new one, and the appliance goes on by itself.

use crate::bench::{Bench, plan, publish};
use crate::repository::{Repository, secret};
use muster_agent::installer::Installer;
use muster_agent::storage::{Document, MemoryStorage, Storage, StorageError};
use muster_protocol::api::ComponentState;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A disk that is cut off before its n-th write, or after it: the process is gone at that moment, as a thread that panics is.
#[derive(Clone)]
struct Disk {
    kept: MemoryStorage,
    writes_left: Arc<AtomicUsize>,
    last_one_is_written: bool,
}

const FOR_EVER: usize = usize::MAX;

impl Storage for Disk {
    fn load(&self, document: Document) -> Result<Option<Vec<u8>>, StorageError> {
        self.kept.load(document)
    }

    fn save(&self, document: Document, contents: &[u8]) -> Result<(), StorageError> {
        match self.writes_left.load(Ordering::SeqCst) {
            FOR_EVER => {}
            0 => {
                if self.last_one_is_written {
                    self.kept.save(document, contents)?;
                }
                // Once: what the process would have done from here on does not happen.
                self.writes_left.store(FOR_EVER, Ordering::SeqCst);
                std::panic::panic_any(Cut);
            }
            left => self.writes_left.store(left - 1, Ordering::SeqCst),
        }
        self.kept.save(document, contents)
    }

    fn remove(&self, document: Document) -> Result<(), StorageError> {
        self.kept.remove(document)
    }
}

struct Cut;

fn bench(last_one_is_written: bool) -> Bench<Disk> {
    let writes_left = Arc::new(AtomicUsize::new(FOR_EVER));
    Bench::on(Disk { kept: MemoryStorage::default(), writes_left, last_one_is_written }, |_, _| {})
}

/// Cuts at every write of a change from 1.0 to 2.0, and looks at what is in force then, after a restart, and in the end.
fn cut_everywhere(check: &str, in_the_end: &str, state: ComponentState) {
    let mut repository = Repository::new();
    publish(&mut repository, "1.0", "true");
    let first = plan(&repository, "1.0");
    let mut newer = repository.clone();
    publish(&mut newer, "2.0", check);
    let second = plan(&newer, "2.0");
    for last_one_is_written in [false, true] {
        let mut cuts = 0;
        loop {
            let mut bench = bench(last_one_is_written);
            assert_eq!(bench.carry_out(&repository, &first).state, ComponentState::Installed);
            let left = bench.storage.writes_left.clone();
            left.store(cuts, Ordering::SeqCst);
            // The plan is stored by whoever gives it.
            let given = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| bench.take(&second)));
            if given.is_ok() {
                bench.supply(&newer);
            }
            let was_cut = left.swap(FOR_EVER, Ordering::SeqCst) == FOR_EVER;
            let text = bench.read("filter/current/text").expect("at every moment one of them is in force");
            assert!(["1.0", "2.0"].contains(&text.as_str()), "{text}");
            bench.restart();
            bench.supply(&newer);
            let text = bench.read("filter/current/text").expect("in force");
            assert!(["1.0", "2.0"].contains(&text.as_str()), "{text}");
            // The next beat.
            if bench.installer.needs_plan(&secret(1).public(), crate::repository::NOW, &second.revision) {
                bench.take(&second);
            }
            bench.supply(&newer);
            let report = bench.report();
            assert_eq!(report.state, state, "cut {cuts}: {report:?}");
            assert_eq!(bench.read("filter/current/text").as_deref(), Some(in_the_end), "cut {cuts}");
            if !was_cut {
                break;
            }
            cuts += 1;
        }
        assert!(cuts >= 5, "{cuts}");
    }
}

#[test]
fn a_cut_at_any_write_of_an_installation_ends_with_the_new_version() {
    quietly(|| cut_everywhere("true", "2.0", ComponentState::Installed));
}

#[test]
fn a_cut_at_any_write_of_a_roll_back_ends_with_the_old_version() {
    quietly(|| cut_everywhere("false", "1.0", ComponentState::Failed));
}

/// A cut is no failure of the test, and is not told like one.
fn quietly(test: impl FnOnce()) {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !panic.payload().is::<Cut>() {
            usual(panic);
        }
    }));
    test();
}

#[test]
fn a_version_that_brings_the_appliance_down_each_time_is_given_up() {
    let mut bench = bench(true);
    let mut repository = Repository::new();
    publish(&mut repository, "1.0", "true");
    assert_eq!(bench.carry_out(&repository, &plan(&repository, "1.0")).state, ComponentState::Installed);
    // It never answers: as a version that takes the appliance with it.
    publish(&mut repository, "2.0", "exec sleep 1000");
    let wanted = plan(&repository, "2.0");
    let left = bench.storage.writes_left.clone();
    quietly(|| {
        // The plan, what is known of the repository, the step, its first try: cut there, and at the try of each start.
        left.store(3, Ordering::SeqCst);
        bench.take(&wanted);
        bench.supply(&repository);
        for _ in 0..2 {
            left.store(0, Ordering::SeqCst);
            bench.restart();
            bench.supply(&repository);
        }
    });
    left.store(FOR_EVER, Ordering::SeqCst);
    assert_eq!(bench.read("filter/current/text").as_deref(), Some("1.0"), "never in force");
    bench.restart();
    bench.supply(&repository);
    let report = bench.report();
    assert_eq!((report.state, report.running.as_deref()), (ComponentState::Failed, Some("1.0")));
    assert!(report.problem.is_some_and(|problem| problem.contains("went down")));
}
