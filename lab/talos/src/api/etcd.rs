//! The calls that concern etcd's membership.

use tonic::{Response, Status};

use super::Api;
use super::Streamed;
use crate::proto::common::Data;
use crate::proto::machine::*;

/// How much of a snapshot one message has.
const CHUNK: usize = 64 << 10;

/// What the simulated etcd says of itself.
const VERSION: &str = "3.6.12";
const STORAGE_VERSION: &str = "3.6.0";
const DATABASE_BYTES: i64 = 20 << 20;

pub(super) fn member_list(api: &Api) -> Result<Response<EtcdMemberListResponse>, Status> {
    let config = api.control_plane("member list")?;
    let members = api.cluster(&config)?.members(&*api.world()?)?;
    let legacy_members = members.iter().map(|m| m.name.clone()).collect();
    let members = members.into_iter().map(|member| EtcdMember {
        id: member.id,
        hostname: member.name,
        peer_urls: vec![format!("https://{}:2380", member.address)],
        client_urls: vec![format!("https://{}:2379", member.address)],
        is_learner: false,
    });
    Ok(Response::new(EtcdMemberListResponse {
        messages: vec![EtcdMembers {
            metadata: None,
            legacy_members,
            members: members.collect(),
        }],
    }))
}

pub(super) async fn remove(
    api: &Api,
    member: u64,
) -> Result<Response<EtcdRemoveMemberByIdResponse>, Status> {
    let config = api.control_plane("etcd remove member")?;
    api.cluster(&config)?.remove(&*api.world()?, member).await?;
    Ok(Response::new(EtcdRemoveMemberByIdResponse {
        messages: vec![EtcdRemoveMemberById::default()],
    }))
}

pub(super) async fn leave(api: &Api) -> Result<Response<EtcdLeaveClusterResponse>, Status> {
    let config = api.control_plane("etcd leave")?;
    let cluster = api.cluster(&config)?;
    cluster.leave(&*api.world()?, &api.node).await?;
    Ok(Response::new(EtcdLeaveClusterResponse {
        messages: vec![EtcdLeaveCluster::default()],
    }))
}

pub(super) fn forfeit(api: &Api) -> Result<Response<EtcdForfeitLeadershipResponse>, Status> {
    let config = api.control_plane("etcd forfeit leadership")?;
    let member = api.cluster(&config)?.forfeit(&*api.world()?, &api.node)?;
    Ok(Response::new(EtcdForfeitLeadershipResponse {
        messages: vec![EtcdForfeitLeadership {
            metadata: None,
            member,
        }],
    }))
}

pub(super) fn status(api: &Api) -> Result<Response<EtcdStatusResponse>, Status> {
    let config = api.control_plane("etcd status")?;
    let cluster = api.cluster(&config)?;
    let own = cluster
        .member_of(&api.node)
        .ok_or_else(|| Status::unknown("failed to query etcd status: context deadline exceeded"))?;
    let (leader, term, index) = cluster.raft();
    Ok(Response::new(EtcdStatusResponse {
        messages: vec![EtcdStatus {
            metadata: None,
            member_status: Some(EtcdMemberStatus {
                storage_version: STORAGE_VERSION.to_owned(),
                member_id: own.id,
                protocol_version: VERSION.to_owned(),
                db_size: DATABASE_BYTES,
                db_size_in_use: DATABASE_BYTES / 2,
                leader,
                raft_index: index,
                raft_term: term,
                raft_applied_index: index,
                errors: Vec::new(),
                is_learner: false,
            }),
        }],
    }))
}

/// The snapshot in parts.
pub(super) async fn snapshot(api: &Api) -> Result<Response<Streamed<Data>>, Status> {
    let config = api.control_plane("etcd snapshot")?;
    let file = api.cluster(&config)?.snapshot(&api.node).await?;
    let parts: Vec<_> = file
        .chunks(CHUNK)
        .map(|part| {
            Ok(Data {
                metadata: None,
                bytes: part.to_vec(),
            })
        })
        .collect();
    Ok(Response::new(Box::pin(tokio_stream::iter(parts))))
}

/// Takes a snapshot; `Bootstrap` restores it.
pub(super) async fn recover(
    api: &Api,
    mut parts: tonic::Streaming<Data>,
) -> Result<Response<EtcdRecoverResponse>, Status> {
    if !api.boot(|b| b.api_up)? {
        return Err(Status::failed_precondition(
            "etcd service is not ready for recovery yet",
        ));
    }
    api.control_plane("etcd recover")?;
    let mut file = Vec::new();
    while let Some(part) = parts.message().await? {
        file.extend(part.bytes);
    }
    api.node.update(|b| b.recovery = Some(file));
    Ok(Response::new(EtcdRecoverResponse {
        messages: vec![EtcdRecover::default()],
    }))
}

/// The node's own member, which answers what only it can.
fn local(api: &Api, name: &str, failed: &str) -> Result<u64, Status> {
    let config = api.control_plane(name)?;
    let member = api.cluster(&config)?.member_of(&api.node);
    let member =
        member.ok_or_else(|| Status::unknown(format!("{failed}: context deadline exceeded")))?;
    Ok(member.id)
}

pub(super) fn alarms(api: &Api) -> Result<Response<EtcdAlarmListResponse>, Status> {
    local(api, "etcd alarm list", "failed to list etcd alarms")?;
    let alarms = api.alarms()?;
    Ok(Response::new(EtcdAlarmListResponse {
        messages: vec![EtcdAlarm {
            metadata: None,
            member_alarms: alarms,
        }],
    }))
}

pub(super) fn disarm(api: &Api) -> Result<Response<EtcdAlarmDisarmResponse>, Status> {
    local(api, "etcd alarm disarm", "failed to disarm etcd alarm")?;
    let alarms = api.alarms()?;
    let world = api.world()?;
    if !alarms.is_empty() {
        let cleared = world.lab.faults.clear(Some(NO_SPACE));
        cleared.map_err(|e| Status::unknown(format!("failed to disarm etcd alarm: {e}")))?;
    }
    Ok(Response::new(EtcdAlarmDisarmResponse {
        messages: vec![EtcdAlarmDisarm {
            metadata: None,
            member_alarms: alarms,
        }],
    }))
}

/// The fault under which every member says that it has no space.
const NO_SPACE: &str = "talos.etcd-no-space";

impl Api {
    fn alarms(&self) -> Result<Vec<EtcdMemberAlarm>, Status> {
        let config = self.control_plane("etcd alarm list")?;
        let world = self.world()?;
        let set = world.lab.faults.list().iter().any(|f| f.name == NO_SPACE);
        let members = self.cluster(&config)?.members(&world)?;
        Ok(members
            .into_iter()
            .filter(|_| set)
            .map(|member| EtcdMemberAlarm {
                member_id: member.id,
                alarm: etcd_member_alarm::AlarmType::Nospace.into(),
            })
            .collect())
    }
}

pub(super) fn defragment(api: &Api) -> Result<Response<EtcdDefragmentResponse>, Status> {
    local(api, "etcd defragment", "failed to defragment etcd")?;
    Ok(Response::new(EtcdDefragmentResponse {
        messages: vec![EtcdDefragment::default()],
    }))
}

/// The version to which etcd may go back, `MAJOR.MINOR`.
fn downgrade_target(version: &str) -> Result<(u64, u64), Status> {
    if version.is_empty() {
        return Err(Status::invalid_argument(
            "version is required for etcd downgrade",
        ));
    }
    let parts: Vec<&str> = version.split('.').collect();
    let [major, minor] = parts.as_slice() else {
        return Err(Status::invalid_argument(
            "version should be in MAJOR.MINOR format",
        ));
    };
    let number = |text: &str, name: &str| {
        let parsed = text.parse::<u64>();
        parsed.map_err(|_| Status::invalid_argument(format!("{name} version should be a number")))
    };
    let target = (number(major, "major")?, number(minor, "minor")?);
    if target < (3, 5) {
        return Err(Status::invalid_argument(
            "etcd downgrade is only supported to 3.5 and later versions",
        ));
    }
    Ok(target)
}

/// etcd goes back by one minor version at most.
fn checked_downgrade(api: &Api, name: &str, version: &str) -> Result<EtcdClusterDowngrade, Status> {
    api.control_plane(name)?;
    let target = downgrade_target(version)?;
    local(api, name, "failed to query etcd status")?;
    if target != (3, 5) {
        return Err(Status::unknown(
            "failed to query etcd status: etcdserver: invalid downgrade target version",
        ));
    }
    Ok(EtcdClusterDowngrade {
        cluster_version: "3.6.0".to_owned(),
    })
}

pub(super) fn validate_downgrade(
    api: &Api,
    version: &str,
) -> Result<Response<EtcdDowngradeValidateResponse>, Status> {
    let found = checked_downgrade(api, "etcd downgrade validate", version)?;
    Ok(Response::new(EtcdDowngradeValidateResponse {
        messages: vec![EtcdDowngradeValidate {
            metadata: None,
            cluster_downgrade: Some(found),
        }],
    }))
}

pub(super) fn enable_downgrade(
    api: &Api,
    version: &str,
) -> Result<Response<EtcdDowngradeEnableResponse>, Status> {
    let found = checked_downgrade(api, "etcd downgrade enable", version)?;
    let config = api.control_plane("etcd downgrade enable")?;
    api.cluster(&config)?.set_downgrading(true)?;
    Ok(Response::new(EtcdDowngradeEnableResponse {
        messages: vec![EtcdDowngradeEnable {
            metadata: None,
            cluster_downgrade: Some(found),
        }],
    }))
}

pub(super) fn cancel_downgrade(api: &Api) -> Result<Response<EtcdDowngradeCancelResponse>, Status> {
    local(api, "etcd downgrade cancel", "failed to query etcd status")?;
    let config = api.control_plane("etcd downgrade cancel")?;
    api.cluster(&config)?.set_downgrading(false)?;
    Ok(Response::new(EtcdDowngradeCancelResponse {
        messages: vec![EtcdDowngradeCancel {
            metadata: None,
            cluster_downgrade: Some(EtcdClusterDowngrade {
                cluster_version: "3.6.0".to_owned(),
            }),
        }],
    }))
}
