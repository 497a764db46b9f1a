//! What the simulated cluster is made of when it is new.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::release::Release;

const GIB: u64 = 1 << 30;

/// A cluster as someone installed it: nodes, storages, users.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Options {
    /// The cluster's name.
    pub name: String,
    #[serde(default)]
    pub version: Version,
    pub nodes: Vec<NodeSpec>,
    pub storages: Vec<StorageSpec>,
    pub users: Vec<UserSpec>,
    /// Roles beyond the built-in ones: name and privileges.
    pub roles: Vec<(String, Vec<String>)>,
    pub acl: Vec<AclSpec>,
}

/// What is installed on the nodes; methods and parameters that a version does not have are refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Version {
    #[serde(rename = "8.4")]
    V8_4,
    #[default]
    #[serde(rename = "9.2")]
    V9_2,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Release::of(*self).name)
    }
}

impl FromStr for Version {
    type Err = String;

    fn from_str(text: &str) -> Result<Version, String> {
        let mut all = [Version::V8_4, Version::V9_2].into_iter();
        all.find(|version| version.to_string() == text)
            .ok_or_else(|| "there are 9.2 and 8.4".to_owned())
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NodeSpec {
    pub name: String,
    /// Where its API listens (port 8006), on the lab's network.
    pub address: String,
    /// Logical CPUs.
    pub cpu: u32,
    /// In bytes.
    pub memory: u64,
    /// Bridges that guests can use.
    pub bridges: Vec<String>,
    pub pci: Vec<PciDevice>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PciDevice {
    /// `0000:01:00.0`.
    pub address: String,
    /// Vendor and device, such as `10de:1eb8`.
    pub id: String,
    /// Vendor and device of the subsystem.
    pub subsystem_id: String,
    pub iommu_group: u32,
    pub class: String,
    pub vendor_name: String,
    pub device_name: String,
}

/// A storage of the cluster; unless shared, every node has one of its own under this name.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StorageSpec {
    pub id: String,
    /// `dir`, `lvmthin`, `zfspool` or `nfs`.
    pub kind: String,
    /// Content types, such as `images`.
    pub content: Vec<String>,
    /// In bytes, on each node.
    pub capacity: u64,
    pub shared: bool,
    /// Only on these nodes; empty: on all.
    pub nodes: Vec<String>,
}

#[derive(Clone, Serialize, Deserialize)]
pub struct UserSpec {
    /// `root@pam`.
    pub id: String,
    /// `None`: can't log in, only its tokens can.
    pub password: Option<String>,
    pub tokens: Vec<TokenSpec>,
}

#[derive(Clone, Serialize, Deserialize)]
pub struct TokenSpec {
    pub id: String,
    /// The UUID that a client sends.
    pub secret: String,
    /// Whether the token has rights of its own, within the user's.
    pub privilege_separation: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AclSpec {
    pub path: String,
    /// `user@realm`, `user@realm!token` or `@group`.
    pub subject: String,
    pub role: String,
    pub propagate: bool,
}

impl fmt::Debug for UserSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserSpec")
            .field("id", &self.id)
            .field("tokens", &self.tokens)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for TokenSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenSpec")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl Default for Options {
    /// A homelab of three nodes, with a GPU in each.
    fn default() -> Options {
        let nodes = [
            ("abel", "10.25.150.101"),
            ("cantor", "10.25.150.102"),
            ("euclid", "10.25.150.103"),
        ];
        Options::cluster(&nodes)
    }
}

impl Options {
    /// The default homelab's password of root@pam.
    pub const ROOT_PASSWORD: &str = "lab-root-password";
    /// The default homelab's token `root@pam!stead` (no privilege separation).
    pub const ROOT_TOKEN: &str = "root@pam!stead=5743ad5b-6a1c-4f0e-8d4e-2f0b8c0a1ab0";
    /// The default homelab's token `terraform@pve!provider` (privilege separation), with the rights that a provider needs.
    pub const PROVIDER_TOKEN: &str = "terraform@pve!provider=0e4c5c3e-92d6-4c3f-a0e6-7d3f57b4a1c2";

    /// The default homelab with other nodes: name and address of each.
    pub fn cluster(nodes: &[(&str, &str)]) -> Options {
        let node = |(name, address): &(&str, &str)| NodeSpec {
            name: (*name).into(),
            address: (*address).into(),
            cpu: 16,
            memory: 64 * GIB,
            bridges: vec!["vmbr0".into()],
            pci: vec![PciDevice::gpu()],
        };
        let storage = |id: &str, kind: &str, content: &[&str], gib: u64| StorageSpec {
            id: id.into(),
            kind: kind.into(),
            content: content.iter().map(|c| (*c).to_owned()).collect(),
            capacity: gib * GIB,
            shared: false,
            nodes: Vec::new(),
        };
        Options {
            name: "homelab".into(),
            version: Version::default(),
            nodes: nodes.iter().map(node).collect(),
            storages: vec![
                storage(
                    "local",
                    "dir",
                    &["iso", "vztmpl", "backup", "snippets", "import"],
                    100,
                ),
                storage("local-lvm", "lvmthin", &["images", "rootdir"], 800),
                storage("local-zfs", "zfspool", &["images", "rootdir"], 1600),
            ],
            users: vec![
                user(
                    "root@pam",
                    Some(Options::ROOT_PASSWORD),
                    Options::ROOT_TOKEN,
                    false,
                ),
                user("terraform@pve", None, Options::PROVIDER_TOKEN, true),
            ],
            roles: vec![(
                "Provisioner".into(),
                PROVISIONER.iter().map(|p| (*p).to_owned()).collect(),
            )],
            acl: ["terraform@pve", "terraform@pve!provider"]
                .map(provisioner_everywhere)
                .to_vec(),
        }
    }
}

/// What the published provider's documentation asks for, and what its PCI mappings need.
const PROVISIONER: &[&str] = &[
    "Datastore.Allocate",
    "Datastore.AllocateSpace",
    "Datastore.AllocateTemplate",
    "Datastore.Audit",
    "Mapping.Audit",
    "Mapping.Modify",
    "Mapping.Use",
    "Pool.Allocate",
    "Pool.Audit",
    "SDN.Audit",
    "SDN.Use",
    "Sys.Audit",
    "Sys.Console",
    "Sys.Modify",
    "VM.Allocate",
    "VM.Audit",
    "VM.Clone",
    "VM.Config.CDROM",
    "VM.Config.CPU",
    "VM.Config.Cloudinit",
    "VM.Config.Disk",
    "VM.Config.HWType",
    "VM.Config.Memory",
    "VM.Config.Network",
    "VM.Config.Options",
    "VM.GuestAgent.Audit",
    "VM.Migrate",
    // Before 9, what the guest agent's audit is now.
    "VM.Monitor",
    "VM.PowerMgmt",
];

fn provisioner_everywhere(subject: &str) -> AclSpec {
    AclSpec {
        path: "/".into(),
        subject: subject.into(),
        role: "Provisioner".into(),
        propagate: true,
    }
}

/// `token` is `USER!ID=SECRET`, as clients write it.
fn user(id: &str, password: Option<&str>, token: &str, privilege_separation: bool) -> UserSpec {
    let token = token
        .split_once('!')
        .and_then(|(_, token)| token.split_once('='));
    let token = token.map(|(id, secret)| TokenSpec {
        id: id.into(),
        secret: secret.into(),
        privilege_separation,
    });
    UserSpec {
        id: id.into(),
        password: password.map(str::to_owned),
        tokens: token.into_iter().collect(),
    }
}

impl PciDevice {
    /// The GPU of each default node.
    pub fn gpu() -> PciDevice {
        PciDevice {
            address: "0000:01:00.0".into(),
            id: "10de:1eb8".into(),
            subsystem_id: "10de:12a2".into(),
            iommu_group: 16,
            class: "0x030200".into(),
            vendor_name: "NVIDIA Corporation".into(),
            device_name: "TU104GL [Tesla T4]".into(),
        }
    }
}
