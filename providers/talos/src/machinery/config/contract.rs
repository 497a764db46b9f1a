//! Version contracts: what the generated configuration may contain for a Talos version.

use crate::machinery::schema::Release;

/// A Talos minor version whose configuration form is produced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Contract {
    major: u32,
    minor: u32,
}

/// A version text that names no supported contract.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContractError {
    /// Not of the form `v1.13` or `1.13.4`.
    #[error("error parsing version {0:?}")]
    Syntax(String),
    /// A version outside of what is known.
    #[error("Talos {0} is not supported: the known versions are v1.2 to v1.14")]
    Unsupported(Contract),
}

/// One row: a feature holds for every contract from this minor version on.
macro_rules! features {
    ($($(#[$doc:meta])* $name:ident: from $minor:literal;)*) => {
        impl Contract {
            $($(#[$doc])* pub(crate) fn $name(self) -> bool { self.minor >= $minor })*
        }
    };
}

features! {
    /// API server keys are encrypted with secretbox instead of AES-CBC.
    secretbox: from 3;
    /// A default audit policy is configured.
    audit_policy: from 3;
    /// The kubelet does not read static pods from a directory.
    disable_manifests_directory: from 3;
    /// apid checks the extended key usage of clients.
    apid_check_key_usage: from 3;
    /// Project quotas on XFS.
    disk_quota: from 5;
    /// The local load balancer for the Kubernetes API.
    kube_prism: from 6;
    /// The caching DNS server on the host.
    host_dns: from 7;
    /// Service account tokens are signed with RSA.
    rsa_service_account: from 7;
    /// CoreDNS forwards to the host's DNS server.
    forward_kube_dns: from 8;
    /// Workers know the name of the cluster.
    cluster_name_for_workers: from 8;
    /// Control plane nodes are left out of external load balancers.
    exclude_from_load_balancers: from 8;
    /// Hostname and registries are documents of their own; old always-on switches are gone.
    multi_document_network: from 12;
    /// KubeSpan is a document of its own and no empty `machine.network` is written.
    multi_document_kubespan: from 13;
    /// Nearly everything is a document of its own.
    multi_document_kubernetes: from 14;
}

impl Contract {
    /// The newest known contract.
    pub const LATEST: Self = Self {
        major: 1,
        minor: 14,
    };

    /// Reads a version as `v1.13`, `1.13` or `v1.13.9`.
    pub fn parse(version: &str) -> Result<Self, ContractError> {
        let syntax = || ContractError::Syntax(version.to_owned());
        let mut parts = version.strip_prefix('v').unwrap_or(version).split('.');
        let mut number = || -> Option<u32> {
            let part = parts.next()?;
            part.bytes()
                .all(|b| b.is_ascii_digit())
                .then(|| part.parse().ok())
                .flatten()
        };
        let (Some(major), Some(minor)) = (number(), number()) else {
            return Err(syntax());
        };
        let contract = Self { major, minor };
        if major == 1 && (2..=14).contains(&minor) {
            Ok(contract)
        } else {
            Err(ContractError::Unsupported(contract))
        }
    }

    /// The release line whose types and writing the contract follows.
    pub fn release(self) -> Release {
        if self.minor >= 14 {
            Release::V1_14
        } else {
            Release::V1_13
        }
    }

    /// Minor version number.
    pub fn minor(self) -> u32 {
        self.minor
    }

    /// Kubernetes moved its registry; only 1.2 needed the old host redirected.
    pub(crate) fn redirect_old_registry(self) -> bool {
        self.minor == 2
    }
}

impl std::fmt::Display for Contract {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "v{}.{}", self.major, self.minor)
    }
}

impl std::str::FromStr for Contract {
    type Err = ContractError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_versions() {
        assert_eq!(
            Contract::parse("v1.13.9").map(|c| c.to_string()),
            Ok("v1.13".to_owned())
        );
        assert_eq!(Contract::parse("1.2").map(Contract::minor), Ok(2));
        assert_eq!(Contract::parse("v1.14.0-rc.1"), Ok(Contract::LATEST));
        for bad in ["", "v1", "v1.x", "1.13-rc"] {
            assert!(
                matches!(Contract::parse(bad), Err(ContractError::Syntax(_))),
                "{bad}"
            );
        }
        for unknown in ["v1.1", "v1.15", "v2.3"] {
            assert!(
                matches!(Contract::parse(unknown), Err(ContractError::Unsupported(_))),
                "{unknown}"
            );
        }
    }
}
