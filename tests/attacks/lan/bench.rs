//! Appliances, their owner and an attacker on one link.

use muster_protocol::crypto::keys::PublicKey;
use serde_json::Value;
use std::time::Duration;
use system_tests::attacker::Attacker;
use system_tests::attacker::frame::Mail;
use system_tests::attacker::owner::{Owner, Subject, ask};
use system_tests::attacker::station::{Station, WAYS};
use system_tests::lab::{Before, Lab};
use system_tests::wait::until;

const SITE: &[&str] = &[
    "--pool",
    "10.20.0.100-10.20.0.180",
    "--gateway",
    "10.20.0.1",
    "--host-name",
    "lab-{n:02}",
    "--beat-interval",
    "5",
    "--confirm",
    "kick-start",
    "--window",
    "30",
];

/// The lab of one attack. `owner` sends from the console's host by `desk`.
pub(crate) struct Bench {
    pub(crate) lab: Lab,
    pub(crate) attacker: Attacker,
    pub(crate) owner: Owner,
    pub(crate) desk: Station,
    pub(crate) subjects: Vec<Subject>,
}

impl Bench {
    /// Unconfigured appliances whose agents run, and an owner by hand: no NOC, no console program.
    pub(crate) fn by_hand(name: &str, appliances: usize) -> Bench {
        Bench::new(name, appliances, "", "", |_, _| Owner::new(1))
    }

    /// The same; the images accept the vouchers of this vendor, and nothing else.
    pub(crate) fn vouched(name: &str, appliances: usize, vendor: &PublicKey) -> Bench {
        let image = format!("proof = \"voucher\"\nvendor_key = \"{}\"\n", vendor.to_base64());
        Bench::new(name, appliances, &image, "", |_, _| Owner::new(1))
    }

    /// The same with a NOC that has them in its inventory, and the console enrolled; the owner has the keys of both.
    pub(crate) fn with_console(name: &str, appliances: usize) -> Bench {
        Bench::with_console_and(name, appliances, "")
    }

    /// The same with more lines in the inventory (serial, MAC, UID, claim code, model).
    pub(crate) fn with_console_and(name: &str, appliances: usize, others: &str) -> Bench {
        Bench::new(name, appliances, "", others, |lab, manifest| {
            lab.start_noc(SITE, manifest);
            Owner::of(lab)
        })
    }

    fn new(
        name: &str,
        appliances: usize,
        more_of_the_image: &str,
        others: &str,
        owner: impl FnOnce(&mut Lab, &str) -> Owner,
    ) -> Bench {
        let mut lab = Lab::new(name);
        let attacker = Attacker::join(&mut lab);
        let mut manifest = String::new();
        for _ in 0..appliances {
            let number = lab.add_appliance(Before { address: None, rp_filter: 0 });
            let image = lab.appliances[number - 1].root.join("etc/muster");
            std::fs::create_dir_all(&image).expect("the image");
            let toml = format!("probe_ms = 300\n{more_of_the_image}");
            std::fs::write(image.join("agent.toml"), toml).expect("the image");
            let lines = lab.label(number);
            manifest =
                if manifest.is_empty() { lines } else { format!("{manifest}{}\n", lines.lines().last().unwrap_or("")) };
        }
        let owner = owner(&mut lab, &format!("{}\n{others}", manifest.trim_end()));
        let desk = Station::open(&lab.netns_file("console"));
        let subjects = (1..=appliances).map(|number| Subject::of(&lab, number)).collect();
        let mut bench = Bench { lab, attacker, owner, desk, subjects };
        (1..=appliances).for_each(|number| bench.start(number));
        bench
    }

    /// Starts an agent; it listens when this returns.
    pub(crate) fn start(&mut self, number: usize) {
        let before = self.times_logged(number, "listening");
        self.lab.start_agent(number);
        self.wait_for_log(number, "listening", before);
    }

    /// Cuts the power of an appliance and gives it back.
    pub(crate) fn reboot(&mut self, number: usize) {
        self.lab.cut_power(number);
        self.start(number);
    }

    /// A factory reset at the appliance.
    pub(crate) fn reset(&mut self, number: usize) {
        let before = self.times_logged(number, "listening");
        self.lab.reset_appliance(number);
        self.wait_for_log(number, "listening", before);
        self.wait_for_state(number, "unconfigured", Duration::from_secs(5));
    }

    pub(crate) fn times_logged(&self, number: usize, word: &str) -> usize {
        self.lab.agent_log(number).matches(word).count()
    }

    pub(crate) fn wait_for_log(&self, number: usize, word: &str, before: usize) {
        until(&format!("the agent to log `{word}`"), Duration::from_secs(15), || {
            if self.times_logged(number, word) > before { Ok(()) } else { Err(self.lab.agent_log(number)) }
        });
    }

    pub(crate) fn wait_for_state(&self, number: usize, state: &str, patience: Duration) {
        until(&format!("appliance {number} to be {state}"), patience, || {
            let status = self.lab.agent_status(number);
            if status["state"] == state { Ok(()) } else { Err(status.to_string()) }
        });
    }

    /// Everything of an appliance that an attack could change: addresses, routes, files, what the agent has stored.
    pub(crate) fn picture(&self, number: usize) -> Vec<String> {
        let appliance = &self.lab.appliances[number - 1];
        let status = self.lab.agent_status(number);
        let mut lines = vec![
            self.lab.ip(&appliance.host, "-4 -o addr show dev eth0 scope global"),
            self.lab.ip(&appliance.host, "-4 route show"),
            format!("{} {} {}", status["state"], status["seq"], status["settings"]),
            self.lab.host_name(number),
        ];
        for file in ["etc/hostname", "etc/hosts", "etc/resolv.conf"] {
            lines.push(std::fs::read_to_string(appliance.root.join(file)).unwrap_or_default());
        }
        lines
    }

    /// Discovers until all have answered at once.
    pub(crate) fn discover_all(&self) -> Value {
        until("all to answer", Duration::from_secs(20), || {
            let found = self.lab.muster(&["discover"]);
            let heard = found["appliances"].as_array().into_iter().flatten().filter(|row| row["heard"] == true).count();
            if heard >= self.subjects.len() { Ok(found) } else { Err(found.to_string()) }
        })
    }

    /// The job of `muster configure --all-unconfigured`.
    pub(crate) fn configure_all(&self) -> Value {
        until("somebody to configure", Duration::from_secs(60), || {
            let (_, out, err) = Command::start(&self.lab, &["configure", "--all-unconfigured"]).wait();
            // A machine that is busy with other things may let a short discovery end before anybody could answer.
            if err.contains("nothing_to_configure") { Err(err) } else { Ok(serde_json::from_str(&out).expect("a job")) }
        })
    }

    /// A plan file that gives the first appliance of a job another address.
    pub(crate) fn plan_again(&self, job: &Value, address: &str) -> String {
        let (uid, settings) = (&job["items"][0]["uid"], &job["items"][0]["settings"]);
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let header = "uid,host_name,domain,address,netmask,gateway,dns1,dns2";
        let (uid, name) = (text(uid), text(&settings["host_name"]));
        let line = format!("{uid},{name},lab.example.net,{address},255.255.255.0,10.20.0.1,,");
        let file = self.lab.folder().join("plan.csv");
        std::fs::write(&file, format!("{header}\n{line}\n")).expect("a plan");
        file.to_str().expect("UTF-8").to_owned()
    }

    /// What an appliance sent to a port after a mark of the wiretap. The owner's questions behind everything else, one by each
    /// family, make sure that it has read what came before.
    pub(crate) fn answers(&self, mark: usize, subject: &Subject, port: u16) -> Vec<Mail> {
        for way in WAYS {
            ask(&self.desk, subject, way).expect("it still answers its owner");
        }
        let mut mails = self.attacker.wire.since(mark);
        mails.retain(|mail| mail.source == subject.mac.0 && mail.to.port() == port);
        mails
    }
}

/// A `muster` command that runs beside the attack.
pub(crate) struct Command {
    child: std::process::Child,
}

impl Command {
    /// `muster ARGS --json` at the console.
    pub(crate) fn start(lab: &Lab, args: &[&str]) -> Command {
        let mut command = lab.muster_command(args);
        command.stdin(std::process::Stdio::null());
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        Command { child: command.spawn().expect("muster starts") }
    }

    /// `muster ARGS` at the console, as a person types it, with all that it logs.
    pub(crate) fn logging(lab: &Lab, args: &[&str]) -> Command {
        let mut command = lab.at("console", "muster");
        command.arg("--data-dir").arg(lab.folder().join("console")).args(args);
        command.env("MUSTER_KEYRING", "off").env("RUST_LOG", "debug").stdin(std::process::Stdio::null());
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        Command { child: command.spawn().expect("muster starts") }
    }

    /// The process, which is `muster` itself.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its exit code and what it printed on both streams.
    pub(crate) fn wait(self) -> (i32, String, String) {
        let output = self.child.wait_with_output().expect("muster ends");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
    }
}

/// How far each appliance of a job is.
pub(crate) fn steps(job: &Value) -> Vec<String> {
    let items = job["items"].as_array().into_iter().flatten();
    items.map(|item| item["step"].as_str().unwrap_or_default().to_owned()).collect()
}

/// How many config packets each appliance of a job was sent.
pub(crate) fn attempts(job: &Value) -> Vec<u64> {
    job["items"].as_array().into_iter().flatten().filter_map(|item| item["attempts"].as_u64()).collect()
}
