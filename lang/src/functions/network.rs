//! Functions over IP addresses and prefixes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use num_bigint::BigInt;
use num_traits::ToPrimitive;
use stead_value::{Type, Value};

use super::{Call, FunctionError, Outcome};

/// A network: the address as a number, with the bits after the prefix zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    address: u128,
    /// Length of the prefix in bits.
    prefix: u32,
    /// Length of an address in bits: 32 or 128.
    width: u32,
}

impl Network {
    fn parse(text: &str) -> Option<Network> {
        let (address, prefix) = text.split_once('/')?;
        let (address, width) = parse_address(address)?;
        if prefix.is_empty() || prefix.len() > 3 || !prefix.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let prefix: u32 = prefix.parse().ok().filter(|p| *p <= width)?;
        Some(Network {
            address: address & mask(prefix, width),
            prefix,
            width,
        })
    }

    fn hosts_bits(self) -> u32 {
        self.width - self.prefix
    }

    fn contains(self, address: u128) -> bool {
        address & mask(self.prefix, self.width) == self.address
    }

    fn text(self) -> String {
        format!("{}/{}", show(self.address, self.width), self.prefix)
    }
}

/// An address, and its length in bits. Octets may have leading zeros, as the reference always allowed.
fn parse_address(text: &str) -> Option<(u128, u32)> {
    if text.contains(':') {
        return text.parse::<Ipv6Addr>().ok().map(|a| (a.to_bits(), 128));
    }
    let mut address = 0u128;
    let mut count = 0;
    for octet in text.split('.') {
        if octet.is_empty() || !octet.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let octet: u8 = octet
            .trim_start_matches('0')
            .parse::<u8>()
            .or(if octet.bytes().all(|b| b == b'0') {
                Ok(0)
            } else {
                Err(())
            })
            .ok()?;
        address = address << 8 | u128::from(octet);
        count += 1;
    }
    (count == 4).then_some((address, 32))
}

fn mask(prefix: u32, width: u32) -> u128 {
    let all = if width == 128 {
        u128::MAX
    } else {
        (1 << width) - 1
    };
    let hosts = width.saturating_sub(prefix);
    if hosts >= 128 {
        0
    } else {
        all >> hosts << hosts
    }
}

fn show(address: u128, width: u32) -> String {
    if width == 32 {
        return Ipv4Addr::from(address as u32).to_string();
    }
    let v6 = Ipv6Addr::from(address);
    match v6.to_ipv4_mapped() {
        Some(v4) => IpAddr::V4(v4).to_string(),
        None => v6.to_string(),
    }
}

fn network(call: &Call<'_>, argument: Option<usize>) -> Result<Network, FunctionError> {
    Network::parse(call.text(0)).ok_or_else(|| FunctionError {
        argument,
        message: format!(
            "invalid CIDR expression: invalid CIDR address: {}",
            call.text(0)
        ),
    })
}

fn whole(call: &Call<'_>, i: usize) -> Result<BigInt, FunctionError> {
    let n = call.arg(i).as_number().and_then(|n| n.to_bigint());
    n.ok_or_else(|| FunctionError::new("value must be a whole number"))
}

/// Host numbers below zero count from the end.
pub(super) fn cidrhost(call: &Call<'_>) -> Outcome {
    let number = whole(call, 1)?;
    let net = network(call, None)?;
    let size = BigInt::from(1) << net.hosts_bits();
    let from_start = if number.sign() == num_bigint::Sign::Minus {
        &size + &number
    } else {
        number.clone()
    };
    let host = (from_start < size).then(|| from_start.to_u128()).flatten();
    let Some(host) = host else {
        let message = format!(
            "prefix of {} does not accommodate a host numbered {number}",
            net.prefix
        );
        return Err(FunctionError::new(message));
    };
    Ok(Value::string(show(net.address | host, net.width)))
}

pub(super) fn cidrnetmask(call: &Call<'_>) -> Outcome {
    let net = network(call, None)?;
    if net.width != 32 {
        let message = format!("IPv6 addresses cannot have a netmask: {}", call.text(0));
        return Err(FunctionError::new(message));
    }
    Ok(Value::string(show(mask(net.prefix, 32), 32)))
}

pub(super) fn cidrsubnet(call: &Call<'_>) -> Outcome {
    let new_bits = call.int(1)?;
    let number = whole(call, 2)?;
    let net = network(call, None)?;
    let prefix = u32::try_from(i64::from(net.prefix).saturating_add(new_bits)).ok();
    let Some(prefix) = prefix.filter(|p| *p <= net.width) else {
        let message = format!(
            "insufficient address space to extend prefix of {} by {new_bits}",
            net.prefix
        );
        return Err(FunctionError::new(message));
    };
    let fits = new_bits >= 0
        && number.sign() != num_bigint::Sign::Minus
        && number < BigInt::from(1) << new_bits;
    let Some(index) = fits.then(|| number.to_u128()).flatten() else {
        let message = format!(
            "prefix extension of {new_bits} does not accommodate a subnet numbered {number}"
        );
        return Err(FunctionError::new(message));
    };
    let offset = index.checked_shl(net.width - prefix).unwrap_or(0);
    Ok(Value::string(
        Network {
            address: net.address | offset,
            prefix,
            ..net
        }
        .text(),
    ))
}

pub(super) fn cidrsubnets(call: &Call<'_>) -> Outcome {
    let net = network(call, Some(0))?;
    // The first address that is not given out yet; `None` when there is none left.
    let mut next = Some(net.address);
    let mut last: Option<Network> = None;
    let mut subnets = Vec::new();
    for i in 1..call.args.len() {
        let wrong = |message: String| Err(FunctionError::argument(i, message));
        let new_bits = call.int(i).map_err(|e| FunctionError {
            argument: Some(i),
            ..e
        })?;
        if new_bits < 1 {
            return wrong("must extend prefix by at least one bit".into());
        }
        if new_bits > 32 {
            return wrong("may not extend prefix by more than 32 bits".into());
        }
        let prefix = net.prefix + new_bits as u32;
        if prefix > net.width {
            let protocol = if net.width == 32 { "IPv4" } else { "IPv6" };
            return wrong(format!(
                "would extend prefix to {prefix} bits, which is too long for an {protocol} address"
            ));
        }
        let size = 1u128.checked_shl(net.width - prefix).unwrap_or(0);
        // Up to the next multiple of the subnet's size.
        let start = next
            .and_then(|n| n.checked_add(size - 1))
            .map(|n| n & mask(prefix, net.width));
        let Some(start) = start.filter(|s| net.contains(*s)) else {
            let after = last.map_or_else(|| net.text(), Network::text);
            return wrong(format!(
                "not enough remaining address space for a subnet with a prefix of {prefix} bits after {after}"
            ));
        };
        let subnet = Network {
            address: start,
            prefix,
            ..net
        };
        next = start.checked_add(size).filter(|n| net.contains(*n));
        last = Some(subnet);
        subnets.push(Value::string(subnet.text()));
    }
    Ok(Value::list(Type::String, subnets))
}

pub(super) fn cidrcontains(call: &Call<'_>) -> Outcome {
    let containing = network(call, Some(0))?;
    let other = call.text(1);
    let (first, last, width) = match Network::parse(other) {
        Some(n) => (
            n.address,
            n.address | !mask(n.prefix, n.width) & mask(n.width, n.width),
            n.width,
        ),
        None => match parse_address(other) {
            Some((address, width)) => (address, address, width),
            None => {
                let message = format!("invalid IP address or prefix: {other}");
                return Err(FunctionError::argument(1, message));
            }
        },
    };
    if width != containing.width {
        let family = |w| if w == 32 { "IPv4" } else { "IPv6" };
        let message = format!(
            "address family mismatch: {} vs. {}",
            family(containing.width),
            family(width)
        );
        return Err(FunctionError::new(message));
    }
    Ok(Value::bool(
        containing.contains(first) && containing.contains(last),
    ))
}
