//! The simulated methods, by name.

mod accounts;
pub(crate) mod datasets;
mod filesystem;
mod nfs;
mod properties;
mod services;

use serde_json::{Value, json};

use crate::error::Failure;
use crate::system::{System, now};

/// Runs a method whose parameters were checked. Jobs run here too, from their own task.
pub(crate) fn invoke(system: &System, method: &str, params: &[Value]) -> Result<Value, Failure> {
    let arg = |at: usize| params.get(at).unwrap_or(&Value::Null);
    match method {
        "core.ping" => Ok(json!("pong")),
        "system.info" => Ok(info(system)),
        "system.version" => Ok(json!(format!("TrueNAS-{}", system.api.release))),
        "system.version_short" => Ok(json!(system.api.release)),
        "system.product_type" => Ok(json!("COMMUNITY_EDITION")),
        "system.ready" => Ok(json!(true)),
        "system.state" => Ok(json!("READY")),
        "system.host_id" => Ok(json!(
            "57ead0000000000000000000000000000000000000000000000000000000beef"
        )),
        "pool.query" => datasets::pools(system, arg(0), arg(1)),
        "pool.get_instance" => datasets::pool_instance(system, arg(0)),
        "pool.dataset.query" => datasets::list(system, arg(0), arg(1)),
        "pool.dataset.get_instance" => datasets::instance(system, arg(0)),
        "pool.dataset.create" => datasets::create(system, arg(0)),
        "pool.dataset.update" => datasets::update(system, arg(0), arg(1)),
        "pool.dataset.delete" => datasets::delete(system, arg(0), arg(1)),
        "sharing.nfs.query" => nfs::list(system, arg(0), arg(1)),
        "sharing.nfs.get_instance" => nfs::instance(system, arg(0)),
        "sharing.nfs.create" => nfs::create(system, arg(0)),
        "sharing.nfs.update" => nfs::update(system, arg(0), arg(1)),
        "sharing.nfs.delete" => nfs::delete(system, arg(0)),
        "service.query" => services::list(system, arg(0), arg(1)),
        "service.get_instance" => services::instance(system, arg(0)),
        "service.update" => services::update(system, arg(0), arg(1)),
        "service.control" => services::control(system, arg(0), arg(1)),
        "service.start" => services::control(system, &json!("START"), arg(0)),
        "service.stop" => {
            services::control(system, &json!("STOP"), arg(0)).map(|_| Value::Bool(false))
        }
        "service.restart" => services::control(system, &json!("RESTART"), arg(0)),
        "service.reload" => services::control(system, &json!("RELOAD"), arg(0)),
        "service.started" => services::started(system, arg(0), false),
        "service.started_or_enabled" => services::started(system, arg(0), true),
        "user.query" => accounts::query_users(system, arg(0), arg(1)),
        "user.get_instance" => accounts::user(system, arg(0)),
        "group.query" => accounts::query_groups(arg(0), arg(1)),
        "group.get_instance" => accounts::group(arg(0)),
        "filesystem.stat" => filesystem::stat(system, arg(0)),
        "filesystem.mkdir" => filesystem::mkdir(system, arg(0)),
        "filesystem.setperm" | "filesystem.chown" => {
            filesystem::set_permissions(system, method, arg(0))
        }
        other => Err(Failure::not_simulated(other)),
    }
}

/// How long a job of this name takes in life, in seconds.
pub(crate) fn lifelike(method: &str) -> u64 {
    if method.starts_with("service.") { 2 } else { 1 }
}

fn info(system: &System) -> Value {
    let (time, installed) = (now(), system.state().installed);
    let up = (time - installed).max(0) / 1000;
    json!({
        "version": system.api.release, "buildtime": {"$date": 1_785_000_000_000_i64}, "hostname": system.options.host, "physmem": 34_359_738_368_u64,
        "model": "stead lab", "cores": 8, "physical_cores": 4, "loadavg": [0.1, 0.1, 0.1], "uptime": format!("{up} seconds"), "uptime_seconds": up,
        "system_serial": null, "system_product": null, "system_product_version": null, "license": null, "boottime": {"$date": installed},
        "datetime": {"$date": time}, "timezone": "UTC", "system_manufacturer": null, "ecc_memory": true,
    })
}
