//! Applets: what a vendor adds to the console of a site, as a signed bundle (seed, "applet 23"; decision 0043).
