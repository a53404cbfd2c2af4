//! The kernel's view of an interface, read and changed by rtnetlink.

mod ipv6;

pub(super) use ipv6::{Detection, METRIC, Static6};

use super::NetworkError;
use super::links::{Link, Rank};
use data_encoding::BASE64;
use futures_util::TryStreamExt;
use muster_protocol::id::Mac;
use rtnetlink::packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_REPLACE, NLM_F_REQUEST, NetlinkDeserializable, NetlinkHeader, NetlinkMessage,
    NetlinkPayload, NetlinkSerializable,
};
use rtnetlink::packet_route::address::{AddressAttribute, AddressMessage};
use rtnetlink::packet_route::link::{InfoPortKind, LinkAttribute, LinkFlags, LinkInfo, LinkLayerType, LinkMessage};
use rtnetlink::packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteHeader, RouteMessage, RouteProtocol, RouteType,
};
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};
use rtnetlink::{AddressMessageBuilder, Handle, LinkUnspec, RouteMessageBuilder};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The state of one interface, and the IPv4 default routes of all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Snapshot {
    addresses: Vec<Raw>,
    routes: Vec<Raw>,
    /// `None`: IPv6 is left alone, as by an agent from before there was any.
    #[serde(default)]
    ipv6: Option<ipv6::Snapshot6>,
}

/// A netlink message as the kernel dumped it, so that nothing of it is lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Raw {
    kind: u16,
    base64: String,
}

/// A connection to the kernel of this network namespace.
pub(super) struct Netlink {
    handle: Handle,
    connection: tokio::task::JoinHandle<()>,
    lost: Arc<AtomicBool>,
}

impl Drop for Netlink {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

const EEXIST: i32 = 17;
const ESRCH: i32 = 3;
const EADDRNOTAVAIL: i32 = 99;

impl Netlink {
    pub(super) fn open() -> Result<Netlink, NetworkError> {
        let opened = rtnetlink::new_connection();
        let (connection, handle, _) =
            opened.map_err(|source| NetworkError::Kernel { action: "open a netlink socket", source })?;
        let lost = Arc::new(AtomicBool::new(false));
        let ended = lost.clone();
        let connection = tokio::spawn(async move {
            let mut connection = std::pin::pin!(connection);
            connection.as_mut().await;
            // Before it is dropped, which ends what waits for its answers.
            ended.store(true, Ordering::Release);
        });
        Ok(Netlink { handle, connection, lost })
    }

    /// What came of a request. When the connection is lost, an answer that ends early looks like a whole one, and a change that
    /// was never sent like one that was made.
    fn whole<T>(&self, action: &'static str, result: Result<T, rtnetlink::Error>) -> Result<T, NetworkError> {
        let value = result.map_err(refused(action))?;
        if self.lost.load(Ordering::Acquire) {
            let source = io::Error::new(io::ErrorKind::BrokenPipe, "the netlink connection was lost");
            return Err(NetworkError::Kernel { action, source });
        }
        Ok(value)
    }

    pub(super) async fn link(&self, name: &str) -> Result<Link, NetworkError> {
        let missing = || NetworkError::NoInterface { interface: name.to_owned() };
        let found = self.handle.link().get().match_name(name).execute().try_next().await;
        // An error of the kernel means that there is none; a lost connection means nothing.
        self.whole("look for the interface", Ok(()))?;
        found.ok().flatten().and_then(|message| link_of(&message)).ok_or_else(missing)
    }

    /// All that have a MAC.
    pub(super) async fn links(&self) -> Result<Vec<Link>, NetworkError> {
        let messages: Vec<LinkMessage> =
            self.whole("list interfaces", self.handle.link().get().execute().try_collect().await)?;
        let mut links: Vec<Link> = messages.iter().filter_map(link_of).collect();
        links.sort_by_key(|link| link.index);
        Ok(links)
    }

    pub(super) async fn set_up(&self, index: u32) -> Result<(), NetworkError> {
        let up = LinkUnspec::new_with_index(index).up().build();
        self.whole("bring the interface up", self.handle.link().set(up).execute().await)
    }

    /// What is there now: addresses, static IPv6, and every IPv4 route of the main table that the kernel did not make by itself and
    /// that uses the interface or is a default route.
    pub(super) async fn snapshot(&self, index: u32) -> Result<Snapshot, NetworkError> {
        let addresses = self.addresses(index).await?;
        let routes = self.routes().await?;
        let kept = routes.into_iter().filter(|route| uses(route, index) || is_default(route));
        let mut routes: Vec<RouteMessage> = kept.collect();
        // Routes to gateways come after the on-link routes by which the gateways are reached.
        routes.sort_by_key(|route| std::cmp::Reverse(u8::from(route.header.scope)));
        Ok(Snapshot {
            addresses: addresses.into_iter().map(|address| Raw::of(RouteNetlinkMessage::NewAddress(address))).collect(),
            routes: routes.into_iter().map(|route| Raw::of(RouteNetlinkMessage::NewRoute(route))).collect(),
            ipv6: Some(self.snapshot6(index).await?),
        })
    }

    /// Exactly one address on the interface, and a default route if there is a gateway.
    pub(super) async fn set(
        &self,
        index: u32,
        address: (Ipv4Addr, u8),
        gateway: Option<Ipv4Addr>,
    ) -> Result<(), NetworkError> {
        self.clear(index, Some(address)).await?;
        self.add(index, address, gateway).await
    }

    /// The address and the default route, beside what is there.
    pub(super) async fn add(
        &self,
        index: u32,
        (address, prefix): (Ipv4Addr, u8),
        gateway: Option<Ipv4Addr>,
    ) -> Result<(), NetworkError> {
        let message = AddressMessageBuilder::<Ipv4Addr>::new().index(index).address(address, prefix).build();
        self.request(RouteNetlinkMessage::NewAddress(message), "set the address").await?;
        if let Some(gateway) = gateway {
            let route = RouteMessageBuilder::<Ipv4Addr>::new().gateway(gateway).output_interface(index).build();
            self.request(RouteNetlinkMessage::NewRoute(route), "set the default route").await?;
        }
        Ok(())
    }

    /// Back to a snapshot; goes on after an error and returns the first.
    pub(super) async fn restore(&self, index: u32, former: &Snapshot) -> Result<(), NetworkError> {
        let mut result = self.clear(index, None).await;
        for raw in former.addresses.iter().chain(&former.routes) {
            let restored = match raw.message() {
                Some(message) => self.request(message, "restore an address or a route").await,
                None => Err(NetworkError::Former),
            };
            result = result.and(restored);
        }
        match &former.ipv6 {
            Some(ipv6) => result.and(self.restore6(index, ipv6).await),
            None => result,
        }
    }

    /// Whether addresses and routes are what they were, but for how long they are still valid.
    pub(super) async fn is_as(&self, index: u32, former: &Snapshot) -> Result<bool, NetworkError> {
        let now = self.snapshot(index).await?;
        let same6 = |former: &ipv6::Snapshot6| now.ipv6.as_ref().is_some_and(|now| now.keys() == former.keys());
        Ok(now.keys() == former.keys() && former.ipv6.as_ref().is_none_or(same6))
    }

    /// Removes every default route that one without a metric would collide with.
    pub(super) async fn remove_default_routes(&self) -> Result<(), NetworkError> {
        let first = |route: &RouteMessage| is_default(route) && priority(route) == 0;
        for route in self.routes().await?.into_iter().filter(first) {
            ignoring(ESRCH, self.handle.route().del(route).execute().await).map_err(refused("remove a route"))?;
        }
        Ok(())
    }

    /// Whether a default route leads over the interface to this gateway.
    pub(super) async fn has_gateway(&self, index: u32, gateway: Ipv4Addr) -> Result<bool, NetworkError> {
        let leads = |route: &RouteMessage| is_default(route) && uses(route, index) && via(route) == Some(gateway);
        Ok(self.routes().await?.iter().any(leads))
    }

    /// Whether the interface has this address.
    pub(super) async fn has_address(&self, index: u32, address: Ipv4Addr) -> Result<bool, NetworkError> {
        let addresses = self.addresses(index).await?;
        Ok(addresses.iter().any(|message| local(message) == Some(address)))
    }

    /// The addresses of an interface, with their prefixes.
    pub(super) async fn networks(&self, index: u32) -> Result<Vec<(Ipv4Addr, u8)>, NetworkError> {
        let addresses = self.addresses(index).await?;
        Ok(addresses.iter().filter_map(|message| Some((local(message)?, message.header.prefix_len))).collect())
    }

    /// Whether there is a default route.
    pub(super) async fn has_default_route(&self) -> Result<bool, NetworkError> {
        Ok(self.routes().await?.iter().any(is_default))
    }

    /// The gateways of an interface's default routes, and how many other routes it has that the kernel did not make.
    pub(super) async fn routes_of(&self, index: u32) -> Result<(Vec<Ipv4Addr>, usize), NetworkError> {
        let routes = self.routes().await?.into_iter().filter(|route| uses(route, index));
        let (everywhere, others): (Vec<_>, Vec<_>) = routes.partition(is_default);
        let gateway = |route: &RouteMessage| {
            route.attributes.iter().find_map(|attribute| match attribute {
                RouteAttribute::Gateway(RouteAddress::Inet(gateway)) => Some(*gateway),
                _ => None,
            })
        };
        let gateways = everywhere.iter().map(|route| gateway(route).unwrap_or(Ipv4Addr::UNSPECIFIED));
        Ok((gateways.collect(), others.len()))
    }

    /// Removes addresses and routes of the interface, but `keep`.
    pub(super) async fn clear(&self, index: u32, keep: Option<(Ipv4Addr, u8)>) -> Result<(), NetworkError> {
        for route in self.routes().await?.into_iter().filter(|route| uses(route, index)) {
            self.whole("remove a route", ignoring(ESRCH, self.handle.route().del(route).execute().await))?;
        }
        for address in self.addresses(index).await? {
            if keep.is_some() && keep == local(&address).map(|ip| (ip, address.header.prefix_len)) {
                continue;
            }
            let removed = self.handle.address().del(address).execute().await;
            // The kernel removes secondary addresses together with their primary one.
            self.whole("remove an address", ignoring(EADDRNOTAVAIL, removed))?;
        }
        Ok(())
    }

    async fn addresses(&self, index: u32) -> Result<Vec<AddressMessage>, NetworkError> {
        let listed = self.handle.address().get().set_link_index_filter(index).execute();
        let all: Vec<AddressMessage> = self.whole("list addresses", listed.try_collect().await)?;
        Ok(all.into_iter().filter(|message| message.header.family == AddressFamily::Inet).collect())
    }

    async fn routes(&self) -> Result<Vec<RouteMessage>, NetworkError> {
        let listed = self.handle.route().get(RouteMessageBuilder::<Ipv4Addr>::new().build()).execute();
        let all: Vec<RouteMessage> = self.whole("list routes", listed.try_collect().await)?;
        let ours = |route: &RouteMessage| {
            let header = &route.header;
            header.address_family == AddressFamily::Inet
                && header.table == RouteHeader::RT_TABLE_MAIN
                && header.kind == RouteType::Unicast
                && header.protocol != RouteProtocol::Kernel
        };
        Ok(all.into_iter().filter(ours).collect())
    }

    async fn request(&self, message: RouteNetlinkMessage, action: &'static str) -> Result<(), NetworkError> {
        self.create(message, NLM_F_REPLACE, action).await
    }

    /// What is there already is fine.
    async fn create(&self, message: RouteNetlinkMessage, how: u16, action: &'static str) -> Result<(), NetworkError> {
        let mut request = NetlinkMessage::from(message);
        request.header.flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | how;
        let mut answers = self.handle.clone().request(request).map_err(refused(action))?;
        while let Some(answer) = futures_util::StreamExt::next(&mut answers).await {
            if let NetlinkPayload::Error(error) = answer.payload
                && error.raw_code() != 0
                && error.raw_code() != -EEXIST
            {
                return Err(NetworkError::Kernel { action, source: error.to_io() });
            }
        }
        self.whole(action, Ok(()))
    }
}

impl Snapshot {
    /// What makes each address and route the one it is.
    fn keys(&self) -> BTreeSet<String> {
        let key = |raw: &Raw| match raw.message() {
            Some(RouteNetlinkMessage::NewAddress(address)) => {
                format!("{:?}/{}", local(&address), address.header.prefix_len)
            }
            Some(RouteNetlinkMessage::NewRoute(route)) => {
                let mut attributes: Vec<_> = route.attributes.iter().filter(|a| is_place(a)).collect();
                attributes.sort_by_key(|attribute| format!("{attribute:?}"));
                format!("{} {attributes:?}", route.header.destination_prefix_length)
            }
            _ => String::new(),
        };
        self.addresses.iter().chain(&self.routes).map(key).collect()
    }
}

impl Raw {
    fn of(message: RouteNetlinkMessage) -> Raw {
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        Raw { kind: message.message_type(), base64: BASE64.encode(&bytes) }
    }

    fn message(&self) -> Option<RouteNetlinkMessage> {
        let bytes = BASE64.decode(self.base64.as_bytes()).ok()?;
        let mut header = NetlinkHeader::default();
        header.message_type = self.kind;
        let mut message = RouteNetlinkMessage::deserialize(&header, &bytes).ok()?;
        if let RouteNetlinkMessage::NewRoute(route) = &mut message {
            // What the kernel says about a route's present condition it does not take back.
            route.header.flags &= RouteFlags::Onlink;
        }
        Some(message)
    }
}

fn link_of(message: &LinkMessage) -> Option<Link> {
    let name = message.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::IfName(name) => Some(name.clone()),
        _ => None,
    })?;
    let mac = message.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::Address(bytes) => bytes.as_slice().try_into().ok().map(Mac),
        _ => None,
    })?;
    let flags = message.header.flags;
    let (up, carrier) = (flags.contains(LinkFlags::Up), flags.contains(LinkFlags::LowerUp));
    let rank = rank_of(message, &name);
    Some(Link { index: message.header.index, name, mac, up, carrier, rank })
}

fn rank_of(message: &LinkMessage, name: &str) -> Rank {
    // What has no ARP (ifb, dummy) leads to nobody, and a port's traffic is that of its bridge or bond; a VRF leaves it where it is.
    let is_ethernet = message.header.link_layer_type == LinkLayerType::Ether;
    let has_arp = !message.header.flags.contains(LinkFlags::Noarp);
    let is_port = message.attributes.iter().any(|attribute| matches!(attribute, LinkAttribute::Controller(_)));
    let in_vrf = message.attributes.iter().any(|attribute| {
        matches!(attribute, LinkAttribute::LinkInfo(infos) if infos.contains(&LinkInfo::PortKind(InfoPortKind::Vrf)))
    });
    if !is_ethernet || !has_arp || (is_port && !in_vrf) {
        Rank::Unfit
    } else if std::path::Path::new("/sys/class/net").join(name).join("device").exists() {
        Rank::Real
    } else {
        Rank::Virtual
    }
}

fn local(message: &AddressMessage) -> Option<Ipv4Addr> {
    message.attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Local(IpAddr::V4(ip)) => Some(*ip),
        _ => None,
    })
}

fn uses(route: &RouteMessage, index: u32) -> bool {
    route.attributes.iter().any(|attribute| matches!(attribute, RouteAttribute::Oif(oif) if *oif == index))
}

fn is_default(route: &RouteMessage) -> bool {
    route.header.destination_prefix_length == 0
}

/// Where a route leads, as opposed to how it stands.
fn is_place(attribute: &RouteAttribute) -> bool {
    use RouteAttribute::{Destination, Gateway, MultiPath, Oif, PrefSource, Priority};
    matches!(attribute, Destination(_) | Gateway(_) | MultiPath(_) | Oif(_) | PrefSource(_) | Priority(_))
}

fn via(route: &RouteMessage) -> Option<Ipv4Addr> {
    route.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Gateway(RouteAddress::Inet(gateway)) => Some(*gateway),
        _ => None,
    })
}

fn priority(route: &RouteMessage) -> u32 {
    let found = route.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Priority(priority) => Some(*priority),
        _ => None,
    });
    found.unwrap_or(0)
}

fn ignoring(code: i32, result: Result<(), rtnetlink::Error>) -> Result<(), rtnetlink::Error> {
    match result {
        Err(rtnetlink::Error::NetlinkError(error)) if error.raw_code() == -code => Ok(()),
        other => other,
    }
}

fn refused(action: &'static str) -> impl Fn(rtnetlink::Error) -> NetworkError {
    move |error| {
        let source = match error {
            rtnetlink::Error::NetlinkError(error) => error.to_io(),
            other => io::Error::other(other.to_string()),
        };
        NetworkError::Kernel { action, source }
    }
}
