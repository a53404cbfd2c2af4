//! Appliances that want a voucher, from the vendor's key to the first beat: the real programs of vendor, NOC, console, appliance.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Duration;
use system_tests::lab::begin::site;
use system_tests::lab::{Before, Lab};
use system_tests::process::succeed;
use system_tests::wait::until;

fn voucher(lab: &Lab, words: &[&str]) -> String {
    let mut command = lab.at("noc", "muster-noc");
    succeed(command.arg("voucher").args(words)).trim().to_owned()
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// The plan of the only appliance, by the console.
fn planned(lab: &Lab) -> Value {
    let output = lab.muster_command(&["plan"]).output().expect("muster starts");
    let plan: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    plan["rows"][0].clone()
}

fn discovered(lab: &Lab, state: &str) {
    until(&format!("it shows as {state}"), Duration::from_secs(20), || {
        let found = lab.muster(&["discover"]);
        if found["appliances"][0]["state"] == state { Ok(()) } else { Err(found.to_string()) }
    });
}

fn import(lab: &Lab, manifest: &Path) -> std::process::Output {
    let mut command = lab.at("noc", "muster-noc");
    command.args(["inventory", "import", "--dir"]).arg(lab.folder().join("noc")).arg(manifest);
    command.output().expect("muster-noc starts")
}

#[test]
fn with_the_vendors_voucher_an_appliance_is_configured_and_without_it_the_console_says_what_is_missing() {
    let mut lab = Lab::new("v");
    let number = lab.add_appliance(Before { address: None, rp_filter: 0 });
    let manifest = lab.label(number);
    let keys: [PathBuf; 2] = ["vendor.key", "stranger.key"].map(|name| lab.folder().join(name));
    let [vendor, stranger] = [0, 1].map(|n| voucher(&lab, &["new-key", text(&keys[n])]));
    assert_ne!(vendor, stranger);
    let image = lab.appliances[0].root.join("etc/muster");
    std::fs::create_dir_all(&image).expect("made");
    std::fs::write(image.join("agent.toml"), format!("proof = \"voucher\"\nvendor_key = \"{vendor}\"\n"))
        .expect("written");
    lab.start_noc(&site(&["--confirm", "first-beat"]), &manifest);
    lab.start_agent(number);

    // In the inventory, with its label code, and still nothing that it accepts.
    discovered(&lab, "no_voucher");
    let row = planned(&lab);
    assert_eq!((row["ownership"].as_str(), row["problem"]["code"].as_str()), (Some("no_voucher"), Some("no_voucher")));
    assert!(row["problem"]["remedy"].as_str().is_some_and(|remedy| remedy.contains("voucher root")), "{row}");

    let folder = lab.folder().to_owned();
    let root = voucher(&lab, &["root", "--dir", text(&folder.join("noc"))]);
    let sign = |lab: &Lab, key: &Path, root: &str, name: &str| {
        let (bare, signed) = (folder.join("bare.csv"), folder.join(name));
        std::fs::write(&bare, &manifest).expect("written");
        let words = ["sign", "--key", text(key), "--root", root, "--valid", "90d", text(&bare)];
        std::fs::write(&signed, voucher(lab, &words)).expect("written");
        signed
    };
    // For another NOC: told at the import, not by the appliance.
    let other = sign(&lab, &keys[0], &stranger, "other.csv");
    let refused = import(&lab, &other);
    let why = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && why.contains("[voucher_of_another_noc]"), "{why}");

    // By another vendor: only the appliance can tell.
    assert!(import(&lab, &sign(&lab, &keys[1], &root, "strange.csv")).status.success());
    discovered(&lab, "unconfigured");
    let output = lab.muster_command(&["configure", "--all-unconfigured"]).output().expect("muster starts");
    let job: Value = serde_json::from_slice(&output.stdout).expect("a job");
    let problem = &job["items"][0]["problem"];
    assert_eq!(problem["code"], "voucher_refused", "{job}\n{}", lab.logs());
    assert!(problem["message"].as_str().is_some_and(|message| message.contains("by another vendor")), "{problem}");
    let row = until("the NOC to know of it", Duration::from_secs(20), || {
        let row = planned(&lab);
        if row["problem"]["code"] == "voucher_refused" { Ok(row) } else { Err(row.to_string()) }
    });
    assert_eq!(row["ownership"], "no_voucher");

    // The right one.
    let good = sign(&lab, &keys[0], &root, "good.csv");
    let imported = import(&lab, &good);
    assert_eq!(String::from_utf8_lossy(&imported.stdout), "0 added, 1 updated, 0 unchanged.\n");
    let configure = |lab: &Lab| {
        lab.configure_all();
        lab.until_console_shows(1, "a beat", |_| true);
    };
    configure(&lab);
    assert!(lab.addresses(1).contains("inet 10.20.0.100/24"));

    // Without an owner again, the same voucher is given again.
    lab.reset_appliance(number);
    discovered(&lab, "unconfigured");
    configure(&lab);
}

#[test]
fn an_agent_whose_image_names_no_vendor_does_not_start_and_says_what_to_write() {
    let mut lab = Lab::new("vn");
    let number = lab.add_appliance(Before { address: None, rp_filter: 0 });
    lab.label(number);
    let image = lab.appliances[0].root.join("etc/muster");
    std::fs::create_dir_all(&image).expect("made");
    let refusal = |lab: &Lab, toml: &str| {
        std::fs::write(image.join("agent.toml"), toml).expect("written");
        let mut command = lab.at("a1", "muster-agent");
        command.args(["run", "--interface", "eth0", "--root"]).arg(&lab.appliances[0].root);
        command.arg("--state-dir").arg(lab.appliances[0].root.join("var/lib/muster"));
        let output = command.output().expect("muster-agent starts");
        assert!(!output.status.success(), "{toml}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let missing = refusal(&lab, "proof = \"voucher\"\n");
    assert!(missing.contains("[vendor_key_missing]") && missing.contains("vendor_key"), "{missing}");
    let unused = refusal(&lab, &format!("vendor_key = \"{}\"\n", "A".repeat(43) + "="));
    assert!(unused.contains("[vendor_key_unused]") && unused.contains("proof = \"voucher\""), "{unused}");
    let nonsense = refusal(&lab, "proof = \"voucher\"\nvendor_key = \"nonsense\"\n");
    assert!(nonsense.contains("[config_invalid]") && nonsense.contains("32 bytes in base64"), "{nonsense}");
}
