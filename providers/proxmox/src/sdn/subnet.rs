//! Subnets of virtual networks. The server names them itself, by zone and address.

use std::net::IpAddr;

use serde_json::Value as Json;
use stead_sdk::form::Params;
use stead_sdk::value::{Diagnostic, Diagnostics, Path, Value};
use stead_sdk::{Block, Context, DataSource, Error, Form, Resource, async_trait};

use crate::client::{Client, text};
use crate::property::percent_encode;
use crate::rest::discovery::{each, rows};
use crate::rest::patterns::{ADDRESS, CIDR, SDN_ID};
use crate::rest::{Existing, Hooks, object};

/// A subnet of a virtual network.
#[derive(Clone, Debug, Resource, Form)]
#[resource(
    name = "proxmox_sdn_subnet",
    alias = "proxmox_virtual_environment_sdn_subnet"
)]
pub(crate) struct Subnet {
    /// The subnet: 10.0.0.0/24.
    #[attr(required, replace, pattern(CIDR))]
    #[form(read)]
    cidr: String,
    /// The name server that DHCP hands out.
    #[attr(optional, pattern(ADDRESS))]
    dhcp_dns_server: Option<String>,
    /// The addresses that DHCP hands out.
    #[attr(optional, nested(single))]
    #[form(repeat)]
    dhcp_range: Option<DhcpRange>,
    /// What stands before the zone's DNS domain in names of guests.
    #[attr(optional)]
    #[form(name = "dnszoneprefix")]
    dns_zone_prefix: Option<String>,
    /// The address that the network's bridge has on every node.
    #[attr(optional, pattern(ADDRESS))]
    gateway: Option<String>,
    /// `ZONE-ADDRESS-PREFIX`.
    #[attr(computed)]
    #[form(name = "subnet", read)]
    id: String,
    /// Hide the guests' addresses behind the node's.
    #[attr(optional)]
    #[form(implied = "0")]
    snat: Option<bool>,
    /// The virtual network.
    #[attr(required, replace, pattern(SDN_ID))]
    #[form(path)]
    vnet: String,
}

/// A range of addresses.
#[derive(Clone, Debug, Block, Form)]
pub(crate) struct DhcpRange {
    /// The last address.
    #[attr(required, pattern(ADDRESS))]
    end_address: String,
    /// The first address.
    #[attr(required, pattern(ADDRESS))]
    start_address: String,
}

/// A subnet of a virtual network.
#[derive(Clone, Debug, DataSource, Form)]
#[data_source(
    name = "proxmox_sdn_subnet",
    alias = "proxmox_virtual_environment_sdn_subnet"
)]
pub(crate) struct SubnetData {
    /// The subnet: 10.0.0.0/24.
    #[attr(required, pattern(CIDR))]
    #[form(path)]
    cidr: String,
    /// The name server that DHCP hands out.
    #[attr(computed)]
    dhcp_dns_server: Option<String>,
    /// The addresses that DHCP hands out.
    #[attr(optional, computed, nested(single))]
    dhcp_range: Option<DhcpRangeData>,
    /// What stands before the zone's DNS domain in names of guests.
    #[attr(computed)]
    #[form(name = "dnszoneprefix")]
    dns_zone_prefix: Option<String>,
    /// The address that the network's bridge has on every node.
    #[attr(computed)]
    gateway: Option<String>,
    /// `ZONE-ADDRESS-PREFIX`.
    #[attr(computed)]
    #[form(name = "subnet", read)]
    id: String,
    /// Whether the guests' addresses are hidden behind the node's.
    #[attr(computed)]
    snat: Option<bool>,
    /// The virtual network.
    #[attr(required, pattern(SDN_ID))]
    #[form(path)]
    vnet: String,
}

/// A range of addresses.
#[derive(Clone, Debug, Block, Form)]
pub(crate) struct DhcpRangeData {
    /// The last address.
    #[attr(computed)]
    #[form(read)]
    end_address: String,
    /// The first address.
    #[attr(computed)]
    #[form(read)]
    start_address: String,
}

/// Finds the subnet by its address among those of its network.
async fn find(vnet: &str, cidr: &str, client: &Client, cx: &Context) -> Result<Json, Error> {
    let path = format!("/cluster/sdn/vnets/{}/subnets", percent_encode(vnet));
    let what = format!("list the subnets of {vnet}");
    let rows = client.get(cx, &what, &path, &Params::new()).await?;
    let mut rows = rows.as_array().into_iter().flatten();
    let found = rows.find(|row| text(row, "cidr").as_deref() == Some(cidr));
    found.cloned().ok_or_else(|| {
        Error::not_found(
            format!("find the subnet {cidr} of {vnet} (GET {path})"),
            "there is none",
        )
    })
}

#[async_trait]
impl Hooks for Subnet {
    fn validate(config: &Value) -> Diagnostics {
        within(config)
    }

    async fn list(client: &Client, cx: &Context) -> Result<Vec<Existing>, Error> {
        let networks = client.rows(cx, "/cluster/sdn/vnets").await?;
        let networks = networks.iter().filter_map(|row| text(row, "vnet"));
        each(networks.collect(), async |vnet| {
            let path = format!("/cluster/sdn/vnets/{}/subnets", percent_encode(&vnet));
            let members = [("id", "subnet")];
            rows::<Subnet>(client, cx, &path, &[("vnet", &vnet)], &members).await
        })
        .await
    }

    fn send(&self, prior: Option<&Self>, form: &mut Params) {
        if prior.is_none() {
            form.push(("subnet".to_owned(), self.cidr.clone()));
        }
    }

    async fn fetch(&self, client: &Client, cx: &Context) -> Result<Json, Error> {
        if self.id.is_empty() {
            find(&self.vnet, &self.cidr, client, cx).await
        } else {
            object::fetch(self, client, cx).await
        }
    }
}

#[async_trait]
impl Hooks for SubnetData {
    async fn fetch(&self, client: &Client, cx: &Context) -> Result<Json, Error> {
        find(&self.vnet, &self.cidr, client, cx).await
    }
}

/// What is within a subnet must be of its addresses.
fn within(config: &Value) -> Diagnostics {
    let mut found = Diagnostics::new();
    let text = |path: &Path| Some(config.at(path)?.as_str()?.to_owned());
    let Some(cidr) = text(&Path::root().attr("cidr")) else {
        return found;
    };
    let range = Path::root().attr("dhcp_range");
    let places = [
        Path::root().attr("gateway"),
        Path::root().attr("dhcp_dns_server"),
        range.attr("start_address"),
        range.attr("end_address"),
    ];
    for place in places {
        if let Some(address) = text(&place).filter(|a| contains(&cidr, a) == Some(false)) {
            let detail = format!("`{place}` is {address}, which is not an address of {cidr}.");
            let outside = Diagnostic::error("Address outside the subnet", detail);
            found.push(outside.attribute(place));
        }
    }
    let ends = ["start_address", "end_address"].map(|end| text(&range.attr(end))?.parse().ok());
    if let [Some(start), Some(end)] = ends as [Option<IpAddr>; 2]
        && start > end
    {
        let detail = format!("The range begins at {start}, after its end {end}.");
        found.push(Diagnostic::error("Invalid range of addresses", detail).attribute(range));
    }
    found
}

/// Whether an address is of a network; `None` if that is not to be told.
fn contains(cidr: &str, address: &str) -> Option<bool> {
    let (network, length) = cidr.split_once('/')?;
    let length: u32 = length.parse().ok()?;
    let bits = |address: IpAddr| match address {
        IpAddr::V4(v4) => (u128::from(v4.to_bits()) << 96, 32),
        IpAddr::V6(v6) => (v6.to_bits(), 128),
    };
    let ((network, width), (address, other)) =
        (bits(network.parse().ok()?), bits(address.parse().ok()?));
    let differing = (network ^ address).leading_zeros();
    Some(width == other && differing >= length.min(width))
}

#[cfg(test)]
mod tests {
    use super::contains;

    #[test]
    fn an_address_is_of_a_network_or_not() {
        for (cidr, address, is_in) in [
            ("10.0.0.0/24", "10.0.0.255", true),
            ("10.0.0.0/24", "10.0.1.0", false),
            ("0.0.0.0/0", "1.2.3.4", true),
            ("fd00::/64", "fd00::1", true),
            ("fd00::/64", "fd00:0:0:1::1", false),
            ("fd00::/64", "10.0.0.1", false),
        ] {
            assert_eq!(contains(cidr, address), Some(is_in), "{address} in {cidr}");
        }
        assert_eq!(contains("x", "10.0.0.1"), None);
    }
}
