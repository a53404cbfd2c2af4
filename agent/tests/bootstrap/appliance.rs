//! A real agent at the other end of the cable, and a console for it.

use crate::namespaces::{peer, run};
use crate::owner::{Owner, Packet};
use muster_agent::entropy::OsEntropy;
use muster_protocol::crypto::random;
use muster_protocol::crypto::seal::ExportedKey;
use muster_protocol::id::{PingId, Seq};
use muster_protocol::parameters::RawSettings;
use muster_protocol::wire::here::Here;
use muster_protocol::wire::ping::{Ping, Shard};
use muster_protocol::wire::result::{Reason, Status};
use muster_protocol::wire::{self, GROUP, MAX_DATAGRAM, Message, PORT};
use serde_json::Value;
use std::fmt::Debug;
use std::fs::{self, File};
use std::net::{SocketAddrV6, UdpSocket};
use std::process::{Child, Command};
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Looks again and again until it is so.
pub(crate) fn until<T, E: Debug>(what: &str, mut look: impl FnMut() -> Result<T, E>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match look() {
            Ok(found) => return found,
            Err(error) => assert!(Instant::now() < deadline, "no {what}: {error:?}"),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A program that ends with the test.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A command in the appliance's namespace.
pub(crate) fn there(command: &str) -> String {
    let peer = peer();
    let whole: Vec<&str> = ["ip", "netns", "exec", &peer].into_iter().chain(command.split_whitespace()).collect();
    run(&whole)
}

/// The appliance and its console.
pub(crate) struct Appliance {
    pub(crate) folder: TempDir,
    agent: Option<Running>,
    pub(crate) owner: Owner,
    seq: u64,
}

impl Appliance {
    /// With this `agent.toml`.
    pub(crate) fn new(image: &str) -> Appliance {
        let folder = tempfile::tempdir().expect("a folder");
        let etc = folder.path().join("etc/muster");
        fs::create_dir_all(&etc).expect("made");
        fs::write(etc.join("agent.toml"), format!("proof = \"open\"\n{image}")).expect("written");
        Appliance { folder, agent: None, owner: Owner::new(), seq: 0 }
    }

    pub(crate) fn program(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &peer(), env!("CARGO_BIN_EXE_muster-agent")]).args(arguments);
        command.arg("--state-dir").arg(self.folder.path().join("state")).arg("--root").arg(self.folder.path());
        command
    }

    pub(crate) fn start(&mut self) {
        let log = File::options().create(true).append(true).open(self.folder.path().join("log")).expect("made");
        let mut command = self.program(&["run"]);
        self.agent = Some(Running(command.env("RUST_LOG", "debug").stderr(log).spawn().expect("starts")));
    }

    pub(crate) fn pid(&self) -> i32 {
        self.agent.as_ref().expect("runs").0.id() as i32
    }

    /// As the power goes.
    pub(crate) fn kill(&mut self) {
        self.agent = None;
    }

    /// As it is asked to.
    pub(crate) fn stop(&mut self) {
        let mut agent = self.agent.take().expect("runs");
        let pid = nix::unistd::Pid::from_raw(agent.0.id() as i32);
        nix::sys::signal::kill(pid, nix::sys::signal::SIGTERM).expect("sent");
        assert!(agent.0.wait().expect("ends").success(), "{}", self.log());
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    pub(crate) fn status(&self) -> Value {
        let output = self.program(&["status", "--json"]).output().expect("runs");
        serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
    }

    /// Waits until the status is as wanted.
    pub(crate) fn shows(&self, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        until(what, || {
            let status = self.status();
            if is_so(&status) { Ok(status) } else { Err(format!("{status:#}\n{}", self.log())) }
        })
    }

    /// Pings on an interface of the test, by multicast, until an answer comes.
    pub(crate) fn ask(&self, interface: &str) -> Heard {
        let index = fs::read_to_string(format!("/sys/class/net/{interface}/ifindex")).expect("there");
        let group = SocketAddrV6::new(GROUP, PORT, 0, index.trim().parse().expect("a number"));
        let socket = UdpSocket::bind("[::]:0").expect("bound");
        socket.set_read_timeout(Some(Duration::from_millis(150))).expect("set");
        until("answer", || {
            // The link takes a moment to come up.
            let _ = socket.send_to(&ping(), group);
            match answer(&socket) {
                Some((Message::Here(packet), from)) => {
                    let socket = socket.try_clone().expect("cloned");
                    Ok(Heard { here: packet.verify().expect("signed"), socket, from })
                }
                _ => Err(self.log()),
            }
        })
    }

    /// Configures it from an interface of the test; why it failed.
    pub(crate) fn configure(&mut self, interface: &str, settings: &RawSettings) -> Result<(), Reason> {
        let (heard, packet) = self.try_out(interface, settings)?;
        let is_end = |status: &Status| matches!(status, Status::Success { committed: true } | Status::Failed { .. });
        let end = heard.deliver(&packet.kick, &packet.exported, is_end);
        assert!(matches!(end, Status::Success { .. }), "{end:?}");
        self.shows("final settings", |status| status["state"] == "configured");
        Ok(())
    }

    /// Has it take settings that nobody confirms; why it did not.
    pub(crate) fn try_out(&mut self, interface: &str, settings: &RawSettings) -> Result<(Heard, Packet), Reason> {
        let heard = self.ask(interface);
        self.seq += 1;
        let seq = Seq(self.seq);
        let packet = self.owner.packet(&heard.here, seq, settings.validate().expect("valid"), None);
        match heard.deliver(&packet.bytes, &packet.exported, |status| !matches!(status, Status::Unconfigured { .. })) {
            Status::Failed { reason, .. } => return Err(reason),
            status => assert!(matches!(status, Status::Success { committed: false }), "{status:?}"),
        }
        Ok((heard, packet))
    }
}

/// An answer, and how to talk to the appliance.
pub(crate) struct Heard {
    pub(crate) here: Here,
    socket: UdpSocket,
    from: std::net::SocketAddr,
}

impl Heard {
    /// Sends until a result is as wanted.
    fn deliver(&self, datagram: &[u8], exported: &ExportedKey, is_wanted: impl Fn(&Status) -> bool) -> Status {
        let mut resend_at = Instant::now();
        until("result", || {
            if Instant::now() >= resend_at {
                self.socket.send_to(datagram, self.from).expect("sent");
                resend_at = Instant::now() + Duration::from_secs(1);
            }
            match answer(&self.socket) {
                Some((Message::Result(packet), _)) => {
                    let result =
                        packet.verify(&self.here.device_key, exported).map_err(|error| format!("{error:?}"))?;
                    if is_wanted(&result.status) { Ok(result.status) } else { Err(format!("{:?}", result.status)) }
                }
                other => Err(format!("{other:?}")),
            }
        })
    }
}

fn answer(socket: &UdpSocket) -> Option<(Message, std::net::SocketAddr)> {
    let mut buffer = [0; MAX_DATAGRAM];
    let (length, from) = socket.recv_from(&mut buffer).ok()?;
    Some((wire::decode(&buffer[..length]).ok()?, from))
}

fn ping() -> Vec<u8> {
    let id = PingId(random(&mut OsEntropy));
    let (salt, shard, heard) = ([1; 8], Shard::default(), Vec::new());
    Ping { id, window_ms: 10, salt, shard, heard, only: None, reply_key: None, credential: None }.to_plain()
}

/// Settings with this address.
pub(crate) fn settings(address: &str) -> RawSettings {
    RawSettings {
        host_name: "mail-01".into(),
        domain: "example.net".into(),
        address: address.into(),
        netmask: "255.255.255.0".into(),
        ..RawSettings::default()
    }
}
