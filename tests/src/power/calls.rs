//! What strace wrote: the calls of the agent, and what they change.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// The calls that change something, and those that the order of changes depends on. `?`: not on every processor.
pub const TRACED: &str = "openat,write,?rename,?renameat,?renameat2,?unlink,?unlinkat,?link,?linkat,?mkdir,?mkdirat,\
     fchmod,?chmod,?fchmodat,fsync,fdatasync,ftruncate,sendto,sendmsg,recvfrom,recvmsg,sethostname";

/// One system call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Its name.
    pub name: String,
    /// How many calls of this name the agent's first thread had made with this one; 0: another thread's.
    pub nth: usize,
    /// The files that it names.
    pub about: Vec<PathBuf>,
    /// What it does, unless it failed or never came to it.
    pub change: Change,
    /// Whether it was carried out.
    pub done: bool,
}

/// What a call changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Opens a file to write to it.
    Open {
        /// The file.
        path: PathBuf,
        /// Makes it if it is missing.
        create: bool,
        /// Empties it.
        empty: bool,
        /// Permissions if it is made.
        mode: u32,
    },
    /// Adds to a file.
    Write {
        /// The file.
        path: PathBuf,
        /// What was written.
        bytes: Vec<u8>,
    },
    /// Sets permissions.
    Permit {
        /// The file.
        path: PathBuf,
        /// The permissions.
        mode: u32,
    },
    /// Makes what was done to a file or a folder last.
    Sync {
        /// The file or folder.
        path: PathBuf,
    },
    /// Gives another name.
    Rename {
        /// The former name.
        from: PathBuf,
        /// The new one.
        to: PathBuf,
    },
    /// Gives a second name.
    Link {
        /// The name there is.
        from: PathBuf,
        /// The second one.
        to: PathBuf,
    },
    /// Removes a name.
    Unlink {
        /// The name.
        path: PathBuf,
    },
    /// Makes a folder.
    Mkdir {
        /// The folder.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// Speaks to the kernel's network.
    Netlink,
    /// Hears the kernel's network.
    Heard,
    /// Sends a datagram.
    Datagram,
    /// Sets the host name.
    HostName,
    /// None.
    Nothing,
}

/// The calls in a trace made with `-f -y -xx`, in their order.
pub fn parse(text: &str) -> Vec<Call> {
    let mut calls = Vec::new();
    let mut first = None;
    let mut counts = BTreeMap::<String, usize>::new();
    let mut unfinished = BTreeMap::<String, (String, usize)>::new();
    for line in text.lines() {
        let Some((thread, rest)) = line.trim_start().split_once(' ') else { continue };
        let rest = rest.trim_start();
        let first = first.get_or_insert_with(|| thread.to_owned());
        let (whole, nth) =
            if let Some((_, end)) = rest.strip_prefix("<... ").and_then(|rest| rest.split_once("resumed>")) {
                let Some((start, nth)) = unfinished.remove(thread) else { continue };
                (start + end, nth)
            } else {
                let Some((name, _)) = rest.split_once('(').filter(|(name, _)| is_name(name)) else { continue };
                let nth = if thread == first {
                    let count = counts.entry(name.to_owned()).or_default();
                    *count += 1;
                    *count
                } else {
                    0
                };
                if let Some(start) = rest.strip_suffix("<unfinished ...>") {
                    unfinished.insert(thread.to_owned(), (start.to_owned(), nth));
                    continue;
                }
                (rest.to_owned(), nth)
            };
        calls.extend(call(&whole, nth));
    }
    // What the cut came before: strace knows that it began.
    calls.extend(unfinished.into_values().filter_map(|(start, nth)| call(&format!("{start}) = ?"), nth)));
    calls
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn call(line: &str, nth: usize) -> Option<Call> {
    let (name, rest) = line.split_once('(')?;
    let (arguments, returned) = rest.rsplit_once(" = ")?;
    let returned: Option<i64> = returned.split([' ', '<']).next()?.parse().ok();
    let done = returned.is_some_and(|value| value >= 0);
    let change = change(name, arguments, returned.unwrap_or(0)).unwrap_or(Change::Nothing);
    let about = match name {
        "write" | "fchmod" | "fsync" | "fdatasync" | "ftruncate" => descriptor(arguments).into_iter().collect(),
        "sendto" | "sendmsg" | "recvfrom" | "recvmsg" | "sethostname" => Vec::new(),
        _ => texts(arguments).into_iter().map(path).collect(),
    };
    Some(Call { name: name.to_owned(), nth, about, change, done })
}

fn change(name: &str, arguments: &str, returned: i64) -> Option<Change> {
    let mut texts = texts(arguments).into_iter().map(path);
    let mode = || {
        // Before the result of a short line strace puts spaces.
        let last = arguments.trim_end().trim_end_matches(')').rsplit([',', ' ']).next()?;
        u32::from_str_radix(last, 8).ok()
    };
    Some(match name {
        "openat" if arguments.contains("O_WRONLY") || arguments.contains("O_RDWR") => Change::Open {
            path: texts.next()?,
            create: arguments.contains("O_CREAT"),
            empty: arguments.contains("O_TRUNC"),
            mode: mode().unwrap_or(0o600),
        },
        "write" => {
            let mut bytes = self::texts(arguments).into_iter().next()?;
            bytes.truncate(usize::try_from(returned).ok()?);
            Change::Write { path: descriptor(arguments)?, bytes }
        }
        "fchmod" => Change::Permit { path: descriptor(arguments)?, mode: mode()? },
        "chmod" | "fchmodat" => Change::Permit { path: texts.next()?, mode: mode()? },
        "fsync" | "fdatasync" => Change::Sync { path: descriptor(arguments)? },
        "rename" | "renameat" | "renameat2" => Change::Rename { from: texts.next()?, to: texts.next()? },
        "link" | "linkat" => Change::Link { from: texts.next()?, to: texts.next()? },
        "unlink" | "unlinkat" => Change::Unlink { path: texts.next()? },
        "mkdir" | "mkdirat" => Change::Mkdir { path: texts.next()?, mode: mode().unwrap_or(0o777) },
        "sendto" | "sendmsg" if arguments.contains("nlmsg_len") => Change::Netlink,
        "recvfrom" | "recvmsg" if arguments.contains("nlmsg_len") => Change::Heard,
        "sendto" | "sendmsg" if arguments.contains("AF_INET") => Change::Datagram,
        "sethostname" => Change::HostName,
        _ => return None,
    })
}

/// The strings among the arguments, without the file names that strace puts behind descriptors.
fn texts(arguments: &str) -> Vec<Vec<u8>> {
    arguments.split('"').skip(1).step_by(2).map(unescape).collect()
}

/// The file behind the first descriptor.
fn descriptor(arguments: &str) -> Option<PathBuf> {
    let (_, rest) = arguments.split_once('<')?;
    let (name, _) = rest.split_once('>')?;
    Some(path(unescape(name)))
}

fn unescape(text: &str) -> Vec<u8> {
    text.split("\\x").filter_map(|digits| u8::from_str_radix(digits, 16).ok()).collect()
}

fn path(bytes: Vec<u8>) -> PathBuf {
    PathBuf::from(std::ffi::OsString::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = r#"7 openat(AT_FDCWD<\x2f>, "\x2f\x61", O_WRONLY|O_CREAT|O_EXCL|O_CLOEXEC, 0600) = 9<\x2f\x61>
7 write(9<\x2f\x61>, "\x4d\x00\x22", 3) = 2
7 fchmod(9<\x2f\x61>, 0644)               = 0
8 write(2<\x2f\x62>, "\x20", 1 <unfinished ...>
7 rename("\x2f\x61", "\x2f\x62" <unfinished ...>
8 <... write resumed>)                    = 1
7 <... rename resumed>)                   = -1 EIO (Input/output error) (INJECTED)
7 sendto(10<\x73>, [{nlmsg_len=32, nlmsg_type=RTM_GETLINK}], 32, 0, {sa_family=AF_NETLINK}, 12) = 32
7 --- SIGCHLD {si_signo=SIGCHLD} ---
7 fsync(9<\x2f\x61>)                      = ?
7 +++ killed by SIGKILL +++
"#;

    #[test]
    fn a_trace_is_read_with_what_was_interrupted_and_what_failed() {
        let calls = parse(TRACE);
        let seen: Vec<_> = calls.iter().map(|call| (call.name.as_str(), call.nth, call.done)).collect();
        assert_eq!(
            seen,
            [
                ("openat", 1, true),
                ("write", 1, true),
                ("fchmod", 1, true),
                ("write", 0, true),
                ("rename", 1, false),
                ("sendto", 1, true),
                ("fsync", 1, false)
            ]
        );
        assert_eq!(calls[1].about, [PathBuf::from("/a")]);
        assert_eq!(calls[4].about, ["/a", "/b"].map(PathBuf::from));
        let changes: Vec<_> = calls.into_iter().map(|call| call.change).collect();
        assert_eq!(changes[0], Change::Open { path: "/a".into(), create: true, empty: false, mode: 0o600 });
        assert_eq!(changes[1], Change::Write { path: "/a".into(), bytes: b"M\0".to_vec() });
        assert_eq!(changes[2], Change::Permit { path: "/a".into(), mode: 0o644 });
        assert_eq!(changes[4], Change::Rename { from: "/a".into(), to: "/b".into() });
        assert_eq!(changes[5], Change::Netlink);
    }
}
