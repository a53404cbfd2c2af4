//! One real agent whose power is cut at a system call, or whose system call fails (decision 0021).
//!
//! - [`victim`]: the appliance: namespaces, files, its owner, and the agent, alone or under strace.
//! - [`calls`]: what strace saw the agent ask for. [`tree`]: a folder as a value. [`disk`]: what a disk keeps of those calls.
//! - [`story`]: what happens to an appliance, from which start to which ends. [`cuts`] cuts its power there, [`faults`] lets a
//!   call fail.

pub mod calls;
pub mod cuts;
pub mod disk;
pub mod faults;
pub mod soak;
pub mod story;
pub mod tree;
pub mod victim;
