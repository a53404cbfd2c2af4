//! Settings of the vendor's application: a file and a program, by the real agent in one process and in two.

use crate::appliance::{Appliance, settings, there, until};
use crate::namespaces::{inside, run_ip};
use muster_protocol::application::ApplicationSettings;
use muster_protocol::parameters::RawSettings;
use muster_protocol::wire::result::Reason;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

const OLD: &str = "{\"relay\":\"old\"}";
const NEW: &str = "{\"relay\":\"new\"}";

/// An image with a file and a program, which notes what it is told, and refuses what names `refused`.
fn image(user: &str) -> Appliance {
    run_ip("link set eth0 up");
    let mut appliance = Appliance::new("");
    let folder = appliance.folder.path().to_owned();
    let hook = folder.join("hook");
    let script = format!(
        "#!/bin/sh\nread -r line\necho \"$line\" >> {}\ncase \"$line\" in *apply*refused*) echo 'no such relay' >&2; exit 1;; esac\n",
        folder.join("told").display()
    );
    fs::write(&hook, script).expect("written");
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).expect("set");
    let toml = format!(
        "proof = \"open\"\nprobe_ms = 100\n{user}\n[application]\nfile = \"/etc/vendor/settings.json\"\nexec = [\"{}\"]\n",
        hook.display()
    );
    fs::write(folder.join("etc/muster/agent.toml"), toml).expect("written");
    appliance.start();
    appliance
}

fn give(appliance: &mut Appliance, application: Option<&str>) {
    appliance.owner.application = application.map(|text| ApplicationSettings::parse(text).expect("settings"));
}

fn file(appliance: &Appliance) -> Option<String> {
    fs::read_to_string(appliance.folder.path().join("etc/vendor/settings.json")).ok()
}

/// Operations and settings, as the program was told them.
fn told(appliance: &Appliance) -> Vec<(String, String)> {
    let text = fs::read_to_string(appliance.folder.path().join("told")).unwrap_or_default();
    let read = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
        assert_eq!(line["version"], 1);
        (line["operation"].as_str().expect("a word").to_owned(), line["settings"].to_string())
    };
    text.lines().map(read).collect()
}

fn addresses() -> String {
    there("ip -4 -o address show dev eth0")
}

fn named(host_name: &str, address: &str) -> RawSettings {
    RawSettings { host_name: host_name.into(), ..settings(address) }
}

fn said(operation: &str, settings: &str) -> (String, String) {
    (operation.to_owned(), settings.to_owned())
}

/// Everything that can become of an attempt.
fn every_end(user: &str) {
    let mut appliance = image(user);
    give(&mut appliance, Some(OLD));
    appliance.configure("eth0", &named("one", "192.0.2.10")).expect("configured");
    assert_eq!(file(&appliance), Some(format!("{OLD}\n")));
    let mut expected = vec![said("apply", OLD), said("commit", OLD)];
    until("the commit to be told", || if told(&appliance) == expected { Ok(()) } else { Err(told(&appliance)) });

    // The program refuses: network and file are as they were.
    give(&mut appliance, Some("{\"relay\":\"refused\"}"));
    let refused = appliance.configure("eth0", &named("two", "192.0.2.11"));
    assert_eq!(refused, Err(Reason::ApplicationFailed), "{}", appliance.log());
    assert_eq!(file(&appliance), Some(format!("{OLD}\n")));
    assert!(addresses().contains("192.0.2.10/24"), "{}", addresses());
    expected.extend([said("apply", "{\"relay\":\"refused\"}"), said("roll_back", OLD)]);
    assert_eq!(told(&appliance), expected);

    // The power goes while nobody has confirmed.
    give(&mut appliance, Some(NEW));
    appliance.try_out("eth0", &named("three", "192.0.2.12")).expect("provisional");
    assert_eq!(file(&appliance), Some(format!("{NEW}\n")));
    appliance.kill();
    assert_eq!(file(&appliance), Some(format!("{NEW}\n")));
    appliance.start();
    until("the roll-back", || {
        let is_back = file(&appliance) == Some(format!("{OLD}\n")) && addresses().contains("192.0.2.10/24");
        if is_back { Ok(()) } else { Err((file(&appliance), appliance.log())) }
    });
    expected.extend([said("apply", NEW), said("roll_back", OLD)]);
    until("the program to be told", || if told(&appliance) == expected { Ok(()) } else { Err(told(&appliance)) });

    // Other network settings do not disturb the application; and a grant without settings takes them away.
    give(&mut appliance, Some(OLD));
    appliance.configure("eth0", &named("four", "192.0.2.13")).expect("configured");
    assert_eq!(told(&appliance), expected);
    give(&mut appliance, None);
    appliance.configure("eth0", &named("five", "192.0.2.14")).expect("configured");
    assert_eq!(file(&appliance), None);
    expected.extend([said("apply", "null"), said("commit", "null")]);
    until("the commit to be told", || if told(&appliance) == expected { Ok(()) } else { Err(told(&appliance)) });

    // A reset leaves nothing of them.
    give(&mut appliance, Some(NEW));
    appliance.configure("eth0", &named("six", "192.0.2.15")).expect("configured");
    appliance.stop();
    assert!(appliance.program(&["reset", "--yes"]).status().expect("runs").success());
    assert_eq!(file(&appliance), None);
    assert_eq!(told(&appliance).last(), Some(&said("forget", "null")));
}

#[test]
fn application_settings_are_committed_or_rolled_back_with_the_network() {
    if inside("application::application_settings_are_committed_or_rolled_back_with_the_network") {
        every_end("user = \"root\"");
    }
}

#[test]
fn application_settings_go_the_same_way_through_two_processes() {
    if inside("application::application_settings_go_the_same_way_through_two_processes") {
        every_end("user = \"64078\"");
    }
}

#[test]
fn without_a_kick_start_the_application_goes_back_with_the_network() {
    if !inside("application::without_a_kick_start_the_application_goes_back_with_the_network") {
        return;
    }
    let mut appliance = image("");
    give(&mut appliance, Some(NEW));
    appliance.try_out("eth0", &settings("192.0.2.10")).expect("provisional");
    assert_eq!(file(&appliance), Some(format!("{NEW}\n")));
    let provisional = Instant::now();
    // The window is half a minute, as long as anything is waited for.
    until("the end of the window to come nearer", || {
        if provisional.elapsed() > Duration::from_secs(10) { Ok(()) } else { Err(()) }
    });
    until("the roll-back", || {
        let is_back = file(&appliance).is_none() && addresses().is_empty();
        if is_back { Ok(()) } else { Err((file(&appliance), appliance.log())) }
    });
    appliance.shows("unconfigured", |status| status["state"] == "unconfigured");
    assert_eq!(told(&appliance), [said("apply", NEW), said("roll_back", "null")]);
}

#[test]
fn an_image_that_says_nothing_of_an_application_refuses_its_settings_before_anything_changes() {
    if !inside("application::an_image_that_says_nothing_of_an_application_refuses_its_settings_before_anything_changes")
    {
        return;
    }
    run_ip("link set eth0 up");
    let mut appliance = Appliance::new("");
    appliance.start();
    give(&mut appliance, Some(NEW));
    let refused = appliance.configure("eth0", &settings("192.0.2.10"));
    assert_eq!(refused, Err(Reason::ApplicationNotSupported));
    assert_eq!(addresses(), "");
    give(&mut appliance, None);
    appliance.configure("eth0", &settings("192.0.2.10")).expect("configured");
}
