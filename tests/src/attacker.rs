//! The attacker's toolkit: what somebody on the network, or with a program of his own, can do without any secret of ours.
