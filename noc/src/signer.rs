//! What the NOC root signs.

use muster_applet::release::Releases;
use muster_protocol::component::ComponentRoot;
use muster_protocol::crypto::keys::{PublicKey, SecretKey};
use muster_protocol::crypto::sign::{Purpose, sign};
use muster_protocol::grant::{Credential, Grant};
use muster_protocol::handover::{Handover, Successor};
use muster_protocol::instruction::Instruction;
use muster_protocol::queue::Message;
use muster_protocol::wire::to_cbor;

/// The root key in use. Signing takes some 40 µs: batches go to a blocking thread.
pub(crate) struct Signer {
    root: SecretKey,
}

impl Signer {
    pub(crate) fn new(root: SecretKey) -> Signer {
        Signer { root }
    }

    /// The root's public key.
    pub(crate) fn root(&self) -> PublicKey {
        self.root.public()
    }

    /// COSE_Sign1 over a grant.
    pub(crate) fn grant(&self, grant: &Grant) -> Vec<u8> {
        sign(&self.root, Purpose::Grant, to_cbor(grant))
    }

    /// COSE_Sign1 over an instruction.
    pub(crate) fn instruction(&self, instruction: &Instruction) -> Vec<u8> {
        sign(&self.root, Purpose::Instruction, to_cbor(instruction))
    }

    /// COSE_Sign1 over the JSON of a message to a console.
    pub(crate) fn message(&self, message: &Message) -> Vec<u8> {
        // Our own structure of numbers and texts has no way to fail.
        sign(&self.root, Purpose::Message, serde_json::to_vec(message).unwrap_or_default())
    }

    /// COSE_Sign1 over a hand-over.
    pub(crate) fn handover(&self, handover: &Handover) -> Vec<u8> {
        handover.sign(&self.root)
    }

    /// COSE_Sign1 over what this NOC offers to take over appliances under.
    pub(crate) fn offer(&self, successor: &Successor) -> Vec<u8> {
        successor.offer(&self.root)
    }

    /// COSE_Sign1 over what another NOC has to know of appliances.
    pub(crate) fn transfer(&self, transfer: Vec<u8>) -> Vec<u8> {
        sign(&self.root, Purpose::Transfer, transfer)
    }

    /// COSE_Sign1 over the end of the audit log.
    pub(crate) fn anchor(&self, payload: Vec<u8>) -> Vec<u8> {
        sign(&self.root, Purpose::AuditAnchor, payload)
    }

    /// COSE_Sign1 over which applets a console has.
    pub(crate) fn applets(&self, releases: &Releases) -> Vec<u8> {
        releases.sign(&self.root)
    }

    /// COSE_Sign1 over which repository appliances take their components from.
    pub(crate) fn component_root(&self, root: &ComponentRoot) -> Vec<u8> {
        sign(&self.root, Purpose::ComponentRoot, to_cbor(root))
    }

    /// COSE_Sign1 over a console credential.
    pub(crate) fn credential(&self, credential: &Credential) -> Vec<u8> {
        sign(&self.root, Purpose::Credential, to_cbor(credential))
    }
}
