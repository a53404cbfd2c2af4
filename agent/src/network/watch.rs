//! Says when interfaces, carriers or addresses change: the kernel's own notifications, so that nothing is polled.
//!
//! Their contents are not read: whoever is woken looks at everything. So it does no harm when the kernel drops some, and a
//! storm of them costs two looks a second.

use super::NetworkError;
use nix::sys::socket::{AddressFamily, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, socket};
use nix::unistd::read;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// Changes of the network of this namespace.
#[derive(Debug)]
pub struct Changes {
    told: Arc<Notify>,
    task: JoinHandle<()>,
}

/// RTMGRP_LINK, RTMGRP_IPV4_IFADDR and RTMGRP_IPV6_IFADDR (linux/rtnetlink.h).
const GROUPS: u32 = 0x1 | 0x10 | 0x100;
/// What belongs together (an interface, its carrier, its addresses) comes within this time.
const SETTLE: Duration = Duration::from_millis(100);
/// After a notification the next one waits.
const REST: Duration = Duration::from_millis(400);
const MOST_READS: usize = 4096;

impl Changes {
    /// Listens from now on.
    pub fn listen() -> Result<Changes, NetworkError> {
        #[expect(
            deprecated,
            reason = "its successor is unsafe for types that do not own their descriptor; this one does"
        )]
        let opened = || -> std::io::Result<AsyncFd<OwnedFd>> {
            let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
            let socket = socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkRoute)?;
            bind(socket.as_raw_fd(), &NetlinkAddr::new(0, GROUPS))?;
            AsyncFd::with_interest(socket, Interest::READABLE)
        };
        let refused = |source| NetworkError::Kernel { action: "tell of changes of the network", source };
        let socket = opened().map_err(refused)?;
        let told = Arc::new(Notify::new());
        let task = tokio::spawn(tell(socket, told.clone()));
        Ok(Changes { told, task })
    }

    /// Ends when something has changed. Cancel-safe: what was not told is told the next time.
    pub async fn next(&self) {
        self.told.notified().await;
    }
}

impl Drop for Changes {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn tell(socket: AsyncFd<OwnedFd>, told: Arc<Notify>) {
    loop {
        // An error is that the kernel dropped some (ENOBUFS): there were changes.
        let _ = socket.readable().await;
        tokio::time::sleep(SETTLE).await;
        for _ in 0..MOST_READS {
            let taken = socket.try_io(Interest::READABLE, |socket| Ok(read(socket, &mut [0; 4096])?));
            if taken.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock) {
                break;
            }
        }
        told.notify_one();
        tokio::time::sleep(REST).await;
    }
}
