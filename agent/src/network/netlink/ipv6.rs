//! The IPv6 state of an interface (decision 0023).
//!
//! Only what is static counts: addresses and routes that came by router advertisement or DHCP, and link-local addresses, belong to
//! whoever made them. They are neither remembered nor removed.

use super::{EADDRNOTAVAIL, ESRCH, Netlink, Raw, ignoring, is_default, is_place, uses};
use crate::network::NetworkError;
use futures_util::TryStreamExt;
use muster_protocol::parameters::{Ipv6Settings, NetworkSettings};
use rtnetlink::packet_core::NLM_F_EXCL;
use rtnetlink::packet_route::address::{AddressAttribute, AddressFlags, AddressMessage, AddressProtocol, AddressScope};
use rtnetlink::packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteType,
};
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};
use rtnetlink::{AddressMessageBuilder, RouteMessageBuilder};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};

/// A gateway that was given comes before one that advertises itself, whose route the kernel gives 1024.
pub(in crate::network) const METRIC: u32 = 512;

/// The static addresses of an interface, and the routes over it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Snapshot6 {
    addresses: Vec<Raw>,
    routes: Vec<Raw>,
}

/// How an address stands with duplicate address detection (RFC 4862 §5.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::network) enum Detection {
    /// The interface does not have it.
    Missing,
    /// The kernel still asks, or cannot ask for want of a carrier.
    Tentative,
    /// Another host has it.
    Duplicate,
    /// It is this host's.
    Unique,
}

/// The static IPv6 of an interface, as settings have it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::network) struct Static6 {
    /// With prefixes, without those that another host has.
    pub(in crate::network) addresses: Vec<(Ipv6Addr, u8)>,
    /// Of the default routes.
    pub(in crate::network) gateways: Vec<Ipv6Addr>,
}

impl Static6 {
    /// What settings have, too.
    pub(in crate::network) fn extend(&mut self, settings: &NetworkSettings) {
        let ipv6 = settings.ipv6();
        self.addresses.extend(ipv6.map(|ipv6| (ipv6.address(), ipv6.prefix())));
        self.gateways.extend(ipv6.and_then(|ipv6| ipv6.gateway()));
    }
}

impl Netlink {
    pub(super) async fn snapshot6(&self, index: u32) -> Result<Snapshot6, NetworkError> {
        let addresses = self.addresses6(index).await?;
        let mut routes = self.routes6(index).await?;
        // Routes to gateways come after the on-link routes by which the gateways are reached.
        routes.sort_by_key(|route| via(route).is_some());
        Ok(Snapshot6 {
            addresses: addresses.into_iter().map(|address| Raw::of(RouteNetlinkMessage::NewAddress(address))).collect(),
            routes: routes.into_iter().map(|route| Raw::of(RouteNetlinkMessage::NewRoute(route))).collect(),
        })
    }

    /// Back to a snapshot. What is as it was is not touched: an address that is set anew could not be used for a second. Goes
    /// on after an error and returns the first.
    pub(super) async fn restore6(&self, index: u32, former: &Snapshot6) -> Result<(), NetworkError> {
        let wanted = former.keys();
        let mut result = Ok(());
        for route in self.routes6(index).await?.into_iter().filter(|route| !wanted.contains(&key_of_route(route))) {
            result = result.and(self.remove_route6(route).await);
        }
        for address in self.addresses6(index).await?.into_iter().filter(|a| !wanted.contains(&key_of_address(a))) {
            result = result.and(self.remove_address6(address).await);
        }
        let present = self.snapshot6(index).await?.keys();
        for raw in former.addresses.iter().chain(&former.routes).filter(|raw| !present.contains(&raw.key6())) {
            let restored = match raw.message() {
                Some(message) => self.create6(message, "restore an IPv6 address or route").await,
                None => Err(NetworkError::Former),
            };
            result = result.and(restored);
        }
        result
    }

    /// The address, beside what is there. One that turned out to be another host's is asked about again.
    pub(in crate::network) async fn add_address6(&self, index: u32, ipv6: Ipv6Settings) -> Result<(), NetworkError> {
        let same = |message: &AddressMessage| local(message) == Some(ipv6.address());
        for address in self.addresses6(index).await?.into_iter().filter(same) {
            if address.header.prefix_len != ipv6.prefix() || detection(&address) == Detection::Duplicate {
                self.remove_address6(address).await?;
            }
        }
        let message = AddressMessageBuilder::<Ipv6Addr>::new().index(index).address(ipv6.address(), ipv6.prefix());
        self.create6(RouteNetlinkMessage::NewAddress(message.build()), "set the IPv6 address").await
    }

    /// Address and default route, beside what is there.
    pub(in crate::network) async fn add6(&self, index: u32, ipv6: Ipv6Settings) -> Result<(), NetworkError> {
        self.add_address6(index, ipv6).await?;
        let Some(gateway) = ipv6.gateway() else { return Ok(()) };
        if self.static6(index).await?.gateways.contains(&gateway) {
            return Ok(());
        }
        let route = RouteMessageBuilder::<Ipv6Addr>::new().gateway(gateway).output_interface(index).priority(METRIC);
        self.create6(RouteNetlinkMessage::NewRoute(route.build()), "set the IPv6 default route").await
    }

    /// Takes off the interface what of `ours`, which was set earlier, is not wanted any more, and with a wanted address every
    /// static default route but that by its gateway.
    pub(in crate::network) async fn tidy6(
        &self,
        index: u32,
        ours: &Static6,
        wanted: Option<Ipv6Settings>,
    ) -> Result<(), NetworkError> {
        let keep = wanted.map(|ipv6| (ipv6.address(), ipv6.prefix()));
        let gateway = wanted.and_then(|ipv6| ipv6.gateway());
        for route in self.routes6(index).await?.into_iter().filter(is_default) {
            let leads = via(&route);
            let is_ours = leads.is_some_and(|gateway| ours.gateways.contains(&gateway));
            if (is_ours || wanted.is_some()) && (leads.is_none() || leads != gateway) {
                self.remove_route6(route).await?;
            }
        }
        for address in self.addresses6(index).await? {
            let network = local(&address).map(|ip| (ip, address.header.prefix_len));
            if network.is_some_and(|network| ours.addresses.contains(&network) && Some(network) != keep) {
                self.remove_address6(address).await?;
            }
        }
        Ok(())
    }

    /// How an address stands.
    pub(in crate::network) async fn detection(&self, index: u32, address: Ipv6Addr) -> Result<Detection, NetworkError> {
        let addresses = self.addresses6(index).await?;
        let found = addresses.iter().find(|message| local(message) == Some(address));
        Ok(found.map_or(Detection::Missing, detection))
    }

    /// What is static on an interface.
    pub(in crate::network) async fn static6(&self, index: u32) -> Result<Static6, NetworkError> {
        let addresses = self.addresses6(index).await?;
        let usable = addresses.iter().filter(|message| detection(message) != Detection::Duplicate);
        let routes = self.routes6(index).await?;
        Ok(Static6 {
            addresses: usable.filter_map(|message| Some((local(message)?, message.header.prefix_len))).collect(),
            gateways: routes.iter().filter(|route| is_default(route)).filter_map(via).collect(),
        })
    }

    async fn addresses6(&self, index: u32) -> Result<Vec<AddressMessage>, NetworkError> {
        let listed = self.handle.address().get().set_link_index_filter(index).execute();
        let all: Vec<AddressMessage> = self.whole("list addresses", listed.try_collect().await)?;
        Ok(all.into_iter().filter(is_static).collect())
    }

    async fn routes6(&self, index: u32) -> Result<Vec<RouteMessage>, NetworkError> {
        let listed = self.handle.route().get(RouteMessageBuilder::<Ipv6Addr>::new().build()).execute();
        let all: Vec<RouteMessage> = self.whole("list routes", listed.try_collect().await)?;
        let by_others = [RouteProtocol::Kernel, RouteProtocol::Ra, RouteProtocol::Dhcp, RouteProtocol::IcmpRedirect];
        let ours = |route: &RouteMessage| {
            let header = &route.header;
            header.address_family == AddressFamily::Inet6
                && header.table == RouteHeader::RT_TABLE_MAIN
                && header.kind == RouteType::Unicast
                && !by_others.contains(&header.protocol)
                && uses(route, index)
        };
        Ok(all.into_iter().filter(ours).collect())
    }

    async fn remove_route6(&self, route: RouteMessage) -> Result<(), NetworkError> {
        self.whole("remove an IPv6 route", ignoring(ESRCH, self.handle.route().del(route).execute().await))
    }

    async fn remove_address6(&self, address: AddressMessage) -> Result<(), NetworkError> {
        let removed = self.handle.address().del(address).execute().await;
        self.whole("remove an IPv6 address", ignoring(EADDRNOTAVAIL, removed))
    }

    /// Not by replacing: of two routes with one metric the kernel would take away the one that a router advertised.
    async fn create6(&self, message: RouteNetlinkMessage, action: &'static str) -> Result<(), NetworkError> {
        self.create(message, NLM_F_EXCL, action).await
    }
}

impl Snapshot6 {
    pub(super) fn keys(&self) -> BTreeSet<String> {
        self.addresses.iter().chain(&self.routes).map(Raw::key6).collect()
    }
}

impl Raw {
    fn key6(&self) -> String {
        match self.message() {
            Some(RouteNetlinkMessage::NewAddress(address)) => key_of_address(&address),
            Some(RouteNetlinkMessage::NewRoute(route)) => key_of_route(&route),
            _ => String::new(),
        }
    }
}

fn key_of_address(address: &AddressMessage) -> String {
    format!("{:?}/{}", local(address), address.header.prefix_len)
}

fn key_of_route(route: &RouteMessage) -> String {
    let mut attributes: Vec<_> = route.attributes.iter().filter(|attribute| is_place(attribute)).collect();
    attributes.sort_by_key(|attribute| format!("{attribute:?}"));
    format!("{} {attributes:?}", route.header.destination_prefix_length)
}

fn is_static(message: &AddressMessage) -> bool {
    let by_kernel = message.attributes.iter().any(|attribute| {
        use AddressProtocol::{Loopback, RouterAnnouncement};
        matches!(attribute, AddressAttribute::Protocol(Loopback | RouterAnnouncement))
    });
    message.header.family == AddressFamily::Inet6
        && message.header.scope == AddressScope::Universe
        && flags(message).contains(AddressFlags::Permanent)
        && !by_kernel
}

fn flags(message: &AddressMessage) -> AddressFlags {
    let told = message.attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Flags(flags) => Some(*flags),
        _ => None,
    });
    told.unwrap_or_else(|| AddressFlags::from_bits_retain(message.header.flags.bits().into()))
}

fn detection(message: &AddressMessage) -> Detection {
    let flags = flags(message);
    if flags.contains(AddressFlags::Dadfailed) {
        return Detection::Duplicate;
    }
    // An optimistic address is tentative, too, but may be used already (RFC 4429); it may still turn out to be a duplicate.
    if flags.intersects(AddressFlags::Tentative | AddressFlags::Optimistic) {
        return Detection::Tentative;
    }
    Detection::Unique
}

fn local(message: &AddressMessage) -> Option<Ipv6Addr> {
    let of = |wants_local: bool| {
        message.attributes.iter().find_map(move |attribute| match attribute {
            AddressAttribute::Local(IpAddr::V6(ip)) if wants_local => Some(*ip),
            AddressAttribute::Address(IpAddr::V6(ip)) if !wants_local => Some(*ip),
            _ => None,
        })
    };
    of(true).or(of(false))
}

fn via(route: &RouteMessage) -> Option<Ipv6Addr> {
    route.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Gateway(RouteAddress::Inet6(gateway)) => Some(*gateway),
        _ => None,
    })
}
