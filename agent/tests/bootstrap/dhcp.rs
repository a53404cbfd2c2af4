//! An appliance that has its address from a DHCP server (busybox's udhcpd) by a client of its system (udhcpc, with Debian's own
//! script), which goes on running after the configuration.

use crate::appliance::{Appliance, Running, settings, there};
use crate::namespaces::{inside, peer, run, run_ip};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

fn server(folder: &Path) -> Running {
    let leases = folder.join("leases");
    fs::write(&leases, "").expect("written");
    let text = format!(
        "start 10.20.0.50\nend 10.20.0.50\ninterface eth0\nlease_file {}\npidfile {}\noption subnet 255.255.255.0\n\
         option router 10.20.0.1\noption lease 600\n",
        leases.display(),
        folder.join("udhcpd.pid").display()
    );
    fs::write(folder.join("udhcpd.conf"), text).expect("written");
    let mut command = Command::new("udhcpd");
    command.arg("-f").arg(folder.join("udhcpd.conf")).stderr(Stdio::null());
    Running(command.spawn().expect("udhcpd"))
}

fn client(folder: &Path) -> Running {
    let resolver = folder.join("resolv.conf");
    fs::write(&resolver, "").expect("written");
    // Its script writes the machine's resolver file, which is not the appliance's.
    let script = format!("mount --bind {} /etc/resolv.conf && exec udhcpc -f -i eth0", resolver.display());
    let mut command = Command::new("ip");
    command.args(["netns", "exec", &peer(), "unshare", "--mount", "sh", "-c", &script]).stderr(Stdio::null());
    Running(command.spawn().expect("udhcpc"))
}

fn addresses() -> String {
    there("ip -4 -o address show dev eth0")
}

#[test]
fn settings_win_over_a_dhcp_client_that_goes_on_and_it_is_reported() {
    if !inside("dhcp::settings_win_over_a_dhcp_client_that_goes_on_and_it_is_reported") {
        return;
    }
    run_ip("link set eth0 up");
    run_ip("address add 10.20.0.1/24 dev eth0");
    let folder = tempfile::tempdir().expect("a folder");
    let _server = server(folder.path());
    let client = client(folder.path());
    let mut appliance = Appliance::new("");
    appliance.start();
    appliance.shows("a lease", |_| addresses().contains("inet 10.20.0.50/24"));

    appliance.configure("eth0", &settings("192.0.2.10")).expect("configured");
    assert!(addresses().contains("inet 192.0.2.10/24"), "{}", addresses());
    let status = appliance.shows("settings only", |_| !addresses().contains("10.20.0.50"));
    assert_eq!(status["other_addresses"], serde_json::json!([]));

    // Giving the lease back, the client takes every address off the interface.
    let signal = |name: &str| run(&["kill", &format!("-{name}"), &client.0.id().to_string()]);
    signal("USR2");
    appliance.shows("the settings put back", |status| {
        status["settings_put_back"].as_u64() >= Some(1) && addresses().contains("inet 192.0.2.10/24")
    });
    // A new lease takes the place of the first address.
    signal("USR1");
    let status = appliance.shows("both addresses", |status| {
        let now = addresses();
        status["other_addresses"] == serde_json::json!(["10.20.0.50/24"])
            && now.contains("inet 10.20.0.50/24")
            && now.contains("inet 192.0.2.10/24")
    });
    let text = String::from_utf8(appliance.program(&["status"]).output().expect("runs").stdout).expect("text");
    assert!(text.contains("Also has   10.20.0.50/24") && text.contains("Put back   the settings"), "{text}");
    assert!(status["settings_put_back"].as_u64() >= Some(2), "{status}");
    assert_eq!(appliance.log().matches("does a DHCP client run?").count(), 1, "{}", appliance.log());
    appliance.ask("eth0");
}
