//! Which way does a namespace's kernel send packets? Its IPv4 routes.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::Ipv4Net;
use rtnetlink::packet_route::route::{RouteMessage, RouteNextHop, RouteScope, RouteType};
use rtnetlink::{RouteMessageBuilder, RouteNextHopBuilder};

use super::error::LabError;
use super::interface::netlink;
use super::netns::Netns;

/// The table of the kernel's own addresses (linux/rtnetlink.h, RT_TABLE_LOCAL).
const LOCAL_TABLE: u32 = 255;

/// One way of a route.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hop {
    /// The router, or nobody when the destination is on the interface's own subnet.
    pub via: Option<Ipv4Addr>,
    /// The interface, or whichever leads to the router.
    pub dev: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Unicast,
    Local,
    Blackhole,
}

/// A route of a namespace's kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    prefix: Ipv4Net,
    hops: Vec<Hop>,
    metric: Option<u32>,
    source: Option<Ipv4Addr>,
    kind: Kind,
}

impl Route {
    fn new(prefix: Ipv4Net, hops: Vec<Hop>, kind: Kind) -> Self {
        Self { prefix: prefix.trunc(), hops, metric: None, source: None, kind }
    }

    /// A route to a router.
    pub fn via(prefix: Ipv4Net, router: Ipv4Addr) -> Self {
        Self::new(prefix, vec![Hop { via: Some(router), dev: None }], Kind::Unicast)
    }

    /// A route to an interface's own subnet.
    pub fn dev(prefix: Ipv4Net, dev: &str) -> Self {
        Self::new(prefix, vec![Hop { via: None, dev: Some(dev.to_owned()) }], Kind::Unicast)
    }

    /// A route over several ways, equally; one flow keeps to one way.
    pub fn multipath(prefix: Ipv4Net, hops: Vec<Hop>) -> Self {
        Self::new(prefix, hops, Kind::Unicast)
    }

    /// Makes every address of the prefix the namespace's own.
    pub fn local(prefix: Ipv4Net) -> Self {
        Self::new(prefix, vec![Hop { via: None, dev: Some("lo".to_owned()) }], Kind::Local)
    }

    /// A route that leads nowhere, silently.
    pub fn blackhole(prefix: Ipv4Net) -> Self {
        Self::new(prefix, Vec::new(), Kind::Blackhole)
    }

    /// With an interface for its first way.
    #[must_use]
    pub fn on(mut self, dev: &str) -> Self {
        if let Some(hop) = self.hops.first_mut() {
            hop.dev = Some(dev.to_owned());
        }
        self
    }

    /// With a metric; the least wins among routes to one prefix.
    #[must_use]
    pub fn metric(mut self, metric: u32) -> Self {
        self.metric = Some(metric);
        self
    }

    /// With the source address of packets that the namespace itself sends this way.
    #[must_use]
    pub fn source(mut self, source: Ipv4Addr) -> Self {
        self.source = Some(source);
        self
    }

    fn message(&self, netns: &Netns) -> Result<RouteMessage, LabError> {
        let mut builder = RouteMessageBuilder::<Ipv4Addr>::new()
            .destination_prefix(self.prefix.addr(), self.prefix.prefix_len());
        builder = match self.kind {
            Kind::Unicast if self.hops.iter().all(|hop| hop.via.is_none()) => {
                builder.scope(RouteScope::Link)
            }
            Kind::Unicast => builder,
            Kind::Local => {
                builder.kind(RouteType::Local).scope(RouteScope::Host).table_id(LOCAL_TABLE)
            }
            Kind::Blackhole => builder.kind(RouteType::BlackHole),
        };
        if let Some(metric) = self.metric {
            builder = builder.priority(metric);
        }
        if let Some(source) = self.source {
            builder = builder.pref_source(source);
        }
        match self.hops.as_slice() {
            [] => {}
            [hop] => {
                if let Some(via) = hop.via {
                    builder = builder.gateway(via);
                }
                if let Some(dev) = &hop.dev {
                    builder = builder.output_interface(netns.interface(dev).index()?);
                }
            }
            hops => {
                let hops: Result<Vec<_>, _> = hops.iter().map(|hop| hop.next_hop(netns)).collect();
                builder = builder.multipath(hops?);
            }
        }
        Ok(builder.build())
    }
}

impl Hop {
    fn next_hop(&self, netns: &Netns) -> Result<RouteNextHop, LabError> {
        let mut builder = RouteNextHopBuilder::new_ipv4();
        if let Some(dev) = &self.dev {
            builder = builder.interface(netns.interface(dev).index()?);
        }
        if let Some(via) = self.via {
            builder = builder
                .via(IpAddr::V4(via))
                .map_err(|error| LabError::Invalid { what: error.to_string() })?;
        }
        Ok(builder.build())
    }
}

impl Netns {
    /// Adds a route.
    ///
    /// # Errors
    /// When there is one with this prefix and metric, or its router cannot be reached.
    pub fn add_route(&self, route: &Route) -> Result<(), LabError> {
        self.write_route("adding", route, false)
    }

    /// Adds many routes, in order.
    ///
    /// # Errors
    /// As [`Netns::add_route`], of the first that cannot be added; those before it stay.
    pub fn add_routes(&self, routes: impl IntoIterator<Item = Route>) -> Result<(), LabError> {
        let messages = routes.into_iter().map(|route| route.message(self));
        let messages = messages.collect::<Result<Vec<_>, _>>()?;
        let what = || format!("adding {} routes in {}", messages.len(), self.label());
        netlink(self, what, async |handle| {
            for message in &messages {
                handle.route().add(message.clone()).execute().await?;
            }
            Ok(())
        })
    }

    /// Adds a route in place of the one with this prefix and metric.
    ///
    /// # Errors
    /// When its router cannot be reached.
    pub fn replace_route(&self, route: &Route) -> Result<(), LabError> {
        self.write_route("replacing", route, true)
    }

    /// Removes a route.
    ///
    /// # Errors
    /// When there is none like it.
    pub fn remove_route(&self, route: &Route) -> Result<(), LabError> {
        let message = route.message(self)?;
        let what = || format!("removing the route to {} in {}", route.prefix, self.label());
        netlink(self, what, async |handle| handle.route().del(message).execute().await)
    }

    fn write_route(&self, what: &str, route: &Route, replace: bool) -> Result<(), LabError> {
        let message = route.message(self)?;
        let what = || format!("{what} the route to {} in {}", route.prefix, self.label());
        netlink(self, what, async |handle| {
            let request = handle.route().add(message);
            if replace { request.replace().execute().await } else { request.execute().await }
        })
    }
}
