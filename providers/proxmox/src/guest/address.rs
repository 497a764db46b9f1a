//! The addresses of a guest's network cards.

use stead_sdk::Block;

use crate::property::Properties;

/// The addresses of one card, in the order of the cards.
#[derive(Clone, Debug, Default, PartialEq, Block)]
#[block(legacy)]
pub(crate) struct IpConfig {
    #[attr(block(list, max = 1))]
    pub(crate) ipv4: Option<Address>,
    #[attr(block(list, max = 1))]
    pub(crate) ipv6: Option<Address>,
}

#[derive(Clone, Debug, Default, PartialEq, Block)]
#[block(legacy)]
pub(crate) struct Address {
    /// With the prefix length; or `dhcp`, for IPv6 also `auto`.
    #[attr(optional)]
    pub(crate) address: String,
    #[attr(optional)]
    pub(crate) gateway: String,
}

impl IpConfig {
    /// Adds the addresses to a property string.
    pub(crate) fn write(&self, mut out: Properties) -> Properties {
        let families = [("ip", "gw", &self.ipv4), ("ip6", "gw6", &self.ipv6)];
        for (_, key, family) in &families {
            out = out.text(key, family.as_ref().map_or("", |f| &f.gateway));
        }
        for (key, _, family) in &families {
            out = out.text(key, family.as_ref().map_or("", |f| &f.address));
        }
        out
    }

    pub(crate) fn read(from: &Properties) -> IpConfig {
        let part = |ip: &str, gateway: &str| {
            let text = |key: &str| from.get(key).unwrap_or_default().to_owned();
            let address = Address {
                address: text(ip),
                gateway: text(gateway),
            };
            (address != Address::default()).then_some(address)
        };
        IpConfig {
            ipv4: part("ip", "gw"),
            ipv6: part("ip6", "gw6"),
        }
    }
}
