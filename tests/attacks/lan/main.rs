//! Attacks on the protocol of the LAN, against the real agent, console and NOC in the network lab. The attacker is a host of
//! his own on the same bridge: he sees every datagram and sends what he likes. Every test ends with the owner configuring the
//! appliance, over the same wire: what was refused was not merely lost.

mod bench;
mod clock;
mod confirm;
mod console;
mod crowd;
mod floods;
mod malformed;
mod misdirected;
mod replay;
mod texts;
mod vouchers;
