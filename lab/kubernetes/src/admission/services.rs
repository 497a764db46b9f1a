//! Services: dependent defaults and the cluster addresses.

use std::collections::HashSet;
use std::net::Ipv4Addr;

use serde_json::{Value, json};

use crate::error::ApiError;
use crate::object::{at, list, map_at, name, remove, set, text};
use crate::state::State;

/// Where service addresses are taken from (kubeadm's and Talos' default).
const RANGE: (u32, u32) = (u32::from_be_bytes([10, 96, 0, 0]), 1 << 20);
const NODE_PORTS: std::ops::Range<i64> = 30_000..32_768;

pub(super) fn default_service(service: &mut Value) {
    if !service.get("spec").is_some_and(Value::is_object) {
        return;
    }
    let kind = text(service, &["spec", "type"]).to_owned();
    if let Some(Value::Array(ports)) = service.pointer_mut("/spec/ports") {
        for port in ports.iter_mut().filter(|p| p.is_object()) {
            if matches!(at(port, &["targetPort"]), Value::Null) {
                let number = at(port, &["port"]).clone();
                set(port, &["targetPort"], number);
            }
        }
    }
    if kind == "ExternalName" {
        return;
    }
    let spec = map_at(service, &["spec"]);
    spec.entry("internalTrafficPolicy")
        .or_insert("Cluster".into());
    spec.entry("ipFamilies").or_insert(json!(["IPv4"]));
    spec.entry("ipFamilyPolicy").or_insert("SingleStack".into());
    if matches!(kind.as_str(), "NodePort" | "LoadBalancer") {
        spec.entry("externalTrafficPolicy")
            .or_insert("Cluster".into());
    }
    if kind == "LoadBalancer" {
        spec.entry("allocateLoadBalancerNodePorts")
            .or_insert(true.into());
    }
}

/// Gives a service its cluster address and node ports.
pub(super) fn allocate(state: &State, service: &mut Value) -> Result<(), ApiError> {
    set(service, &["status"], json!({"loadBalancer": {}}));
    allocate_address(state, service)?;
    allocate_ports(state, service);
    Ok(())
}

fn allocate_address(state: &State, service: &mut Value) -> Result<(), ApiError> {
    let kind = text(service, &["spec", "type"]);
    if kind == "ExternalName" {
        return Ok(());
    }
    let wanted = match text(service, &["spec", "clusterIP"]) {
        "" => text(
            at(service, &["spec", "clusterIPs"])
                .get(0)
                .unwrap_or(&Value::Null),
            &[],
        )
        .to_owned(),
        given => given.to_owned(),
    };
    let taken: HashSet<&str> = state
        .list("services", "")
        .map(|s| text(s, &["spec", "clusterIP"]))
        .collect();
    let address = if wanted.is_empty() {
        free_address(&taken)
            .ok_or_else(|| ApiError::internal("failed to allocate IP: range is full"))?
    } else {
        if wanted != "None" && taken.contains(wanted.as_str()) {
            let causes = [crate::error::Cause::invalid(
                "spec.clusterIPs",
                &json!([wanted]),
                &format!("failed to allocate IP {wanted}: provided IP is already allocated"),
            )];
            return Err(ApiError::invalid("", "Service", name(service), &causes));
        }
        wanted
    };
    set(service, &["spec", "clusterIP"], address.clone().into());
    set(service, &["spec", "clusterIPs"], json!([address]));
    Ok(())
}

/// The lower sixteenth is left for fixed addresses, as the real allocator prefers.
fn free_address(taken: &HashSet<&str>) -> Option<String> {
    let candidates = (256..RANGE.1 - 1).map(|offset| Ipv4Addr::from(RANGE.0 + offset).to_string());
    candidates.into_iter().find(|a| !taken.contains(a.as_str()))
}

fn allocate_ports(state: &State, service: &mut Value) {
    let kind = text(service, &["spec", "type"]).to_owned();
    let wants = kind == "NodePort"
        || kind == "LoadBalancer"
            && at(service, &["spec", "allocateLoadBalancerNodePorts"]).as_bool() != Some(false);
    if !wants {
        return;
    }
    let mut taken: HashSet<i64> = state
        .list("services", "")
        .flat_map(|s| list(s, &["spec", "ports"]))
        .filter_map(|p| at(p, &["nodePort"]).as_i64())
        .collect();
    if let Some(Value::Array(ports)) = service.pointer_mut("/spec/ports") {
        for port in ports.iter_mut().filter(|p| p.is_object()) {
            if at(port, &["nodePort"]).as_i64().unwrap_or(0) != 0 {
                continue;
            }
            if let Some(free) = NODE_PORTS.into_iter().find(|p| !taken.contains(p)) {
                taken.insert(free);
                set(port, &["nodePort"], free.into());
            }
        }
    }
}

/// An update that does not mention allocated values keeps them.
pub(super) fn keep_allocated(new: &mut Value, old: &Value) {
    let kind = text(new, &["spec", "type"]).to_owned();
    if kind == "ExternalName" {
        for field in ["clusterIP", "clusterIPs"] {
            remove(new, &["spec", field]);
        }
        return;
    }
    for field in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
        let missing = matches!(at(new, &["spec", field]), Value::Null)
            || at(new, &["spec", field]).as_str() == Some("");
        if missing && !at(old, &["spec", field]).is_null() {
            set(new, &["spec", field], at(old, &["spec", field]).clone());
        }
    }
    let before: Vec<Value> = list(old, &["spec", "ports"]).to_vec();
    if matches!(kind.as_str(), "NodePort" | "LoadBalancer")
        && let Some(Value::Array(ports)) = new.pointer_mut("/spec/ports")
    {
        for port in ports.iter_mut().filter(|p| at(p, &["nodePort"]).is_null()) {
            let same = |b: &&Value| {
                at(b, &["port"]) == at(port, &["port"])
                    && at(b, &["protocol"]) == at(port, &["protocol"])
            };
            if let Some(number) = before
                .iter()
                .find(same)
                .and_then(|b| b.get("nodePort"))
                .cloned()
            {
                set(port, &["nodePort"], number);
            }
        }
    }
}
