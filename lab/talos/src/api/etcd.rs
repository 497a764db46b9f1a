//! The calls that concern etcd's membership.

use tonic::{Response, Status};

use super::Api;
use crate::proto::machine::*;

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
