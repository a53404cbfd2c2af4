//! A NOC that was restored from an old copy.

use crate::world::{Practice, copy_folder};

#[test]
fn a_noc_restored_from_an_old_copy_configures_at_the_first_retry() {
    let mut world = Practice::start(&["--count", "3"]);
    world.configure();
    world.noc.cut_power();
    let copy = world.noc.folder.path().join("copy");
    copy_folder(&world.noc.dir(), &copy);
    world.noc.serve();

    // The copy is some configurations old by the time it is needed.
    let plan = world.noc.folder.path().join("plan.csv");
    let plan = plan.to_str().expect("UTF-8");
    let uids: Vec<String> = world.muster.json(&["status"])["appliances"]
        .as_array()
        .expect("appliances")
        .iter()
        .map(|row| row["uid"].as_str().expect("a UID").to_owned())
        .collect();
    let edit = |round: usize| {
        let mut lines = vec!["uid,host_name,domain,address,netmask,gateway,dns1,dns2".to_owned()];
        for (n, uid) in uids.iter().enumerate() {
            let address = format!("10.20.{round}.{}", 10 + n);
            lines.push(format!("{uid},round-{round}-{n},example.net,{address},255.255.0.0,10.20.0.1,,"));
        }
        std::fs::write(plan, lines.join("\n")).expect("written");
        let job = world.muster.json(&["configure", "--plan", plan]);
        let items = job["items"].as_array().expect("items").clone();
        assert!(items.iter().all(|item| item["step"] == "configured"), "{job}");
        items.iter().map(|item| item["attempts"].as_u64().expect("a number")).collect::<Vec<_>>()
    };
    for round in 1..=5 {
        assert_eq!(edit(round), [1, 1, 1], "nothing is lost on loopback");
    }

    world.noc.cut_power();
    std::fs::remove_dir_all(world.noc.dir()).expect("lost");
    copy_folder(&copy, &world.noc.dir());
    world.noc.serve();
    assert_eq!(edit(6), [2, 2, 2], "one packet with a number that was used, one with a fresh one");
    assert!(world.noc.log().contains("restored from an older copy"));
    assert_eq!(edit(7), [1, 1, 1], "and from then on as if nothing had happened");
}
