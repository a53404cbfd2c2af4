//! The system calls that the worker may make.
//!
//! Any other fails with ENOSYS, as on a kernel that does not know it: C libraries fall back to older calls then, so that a library
//! of the next ten years does not end the agent. The list is what the daemon's own work, Rust's standard library and tokio
//! need, with what glibc and musl use in its place on other kernels and processors; the lab's `lab-rights` runs under it.

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64"))]
pub use known::filter;

/// Processors whose filters we cannot make.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")))]
pub fn filter() {
    tracing::info!("system calls are not filtered on this processor");
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64"))]
mod known {
    use nix::libc;
    use seccompiler::{
        BpfProgram, Error, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
        TargetArch, apply_filter,
    };
    use std::collections::BTreeMap;

    /// Filters those of this thread, and of all that it starts from now on. A kernel without filters is told in the log only: an
    /// appliance must come up.
    pub fn filter() {
        if let Err(error) = program().and_then(|program| apply_filter(&program)) {
            tracing::warn!(%error, "system calls are not filtered");
        }
    }

    fn program() -> Result<BpfProgram, Error> {
        // Without rules, a call is allowed whatever its arguments.
        let mut rules: BTreeMap<i64, Vec<SeccompRule>> = ANY.iter().map(|call| (*call, Vec::new())).collect();
        rules.insert(libc::SYS_socket, one_of(0, FAMILIES)?);
        // glibc loads the modules of its resolver when a name is resolved.
        if cfg!(target_env = "musl") {
            for call in [libc::SYS_mmap, libc::SYS_mprotect] {
                let data = SeccompCmpOp::MaskedEq(libc::PROT_EXEC as u64);
                let data = SeccompCondition::new(2, SeccompCmpArgLen::Dword, data, 0)?;
                rules.insert(call, vec![SeccompRule::new(vec![data])?]);
            }
        }
        let unknown = SeccompAction::Errno(libc::ENOSYS as u32);
        let arch = TargetArch::try_from(std::env::consts::ARCH)?;
        Ok(SeccompFilter::new(rules, unknown, SeccompAction::Allow, arch)?.try_into()?)
    }

    fn one_of(argument: u8, values: &[i32]) -> Result<Vec<SeccompRule>, Error> {
        let rule = |value: &i32| {
            let is = SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, *value as u64)?;
            Ok(SeccompRule::new(vec![is])?)
        };
        values.iter().map(rule).collect()
    }

    /// UNIX: the system's own resolver. NETLINK: reading interfaces and addresses. PACKET: hearing address conflicts.
    const FAMILIES: &[i32] = &[libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK, libc::AF_PACKET];

    const ANY: &[i64] = &[
        // Memory
        libc::SYS_brk,
        libc::SYS_madvise,
        libc::SYS_mmap,
        libc::SYS_mprotect,
        libc::SYS_mremap,
        libc::SYS_munmap,
        // Threads and signals
        libc::SYS_clone,
        libc::SYS_clone3,
        libc::SYS_exit,
        libc::SYS_exit_group,
        libc::SYS_futex,
        libc::SYS_get_robust_list,
        libc::SYS_getpid,
        libc::SYS_getppid,
        libc::SYS_gettid,
        libc::SYS_membarrier,
        libc::SYS_prctl,
        libc::SYS_prlimit64,
        libc::SYS_restart_syscall,
        libc::SYS_rseq,
        libc::SYS_rt_sigaction,
        libc::SYS_rt_sigprocmask,
        libc::SYS_rt_sigreturn,
        libc::SYS_sched_getaffinity,
        libc::SYS_sched_yield,
        libc::SYS_set_robust_list,
        libc::SYS_set_tid_address,
        libc::SYS_sigaltstack,
        libc::SYS_tgkill,
        // Time
        libc::SYS_clock_getres,
        libc::SYS_clock_gettime,
        libc::SYS_clock_nanosleep,
        libc::SYS_gettimeofday,
        libc::SYS_nanosleep,
        // What is known about the host and the process; setting the clock takes a right that there is not.
        libc::SYS_adjtimex,
        libc::SYS_clock_adjtime,
        libc::SYS_getegid,
        libc::SYS_geteuid,
        libc::SYS_getgid,
        libc::SYS_getrandom,
        libc::SYS_getrusage,
        libc::SYS_getuid,
        libc::SYS_sysinfo,
        libc::SYS_uname,
        // Files, as far as the user may open them
        libc::SYS_close,
        libc::SYS_dup,
        libc::SYS_dup3,
        libc::SYS_faccessat,
        libc::SYS_faccessat2,
        libc::SYS_fcntl,
        libc::SYS_fstat,
        libc::SYS_fstatfs,
        libc::SYS_getcwd,
        libc::SYS_getdents64,
        libc::SYS_ioctl,
        libc::SYS_lseek,
        libc::SYS_newfstatat,
        libc::SYS_openat,
        libc::SYS_pipe2,
        libc::SYS_pread64,
        libc::SYS_read,
        libc::SYS_readlinkat,
        libc::SYS_readv,
        libc::SYS_statfs,
        libc::SYS_statx,
        libc::SYS_write,
        libc::SYS_writev,
        // Waiting
        libc::SYS_epoll_create1,
        libc::SYS_epoll_ctl,
        libc::SYS_epoll_pwait,
        libc::SYS_epoll_pwait2,
        libc::SYS_eventfd2,
        libc::SYS_ppoll,
        // Sockets; which ones, see FAMILIES
        libc::SYS_bind,
        libc::SYS_connect,
        libc::SYS_getpeername,
        libc::SYS_getsockname,
        libc::SYS_getsockopt,
        libc::SYS_recvfrom,
        libc::SYS_recvmmsg,
        libc::SYS_recvmsg,
        libc::SYS_sendmmsg,
        libc::SYS_sendmsg,
        libc::SYS_sendto,
        libc::SYS_setsockopt,
        libc::SYS_shutdown,
        libc::SYS_socketpair,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_access,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_epoll_wait,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_lstat,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_open,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_pipe,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_poll,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_readlink,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_stat,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_time,
    ];

    #[cfg(test)]
    mod tests {
        use super::*;
        use std::io::ErrorKind;
        use std::process::Command;

        #[test]
        fn the_worker_neither_starts_programs_nor_opens_other_sockets() {
            // A thread of its own: the filter cannot be taken off again.
            let filtered = std::thread::spawn(|| {
                nix::sys::prctl::set_no_new_privs().expect("no new rights");
                filter();
                let started = Command::new("true").status().map_err(|error| error.kind());
                let key = nix::sys::socket::socket(
                    nix::sys::socket::AddressFamily::Alg,
                    nix::sys::socket::SockType::SeqPacket,
                    nix::sys::socket::SockFlag::empty(),
                    None,
                );
                let removed = std::fs::remove_file("/nonexistent").map_err(|error| error.kind());
                let name = nix::unistd::sethostname("mallory");
                let read = std::fs::read_to_string("/proc/loadavg");
                let bound = std::net::UdpSocket::bind("127.0.0.1:0");
                (started, key, removed, name, read, bound)
            });
            let (started, key, removed, name, read, bound) = filtered.join().expect("it goes on");
            assert_eq!(started.expect_err("no program"), ErrorKind::Unsupported);
            assert_eq!(key.expect_err("no such socket"), nix::errno::Errno::ENOSYS);
            assert_eq!(removed.expect_err("no file is removed"), ErrorKind::Unsupported);
            assert_eq!(name.expect_err("no host name"), nix::errno::Errno::ENOSYS);
            assert!(!read.expect("readable").is_empty());
            bound.expect("what the daemon lives by");
        }
    }
}
