//! Why nothing becomes of what is asked for components.

use crate::error::{AsProblem, StoreError, problem};
use muster_protocol::api::Problem;
use muster_protocol::text::printable;
use std::io;
use std::path::PathBuf;

/// Why a component, or the repository, is not as somebody wants it. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ComponentError {
    /// A value that cannot be.
    #[error("`{field}` {why}")]
    Invalid {
        /// Which value.
        field: &'static str,
        /// What is wrong.
        why: String,
    },
    /// There is no repository yet.
    #[error("this NOC has no repository of components yet")]
    NoRepository,
    /// There is one already.
    #[error("this NOC has a repository of components already")]
    AlreadyThere,
    /// A root cannot be taken.
    #[error("the root cannot be taken: {why}")]
    Root {
        /// What is wrong.
        why: String,
    },
    /// A file is no root of a repository.
    #[error("{} is no root of a repository: {why}", path.display())]
    NotRoot {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// There is no such vendor.
    #[error("there is no vendor {}", printable(.vendor))]
    UnknownVendor {
        /// Its handle.
        vendor: String,
    },
    /// The vendor is there already.
    #[error("there is a vendor {vendor} already")]
    VendorThere {
        /// Its handle.
        vendor: String,
    },
    /// A component, or a key, is another vendor's.
    #[error("{what} belongs to the vendor {vendor}")]
    VendorsOwn {
        /// The component or the key.
        what: String,
        /// Whose it is.
        vendor: String,
    },
    /// The root says something else of the vendor.
    #[error("the vendor cannot be taken as it is: {why}")]
    VendorNamed {
        /// What the root says.
        why: String,
    },
    /// Metadata of a vendor cannot be taken.
    #[error("the vendor's metadata cannot be taken: {why}")]
    Vendors {
        /// What is wrong.
        why: String,
    },
    /// A file is nothing that a vendor hands in.
    #[error("{} cannot be read as a vendor's: {why}", path.display())]
    NotVendors {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The key has no place in the root.
    #[error("neither this root nor the one before it knows the key in {}", path.display())]
    ForeignKey {
        /// The key's file.
        path: PathBuf,
    },
    /// There is no such component.
    #[error("there is no component {} {}", printable(.name), printable(.version))]
    Unknown {
        /// Its name.
        name: String,
        /// Its version.
        version: String,
    },
    /// The name and version are taken by other bytes.
    #[error("{name} {version} is there already, with other contents")]
    Taken {
        /// Its name.
        name: String,
        /// Its version.
        version: String,
    },
    /// The name belongs to somebody else.
    #[error("the name {name} is in use for components of {whose}")]
    NameTaken {
        /// The name.
        name: String,
        /// Whose.
        whose: &'static str,
    },
    /// It was retired.
    #[error("{name} {version} was retired")]
    Retired {
        /// Its name.
        name: String,
        /// Its version.
        version: String,
    },
    /// The key file is there already.
    #[error("{} is there already", path.display())]
    KeyThere {
        /// Which.
        path: PathBuf,
    },
    /// A key does not read.
    #[error("{} is no key: {why}", path.display())]
    BadKey {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// A file could not be read.
    #[error("{} could not be read", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file could not be written.
    #[error("{} could not be written", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The operating system gave no random bytes.
    #[error("no random bytes for the keys")]
    NoEntropy,
    /// Metadata could not be made.
    #[error("the metadata could not be made: {why}")]
    Metadata {
        /// What went wrong.
        why: String,
    },
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ComponentError {
    pub(crate) fn invalid(field: &'static str, why: impl Into<String>) -> ComponentError {
        ComponentError::Invalid { field, why: why.into() }
    }

    pub(crate) fn vendors(why: impl Into<String>) -> ComponentError {
        ComponentError::Vendors { why: why.into() }
    }

    pub(crate) fn root(why: impl Into<String>) -> ComponentError {
        ComponentError::Root { why: why.into() }
    }
}

impl From<rusqlite::Error> for ComponentError {
    fn from(error: rusqlite::Error) -> Self {
        ComponentError::Store(error.into())
    }
}

impl AsProblem for ComponentError {
    fn problem(&self) -> Problem {
        use ComponentError::*;
        let (status, code, remedy) = match self {
            Invalid { .. } => (422, "component_invalid", "Correct the value named."),
            NoRepository => (
                409,
                "no_component_repository",
                "Make one: `muster-noc component keys`, `component root new`, `component root sign`, `component init`.",
            ),
            AlreadyThere => (
                409,
                "component_repository_exists",
                "Give it a successor of its root with `muster-noc component rotate`, or begin anew with `init --replace`.",
            ),
            Root { .. } => (422, "component_root_refused", "Correct the root, have it signed, and try again."),
            NotRoot { .. } => {
                (422, "component_root_unreadable", "Name the file that `muster-noc component root new` has made.")
            }
            UnknownVendor { .. } => {
                (404, "component_vendor_unknown", "List the vendors with `muster-noc component vendor list`.")
            }
            VendorThere { .. } => {
                (409, "component_vendor_exists", "Change it with `muster-noc component vendor change`.")
            }
            VendorsOwn { .. } => (
                409,
                "component_of_vendor",
                "Have that vendor sign and publish it, or remove the vendor with `muster-noc component vendor remove`.",
            ),
            VendorNamed { .. } => (
                409,
                "component_vendor_named_by_root",
                "Put a successor of the root in force that names the vendor as it is: `component root next --vendor`.",
            ),
            Vendors { .. } => (
                422,
                "component_vendor_refused",
                "Have the vendor correct and sign its metadata, and publish them again.",
            ),
            NotVendors { .. } => (
                422,
                "component_vendor_unreadable",
                "Name the file that `muster-noc component vendor describe` or `vendor release` has made.",
            ),
            ForeignKey { .. } => {
                (409, "component_key_foreign", "Sign with one of the keys that the root, or the one before it, names.")
            }
            Unknown { .. } => (404, "component_unknown", "List what there is with `muster-noc component list`."),
            Taken { .. } => (
                409,
                "component_version_taken",
                "Give it another version: what appliances have under one never changes.",
            ),
            NameTaken { .. } => (409, "component_name_taken", "Choose another name."),
            Retired { .. } => {
                (409, "component_retired", "Promote another version, or add this one again from the same file.")
            }
            KeyThere { .. } => (409, "component_key_exists", "Name another folder: no key is ever written over."),
            BadKey { .. } => (422, "component_key_unreadable", "Restore the key from a backup, or sign with another."),
            Read { .. } => (500, "component_file_unreadable", "Check that the file is there and that you may read it."),
            Write { .. } => {
                (500, "component_file_unwritable", "Choose a folder that you may write to, with free space.")
            }
            NoEntropy => (500, "no_entropy", "Try again once the machine has finished starting."),
            Metadata { .. } => (500, "component_metadata_failed", "Look at the NOC's log, then try again."),
            Store(error) => return error.problem(),
        };
        problem(status, code, self, remedy)
    }
}
