use super::*;
use proptest::prelude::*;

fn uid(number: u32) -> Uid {
    let mut bytes = [0; 20];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    Uid(bytes)
}

fn share(text: &str) -> Share {
    text.parse().expect("a share")
}

fn waves(shares: &[&str]) -> Waves {
    Waves::of(shares.iter().map(|text| share(text)).collect())
}

fn rollout(cuts: Vec<u64>, layers: Vec<Layer>) -> Rollout {
    let (name, version, model) = ("filter".to_owned(), "3".to_owned(), String::new());
    Rollout { id: 1, is_sites: false, name, model, version, cuts, is_back: false, layers }
}

fn line(version: Option<&str>) -> Option<Required> {
    Some(Required { name: "filter".into(), version: version.map(str::to_owned), ..Required::default() })
}

/// Positions up to which waves reach in a fleet, as they begin one after the other.
fn cuts(shares: &[Share], fleet: &[Uid]) -> Vec<u64> {
    let mut sorted: Vec<u64> = fleet.iter().map(|uid| place("filter", "3", uid)).collect();
    sorted.sort_unstable();
    let mut cuts: Vec<u64> = Vec::new();
    for share in shares {
        cuts.push(cut(*share, &sorted, cuts.last().copied()));
    }
    cuts
}

proptest! {
    #[test]
    fn waves_part_the_fleet_and_only_grow(
        fleet in prop::collection::btree_set(any::<u32>(), 0..200),
        mut percents in prop::collection::btree_set(1u16..10_000, 0..8),
        counts in prop::collection::btree_set(1u32..300, 0..4),
    ) {
        let fleet: Vec<Uid> = fleet.into_iter().map(uid).collect();
        percents.insert(10_000);
        let shares: Vec<_> = counts.into_iter().map(Share::Count).chain(percents.into_iter().map(Share::Percent)).collect();
        Waves::of(shares.clone()).check().expect("good");
        let cuts = cuts(&shares, &fleet);
        prop_assert!(cuts.is_sorted());
        let mut reached = 0;
        for begun in 0..=cuts.len() {
            let now = rollout(cuts[..begun].to_vec(), vec![Layer { line: line(Some("1")), reached: None }]);
            let has: Vec<_> = fleet.iter().filter(|uid| now.pick(uid) == 0).collect();
            // Whoever has it has a wave, and is in no other, however many begin.
            for uid in &has {
                let wave = now.wave(uid).expect("one");
                let later = rollout(cuts.clone(), Vec::new());
                prop_assert_eq!(later.wave(uid), Some(wave));
            }
            prop_assert!(has.len() >= reached, "nobody loses it");
            reached = has.len();
            if let Some(share) = begun.checked_sub(1).and_then(|last| shares.get(last)) {
                let least = share.of(fleet.len());
                prop_assert!(reached >= least);
                // Exactly, but for waves that the one before already reaches.
                let before = begun.checked_sub(2).map_or(0, |before| shares[..=before].iter().map(|share| share.of(fleet.len())).max().unwrap_or(0));
                prop_assert_eq!(reached, least.max(before));
            }
        }
        prop_assert_eq!(reached, fleet.len(), "in the end all have it");
    }

    #[test]
    fn a_share_is_read_as_it_is_written(hundredths in 0u16..=10_000, count in any::<u32>(), text in "\\PC{0,8}") {
        for share in [Share::Percent(hundredths), Share::Count(count)] {
            prop_assert_eq!(share.to_string().parse(), Ok(share));
            let json = serde_json::to_string(&share).expect("text");
            prop_assert_eq!(serde_json::from_str::<Share>(&json).expect("reads"), share);
        }
        if let Ok(share) = text.parse::<Share>() {
            prop_assert_eq!(share.to_string().parse(), Ok(share));
        }
    }
}

#[test]
fn what_is_no_wave_is_named() {
    for wrong in ["", "%", "101%", "100.01%", "1.234%", "-1", "1e3", "1 %", "x", "4294967296", "1.%", ".5%"] {
        assert!(wrong.parse::<Share>().is_err(), "{wrong}");
    }
    assert_eq!(
        (share("0.5%"), share("0.50%"), share("12")),
        (Share::Percent(50), Share::Percent(50), Share::Count(12))
    );
    assert_eq!(Share::Percent(250).to_string(), "2.5%");
    waves(&["1", "25", "10%", "100%"]).check().expect("counts and parts");
    let many: Vec<_> = (1..=16).map(|n| n.to_string()).chain(["100%".to_owned()]).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    for (wrong, why) in [
        (&[][..], "end with 100%"),
        (&["10%"], "end with 100%"),
        (&["10%", "10%", "100%"], "10% after 10%"),
        (&["20", "10", "100%"], "10 after 20"),
        (&["0", "100%"], "at least one"),
        (&many, "at most 16"),
    ] {
        let error = waves(wrong).check().expect_err("refused").to_string();
        assert!(error.contains(why), "{error}");
    }
    for (soak_s, within_s, field) in [(0, 5, "soak_s"), (5, 3_000_000, "within_s")] {
        let error = Waves { soak_s, within_s, ..waves(&["100%"]) }.check().expect_err("refused").to_string();
        assert!(error.contains(field), "{error}");
    }
    let read: Waves = serde_json::from_str(r#"{"waves":["1%","100%"]}"#).expect("reads");
    assert_eq!((read.soak_s, read.halt_at, read.within_s), (1_800, share("5%"), 21_600));
    assert!(serde_json::from_str::<Waves>(r#"{"waves":["1%","100%"],"soak":5}"#).is_err());
}

#[test]
fn whom_an_earlier_roll_out_had_reached_keeps_that_until_its_wave() {
    let fleet: Vec<Uid> = (0..200).map(uid).collect();
    let bottom = || Layer { line: line(Some("1")), reached: None };
    let earlier = Layer { line: line(Some("2")), reached: Some(("2".to_owned(), ALL / 2)) };
    let mut now = rollout(vec![ALL / 10], vec![earlier, bottom()]);
    let has = |rollout: &Rollout, uid: &Uid| -> Option<String> {
        rollout.line(rollout.pick(uid), &line(Some("3")).expect("one")).and_then(|line| line.version)
    };
    let count = |rollout: &Rollout, version: &str| {
        fleet.iter().filter(|uid| has(rollout, uid).as_deref() == Some(version)).count()
    };
    let (new, middle, old) = (count(&now, "3"), count(&now, "2"), count(&now, "1"));
    assert!(new > 5 && middle > 50 && old > 50 && new + middle + old == 200, "{new} {middle} {old}");
    now.is_back = true;
    assert_eq!(count(&now, "1"), 200, "back is back for all");
    let nothing = rollout(Vec::new(), vec![Layer { line: None, reached: None }]);
    assert_eq!(has(&nothing, &uid(1)), None);
}

#[test]
fn a_roll_out_goes_on_waits_and_halts_by_how_its_waves_stand() {
    let waves = Waves { soak_s: 60, within_s: 600, ..waves(&["10%", "100%"]) };
    let tally = Tally { well: 10, settled: 100, ..Tally::default() };
    assert_eq!(next(&waves, &[], 5), Next::Go);
    assert_eq!(next(&waves, &[Tally::default()], 5), Next::Go, "nobody is in it");
    assert_eq!(next(&waves, &[tally], 159), Next::Wait(Some(160)));
    assert_eq!(next(&waves, &[tally], 160), Next::Go);
    assert_eq!(next(&waves, &[Tally { waiting: 1, asked: 90, ..tally }], 900), Next::Wait(Some(690)));
    assert_eq!(next(&waves, &[Tally { absent: 4, ..Tally::default() }], 900), Next::Wait(None));
    assert_eq!(next(&waves, &[Tally { absent: 4, excused: 1, settled: 100, ..Tally::default() }], 900), Next::Go);
    // 5% of 20 is one, and one more is too many; also of a wave that is long through.
    let failed = |failed| Tally { well: 20 - failed, failed, settled: 100, ..Tally::default() };
    assert_eq!(next(&waves, &[failed(1)], 160), Next::Go);
    assert_eq!(next(&waves, &[failed(2), tally], 160), Next::Halt { wave: 0, failed: 2, of: 20 });
    let counted = Waves { halt_at: share("2"), ..waves };
    assert_eq!(next(&counted, &[failed(2)], 160), Next::Go);
    assert_eq!(next(&counted, &[failed(3)], 100), Next::Halt { wave: 0, failed: 3, of: 20 });
}
