//! Services: their endpoints, and addresses of load balancers where something hands them out.

use std::collections::HashSet;
use std::net::Ipv4Addr;

use serde_json::{Value, json};

use super::{create, owned_by, write_status};
use crate::object::{
    at, condition_is_true, is_deleting, labels, list, name, set, text, text_map, uid,
};
use crate::state::{Id, State};

pub(super) fn service(state: &mut State, id: &Id, service: &Value) {
    if is_deleting(service) {
        return;
    }
    endpoints(state, id, service);
    if text(service, &["spec", "type"]) == "LoadBalancer"
        && list(service, &["status", "loadBalancer", "ingress"]).is_empty()
    {
        let wanted = text(service, &["spec", "loadBalancerIP"]).to_owned();
        let annotated = [
            "io.cilium/lb-ipam-ips",
            "lbipam.cilium.io/ips",
            "metallb.universe.tf/loadBalancerIPs",
            "metallb.io/loadBalancerIPs",
        ]
        .iter()
        .find_map(|a| crate::object::annotation(service, a).map(str::to_owned));
        let wanted = annotated.unwrap_or(wanted);
        if let Some(address) = load_balancer_address(state, &wanted) {
            write_status(
                state,
                id,
                json!({"loadBalancer": {"ingress": [{"ip": address, "ipMode": "VIP"}]}}),
            );
        }
    }
}

/// The endpoints of a service with a selector, as one EndpointSlice.
fn endpoints(state: &mut State, id: &Id, service: &Value) {
    let selector = text_map(at(service, &["spec", "selector"]));
    if selector.is_empty() {
        return;
    }
    let pods = state.list("pods", &id.namespace).filter(|p| {
        let found = labels(p);
        selector.iter().all(|(k, v)| found.get(k) == Some(v))
            && !text(p, &["status", "podIP"]).is_empty()
    });
    let endpoints: Vec<Value> = pods
        .map(|p| {
            json!({
                "addresses": [text(p, &["status", "podIP"])],
                "conditions": {"ready": condition_is_true(p, "Ready") && !is_deleting(p), "serving": condition_is_true(p, "Ready"), "terminating": is_deleting(p)},
                "nodeName": text(p, &["spec", "nodeName"]),
                "targetRef": {"kind": "Pod", "name": name(p), "namespace": id.namespace, "uid": uid(p)},
            })
        })
        .collect();
    let ports: Vec<Value> = list(service, &["spec", "ports"])
        .iter()
        .map(|p| json!({"name": text(p, &["name"]), "protocol": at(p, &["protocol"]), "port": if at(p, &["targetPort"]).is_number() { at(p, &["targetPort"]) } else { at(p, &["port"]) }}))
        .collect();
    let key = "endpointslices.discovery.k8s.io";
    let slices = state
        .dependents(uid(service))
        .into_iter()
        .find(|d| d.key == key);
    let Some(slice) = slices else {
        let object = json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"generateName": format!("{}-", id.name), "namespace": id.namespace, "ownerReferences": owned_by(service),
                "labels": {"kubernetes.io/service-name": id.name, "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io"}},
            "endpoints": endpoints, "ports": ports,
        });
        create(state, key, &id.namespace, object);
        return;
    };
    if let Some(resource) = state.registry.by_key(key) {
        state.adjust(&resource, &slice, |o| {
            set(o, &["endpoints"], endpoints.into());
            set(o, &["ports"], ports.into());
        });
    }
}

/// A free address of the pools that Cilium or MetalLB are told to hand out; `None` without such a pool.
fn load_balancer_address(state: &State, wanted: &str) -> Option<String> {
    let mut blocks: Vec<String> = Vec::new();
    for pool in state.list("ciliumloadbalancerippools.cilium.io", "") {
        for block in list(pool, &["spec", "blocks"]) {
            match text(block, &["cidr"]) {
                "" => blocks.push(format!(
                    "{}-{}",
                    text(block, &["start"]),
                    text(block, &["stop"])
                )),
                cidr => blocks.push(cidr.to_owned()),
            }
        }
    }
    for pool in state.list("ipaddresspools.metallb.io", "") {
        blocks.extend(
            list(pool, &["spec", "addresses"])
                .iter()
                .filter_map(Value::as_str)
                .map(str::to_owned),
        );
    }
    if blocks.is_empty() {
        return None;
    }
    if let Some(first) = wanted.split(',').map(str::trim).find(|w| !w.is_empty()) {
        return Some(first.to_owned());
    }
    let taken: HashSet<&str> = state
        .list("services", "")
        .flat_map(|s| list(s, &["status", "loadBalancer", "ingress"]))
        .map(|i| text(i, &["ip"]))
        .collect();
    let ranges = blocks.iter().filter_map(|b| range(b));
    ranges
        .flat_map(|(first, last)| first..=last)
        .map(|a| Ipv4Addr::from(a).to_string())
        .find(|a| !taken.contains(a.as_str()))
}

/// First and last address of `a.b.c.d/n` or `first-last`; of a network, without its own and its broadcast address.
fn range(block: &str) -> Option<(u32, u32)> {
    if let Some((first, last)) = block.split_once('-') {
        let parse = |t: &str| t.trim().parse::<Ipv4Addr>().ok().map(u32::from);
        return Some((parse(first)?, parse(last)?));
    }
    let (address, length) = block.split_once('/')?;
    let (address, length): (u32, u32) = (
        address.parse::<Ipv4Addr>().ok()?.into(),
        length.parse().ok().filter(|l| *l <= 32)?,
    );
    let size = 1_u64 << (32 - length);
    let first = u32::try_from(u64::from(address) / size * size).ok()?;
    let last = u32::try_from(u64::from(first) + size - 1).ok()?;
    Some(if size > 2 {
        (first + 1, last - 1)
    } else {
        (first, last)
    })
}

/// An ingress gets an address when there is a class, and so a controller, for it.
pub(super) fn ingress(state: &mut State, id: &Id, ingress: &Value) {
    if !list(ingress, &["status", "loadBalancer", "ingress"]).is_empty() {
        return;
    }
    let class = text(ingress, &["spec", "ingressClassName"]);
    if state
        .find("ingressclasses.networking.k8s.io", "", class)
        .is_none()
    {
        return;
    }
    let from_service = state
        .list("services", "")
        .flat_map(|s| list(s, &["status", "loadBalancer", "ingress"]))
        .map(|i| text(i, &["ip"]).to_owned())
        .next();
    let from_node = || {
        let addresses = state
            .list("nodes", "")
            .flat_map(|n| list(n, &["status", "addresses"]));
        addresses.map(|a| text(a, &["address"]).to_owned()).next()
    };
    if let Some(address) = from_service.or_else(from_node) {
        write_status(
            state,
            id,
            json!({"loadBalancer": {"ingress": [{"ip": address}]}}),
        );
    }
}
