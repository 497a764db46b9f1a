//! etcd as far as its membership goes: bootstrap once, join, quorum, leave, remove, leadership.

use std::sync::Arc;

use tonic::Status;

use super::{Member, TalosCluster, bolt};
use crate::node::{EtcdData, Node};
use crate::world::World;

/// What etcd answers when a change would leave it without quorum.
const NOT_ENOUGH: &str = "etcdserver: re-configuration failed due to not enough started members";
const NO_LEADER: &str = "etcdserver: no leader";

fn not_empty() -> Status {
    Status::already_exists("etcd data directory is not empty")
}

impl TalosCluster {
    /// The first member.
    pub(crate) async fn bootstrap(&self, world: &World, node: &Arc<Node>) -> Result<(), Status> {
        let _changing = self.changing.lock().await;
        let has_data = node.disk().etcd.is_some();
        if has_data || !self.lock().saved.members.is_empty() {
            return Err(not_empty());
        }
        self.add(world, node);
        self.wake();
        Ok(())
    }

    /// A cluster of one member with a snapshot's content; members before it are forgotten. What is wrong with the snapshot shows
    /// in the node's etcd service only, for the answer comes before it is read.
    pub(crate) async fn recover(
        &self,
        world: &World,
        node: &Arc<Node>,
        snapshot: Option<Vec<u8>>,
        skip_hash: bool,
    ) -> Result<(), Status> {
        let _changing = self.changing.lock().await;
        if node.disk().etcd.is_some() {
            return Err(not_empty());
        }
        let entries = match snapshot {
            None => Err("open /var/lib/etcd.snapshot: no such file or directory".to_owned()),
            Some(file) => bolt::read(&file, skip_hash).map_err(|e| e.to_string()),
        };
        let entries = match entries {
            Ok(entries) => entries,
            Err(error) => {
                let text = format!("failed to restore etcd snapshot: {error}");
                node.log("etcd", &text);
                node.update(|b| b.etcd_failed = true);
                return Ok(());
            }
        };
        {
            let mut state = self.lock();
            state.saved.members.clear();
            state.saved.leader = 0;
            state.restore = Some(entries);
        }
        node.update(|b| b.etcd_failed = false);
        self.add(world, node);
        self.wake();
        Ok(())
    }

    /// The store as a snapshot, of a running member only.
    pub(crate) async fn snapshot(&self, node: &Node) -> Result<Vec<u8>, Status> {
        let closed = || Status::unknown("failed reading etcd snapshot: context deadline exceeded");
        self.member_of(node).ok_or_else(closed)?;
        let api = self.api().ok_or_else(closed)?;
        let entries = api.entries().await;
        let (_, term, index) = self.raft();
        Ok(bolt::write(&entries, index, term))
    }

    fn add(&self, world: &World, node: &Arc<Node>) {
        let member = Member {
            id: rand::random::<u64>() | 1,
            machine: node.id.clone(),
            name: node.hostname(),
            address: node.address().map(|a| a.to_string()).unwrap_or_default(),
        };
        let data = EtcdData {
            cluster: self.id.clone(),
            member: member.id,
        };
        {
            let saved = &mut self.lock().saved;
            if saved.leader == 0 {
                saved.leader = member.id;
                saved.term += 1;
            }
            saved.members.push(member);
        }
        node.update_disk(|d| d.etcd = Some(data));
        self.save(world);
    }

    /// Starts the members that run, lets new control planes in while there is quorum; whether there is.
    pub(super) fn settle_etcd(&self, world: &World, nodes: &[Arc<Node>]) -> bool {
        let (mut healthy, _) = self.quorum(nodes);
        if healthy {
            for node in nodes.iter().filter(|n| self.may_join(n)) {
                self.add(world, node);
            }
            (healthy, _) = self.quorum(nodes);
        }
        for node in nodes {
            let runs = self.member_of(node).is_some();
            let well = runs && healthy && node.lasting("etcd-unhealthy").is_none();
            let now = node.with_boot(|b| (b.etcd_running, b.etcd_healthy));
            if now != Some((runs, well)) {
                node.update(|b| {
                    b.etcd_running = runs;
                    b.etcd_healthy = well;
                });
            }
        }
        if healthy {
            self.elect(world, nodes);
        }
        healthy
    }

    fn may_join(&self, node: &Node) -> bool {
        let config = node.config();
        let fits = config.is_some_and(|c| c.is_control_plane() && c.has_etcd_ca());
        fits && node.disk().etcd.is_none() && node.with_boot(|b| b.etcd_left) == Some(false)
    }

    /// The member that a node is, by its own data.
    pub(crate) fn member_of(&self, node: &Node) -> Option<Member> {
        let data = node.disk().etcd.filter(|d| d.cluster == self.id)?;
        let state = self.lock();
        let mut members = state.saved.members.iter();
        members.find(|m| m.id == data.member).cloned()
    }

    /// Whether more than half of the members run, and which.
    fn quorum(&self, nodes: &[Arc<Node>]) -> (bool, Vec<u64>) {
        let running: Vec<u64> = nodes
            .iter()
            .filter_map(|n| self.member_of(n))
            .map(|m| m.id)
            .collect();
        let total = self.lock().saved.members.len();
        (total > 0 && running.len() > total / 2, running)
    }

    /// A leader that does not run is replaced.
    fn elect(&self, world: &World, nodes: &[Arc<Node>]) {
        let (_, running) = self.quorum(nodes);
        {
            let saved = &mut self.lock().saved;
            if running.contains(&saved.leader) {
                return;
            }
            saved.leader = running.first().copied().unwrap_or_default();
            saved.term += 1;
        }
        self.save(world);
    }

    fn with_quorum(&self, world: &World) -> Result<Vec<u64>, Status> {
        match self.quorum(&world.members_of(&self.id)) {
            (true, running) => Ok(running),
            (false, _) => Err(Status::unavailable(NO_LEADER)),
        }
    }

    pub(crate) fn members(&self, world: &World) -> Result<Vec<Member>, Status> {
        self.with_quorum(world)?;
        Ok(self.lock().saved.members.clone())
    }

    /// Why no member may be upgraded now, in the words of the check before an upgrade.
    pub(crate) fn unfit_for_upgrade(&self, world: &World) -> Result<Option<String>, Status> {
        let running = self.with_quorum(world)?;
        let members = self.lock().saved.members.clone();
        if members.len() == 2 {
            return Ok(Some(
                "etcd member count(2) is insufficient to maintain quorum if upgrade commences"
                    .to_owned(),
            ));
        }
        let nodes = world.members_of(&self.id);
        let unwell = members.iter().find(|member| {
            let node = nodes.iter().find(|n| n.id == member.machine);
            let well = node.and_then(|n| n.with_boot(|b| b.etcd_healthy));
            !running.contains(&member.id) || well != Some(true)
        });
        Ok(unwell.map(|member| {
            format!(
                "etcd member {:016x} is not healthy; all members must be healthy to perform an upgrade: context deadline exceeded",
                member.id
            )
        }))
    }

    /// Leader, term, and a log position that grows with the cluster.
    pub(crate) fn raft(&self) -> (u64, u64, u64) {
        let state = self.lock();
        let saved = &state.saved;
        let index = 1000 + saved.members.len() as u64 * 10 + saved.applied.len() as u64;
        (saved.leader, saved.term, index)
    }

    /// This node's member leaves, its data goes.
    pub(crate) async fn leave(&self, world: &World, node: &Arc<Node>) -> Result<(), Status> {
        let member = self.member_of(node);
        let id = member.map(|m| m.id).ok_or_else(|| {
            Status::unknown("failed to leave cluster: etcd member is not running")
        })?;
        self.remove(world, id)
            .await
            .map_err(|e| Status::unknown(format!("failed to leave cluster: {}", e.message())))
    }

    /// Removes a member, dead or alive.
    pub(crate) async fn remove(&self, world: &World, id: u64) -> Result<(), Status> {
        let _changing = self.changing.lock().await;
        let running = self.with_quorum(world)?;
        let removed = {
            let saved = &mut self.lock().saved;
            let Some(at) = saved.members.iter().position(|m| m.id == id) else {
                return Err(Status::not_found("etcdserver: member not found"));
            };
            let left = saved.members.len() - 1;
            let still_running = running.iter().filter(|r| **r != id).count();
            if left == 0 || still_running <= left / 2 {
                return Err(Status::unknown(format!(
                    "failed to remove member: {NOT_ENOUGH}"
                )));
            }
            let removed = saved.members.remove(at);
            if saved.leader == id {
                saved.leader = 0;
            }
            removed
        };
        let mut nodes = world.nodes().into_iter();
        if let Some(node) = nodes.find(|n| n.id == removed.machine) {
            node.update(|b| {
                b.etcd_left = true;
                b.etcd_running = false;
                b.etcd_healthy = false;
            });
            node.update_disk(|d| d.etcd = None);
        }
        self.save(world);
        self.wake();
        Ok(())
    }

    /// Another member leads; its id in hexadecimal, or nothing when this one did not lead.
    pub(crate) fn forfeit(&self, world: &World, node: &Node) -> Result<String, Status> {
        let running = self.with_quorum(world)?;
        let own = self
            .member_of(node)
            .ok_or_else(|| Status::unknown("etcd member is not running"))?;
        let new = {
            let saved = &mut self.lock().saved;
            if saved.leader != own.id {
                return Ok(String::new());
            }
            let Some(new) = running.into_iter().find(|id| *id != own.id) else {
                return Err(Status::unknown(
                    "failed to forfeit leadership: cannot find new leader",
                ));
            };
            saved.leader = new;
            saved.term += 1;
            saved
                .members
                .iter()
                .find(|m| m.id == new)
                .map(|m| m.name.clone())
        };
        self.save(world);
        Ok(new.unwrap_or_default())
    }
}
