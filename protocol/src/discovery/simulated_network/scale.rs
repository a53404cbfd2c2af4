//! Nobody is missed, and it does not take long: from an empty network to ten thousand appliances.

use super::*;

/// Runs one discovery; who was missed, when the last one was found and when it was over, in milliseconds.
fn run(appliances: u32, loss: Loss, seed: u64) -> (usize, u64, u64) {
    let mut network = Network::new(appliances, loss, seed);
    let began = network.now;
    let over = network.discover();
    (appliances as usize - network.heard.len(), network.last_found.since(began), over)
}

/// Many discoveries; how many of them missed somebody, and the latest times.
fn runs(seeds: std::ops::Range<u64>, appliances: u32, loss: Loss) -> (usize, u64, u64) {
    seeds.map(|seed| run(appliances, loss, seed)).fold((0, 0, 0), |(incomplete, found, over), (missed, last, ended)| {
        (incomplete + usize::from(missed > 0), found.max(last), over.max(ended))
    })
}

#[test]
fn an_empty_network_is_empty_within_a_second() {
    let mut network = Network::new(0, Loss::default(), 1);
    let took = network.discover();
    assert!(took <= 1_000, "{took} ms");
    assert_eq!(network.rounds.last(), Some(&(0, 0.0)));
}

#[test]
fn any_small_number_is_found_within_a_second() {
    for n in 1..=40 {
        let (missed, found, over) = run(n, Loss::default(), u64::from(n));
        assert_eq!(missed, 0);
        assert!(found <= 260 && over <= 1_100, "{n}: {found} and {over} ms");
    }
}

#[test]
fn without_loss_each_answers_once_and_four_thousand_take_little_longer_than_four() {
    let mut network = Network::new(4_000, Loss::default(), 1);
    let took = network.discover();
    assert_eq!(network.heard.len(), 4_000);
    assert!(took <= 1_100, "{took} ms");
    assert!(network.in_flight.is_empty());
    let samples = 32 * (network.rounds.len() as u64 - 1) * MOST_WAVES as u64;
    assert!(network.next <= 4_000 + samples, "{} answers", network.next);
}

#[test]
fn small_networks_are_complete_in_thousands_of_discoveries_with_loss() {
    for n in [1, 2, 3, 5, 8, 20] {
        for percent in [10, 30] {
            let (incomplete, _, over) = runs(0..250, n, lossy(percent));
            assert_eq!(incomplete, 0, "{n} appliances, {percent} %");
            assert!(over < 6_000, "{n} appliances, {percent} %: {over} ms");
        }
    }
}

#[test]
fn with_half_of_everything_lost_hardly_anybody_is_missed() {
    // One ping in four is answered: nobody heard in twenty waves happens once in 300 times to the only appliance there is.
    for (n, most) in [(1, 5), (3, 1), (20, 1)] {
        let (incomplete, _, over) = runs(0..200, n, lossy(50));
        assert!(incomplete <= most, "{n} appliances: {incomplete} of 200");
        assert!(over < 21_000, "{n} appliances: {over} ms");
    }
}

#[test]
fn large_networks_are_complete_and_quick_with_loss() {
    for (n, percent, seeds, most_found, most_over) in [
        (300, 30, 0..10, 1_800, 3_000),
        (1_000, 10, 0..3, 1_000, 1_700),
        (1_000, 30, 0..6, 2_000, 3_000),
        (4_000, 10, 0..1, 1_200, 2_000),
        (4_000, 30, 0..2, 2_500, 4_000),
        (10_000, 30, 0..1, 4_000, 6_000),
    ] {
        let (incomplete, found, over) = runs(seeds, n, lossy(percent));
        assert_eq!(incomplete, 0, "{n} appliances, {percent} %");
        assert!(found <= most_found && over <= most_over, "{n} appliances, {percent} %: {found} and {over} ms");
    }
}

#[test]
fn a_small_receive_buffer_widens_windows_until_all_fit() {
    // 166 answers in a default buffer, read at four a millisecond (design.md §4).
    for percent in [0, 30] {
        let loss = Loss { buffer: Some((166.0, 4.0)), ..lossy(percent) };
        let mut network = Network::new(5_000, loss, 3);
        network.discovery.handle_input(Millis(0), Input::Capacity { receive_buffer: 212_992 });
        network.discovery.handle_input(Millis(0), Input::Speed { answers_per_s: 4_000 });
        let took = network.discover();
        assert_eq!(network.heard.len(), 5_000);
        assert!(took < 12_000, "{percent} %: {took} ms");
        assert!(network.pings.iter().any(|ping| ping.window_ms > 250));
    }
}

#[test]
fn bursts_of_noise_make_nobody_vanish() {
    // A fifth of the time nothing comes through, for 40 ms at a time; and one ping or answer in ten is lost besides.
    let loss = Loss { bursts: Some((40, 160)), ..lossy(10) };
    for (n, seeds) in [(2, 0..200), (20, 0..100), (300, 0..5)] {
        let (incomplete, _, over) = runs(seeds, n, loss);
        assert_eq!(incomplete, 0, "{n} appliances");
        assert!(over < 6_000, "{n} appliances: {over} ms");
    }
}

#[test]
fn appliances_far_away_are_waited_for() {
    for (n, delay_ms) in [(5, 60), (500, 60), (500, 250)] {
        let loss = Loss { delay_ms, ..lossy(5) };
        let (incomplete, found, over) = runs(0..4, n, loss);
        assert_eq!(incomplete, 0, "{n} appliances, {delay_ms} ms away");
        assert!(found < 3_000 && over < 5_000, "{n} appliances, {delay_ms} ms away: {found} and {over} ms");
    }
}

#[test]
fn who_is_harder_to_hear_than_the_others_is_found_too() {
    // One of fifty hears and is heard only half of the time, the others always: the sample knows nothing of it.
    let mut incomplete = 0;
    for seed in 0..100 {
        let mut network = Network::new(50, Loss::default(), seed);
        network.weak = Some(7);
        network.discover();
        incomplete += usize::from(network.heard.len() < 50);
    }
    assert!(incomplete <= 3, "{incomplete} of 100");
}

#[test]
fn an_interface_that_comes_late_is_asked_as_often_as_an_empty_network() {
    for seed in 0..40 {
        let mut network = Network::new(40, lossy(20), seed);
        network.hidden = 20;
        network.appears = Some(Millis(1_000 + 600));
        network.discover();
        assert_eq!(network.heard.len(), 40, "seed {seed}");
    }
}
