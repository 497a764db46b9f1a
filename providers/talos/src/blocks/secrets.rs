//! The attribute `machine_secrets`: as it is generated, and as it is given to a machine configuration.

use stead_sdk::value::Sensitive;
use stead_sdk::{Block, Error};

use super::{decode_pem, encode_pem};
use crate::machinery::{CertificateAndKey, Certs, KubernetesSecrets, Secret, SecretsBundle};

/// The two forms differ in one flag only.
macro_rules! machine_secrets {
    ($(#[$doc:meta])* $form:ident, $flag:ident, $aescbc:ident) => {
        $(#[$doc])*
        pub(crate) mod $form {
            use super::{
                Block, CertificateAndKey, Certs, Error, KubernetesSecrets, Secret, SecretsBundle, Sensitive,
                decode_pem, encode_pem,
            };

            /// Everything the machines of one cluster share.
            #[derive(Clone, Debug, Default, PartialEq, Block)]
            pub(crate) struct MachineSecrets {
                /// The identity of the cluster.
                #[attr($flag, nested(single))]
                pub(crate) cluster: Cluster,
                /// Secrets of Kubernetes.
                #[attr($flag, nested(single))]
                pub(crate) secrets: Secrets,
                /// How workers ask for certificates.
                #[attr($flag, nested(single))]
                pub(crate) trustdinfo: TrustdInfo,
                /// Certificate authorities; base64 of PEM texts.
                #[attr($flag, nested(single))]
                pub(crate) certs: Authorities,
            }

            /// The identity of the cluster in the discovery service.
            #[derive(Clone, Debug, Default, PartialEq, Block)]
            pub(crate) struct Cluster {
                /// The cluster's identifier.
                #[attr($flag)]
                pub(crate) id: String,
                /// Encrypts what members tell the discovery service.
                #[attr($flag, sensitive)]
                pub(crate) secret: Sensitive<String>,
            }

            /// Secrets of Kubernetes.
            #[derive(Clone, Debug, Default, PartialEq, Block)]
            pub(crate) struct Secrets {
                /// The token with which nodes join.
                #[attr($flag, sensitive)]
                pub(crate) bootstrap_token: Sensitive<String>,
                /// Encrypts secrets in etcd; empty up to contract 1.2.
                #[attr($flag, sensitive)]
                pub(crate) secretbox_encryption_secret: Sensitive<String>,
                /// Encrypts secrets in etcd up to contract 1.2.
                #[attr($aescbc, sensitive)]
                pub(crate) aescbc_encryption_secret: Option<Sensitive<String>>,
            }

            /// How workers ask for certificates.
            #[derive(Clone, Debug, Default, PartialEq, Block)]
            pub(crate) struct TrustdInfo {
                /// The token with which they ask.
                #[attr($flag, sensitive)]
                pub(crate) token: Sensitive<String>,
            }

            /// The certificate authorities of a cluster.
            #[derive(Clone, Debug, Default, PartialEq, Block)]
            pub(crate) struct Authorities {
                /// The authority of etcd.
                #[attr($flag, nested(single))]
                pub(crate) etcd: Pair,
                /// The authority of Kubernetes.
                #[attr($flag, nested(single))]
                pub(crate) k8s: Pair,
                /// The authority of the API aggregation layer.
                #[attr($flag, nested(single))]
                pub(crate) k8s_aggregator: Pair,
                /// What signs service account tokens.
                #[attr($flag, nested(single))]
                pub(crate) k8s_serviceaccount: KeyOnly,
                /// The authority of the Talos API.
                #[attr($flag, nested(single))]
                pub(crate) os: Pair,
            }

            /// A certificate and its key.
            #[derive(Clone, Debug, Default, PartialEq, Block)]
            pub(crate) struct Pair {
                /// The certificate.
                #[attr($flag)]
                pub(crate) cert: String,
                /// The private key.
                #[attr($flag, sensitive)]
                pub(crate) key: Sensitive<String>,
            }

            /// A key without a certificate.
            #[derive(Clone, Debug, Default, PartialEq, Block)]
            pub(crate) struct KeyOnly {
                /// The private key.
                #[attr($flag, sensitive)]
                pub(crate) key: Sensitive<String>,
            }

            impl Pair {
                fn of(pair: &CertificateAndKey) -> Pair {
                    Pair { cert: encode_pem(&pair.cert), key: encode_pem(pair.key.expose()).into() }
                }

                fn pair(&self, name: &str) -> Result<CertificateAndKey, Error> {
                    let place = |part: &str| format!("machine_secrets.certs.{name}.{part}");
                    Ok(CertificateAndKey {
                        cert: decode_pem(&self.cert, &place("cert"))?,
                        key: Secret::new(decode_pem(self.key.expose_secret(), &place("key"))?),
                    })
                }
            }

            #[allow(dead_code, reason = "one form is only written, the other only read")]
            impl MachineSecrets {
                /// The attribute's form of a bundle.
                pub(crate) fn of(bundle: &SecretsBundle) -> MachineSecrets {
                    let hidden = |s: &Secret| Sensitive::new(s.expose().to_owned());
                    let (kubernetes, certs) = (&bundle.secrets, &bundle.certs);
                    MachineSecrets {
                        cluster: Cluster {
                            id: bundle.cluster_id.clone(),
                            secret: hidden(&bundle.cluster_secret),
                        },
                        secrets: Secrets {
                            bootstrap_token: hidden(&kubernetes.bootstrap_token),
                            secretbox_encryption_secret: kubernetes
                                .secretbox_encryption_secret
                                .as_ref()
                                .map(hidden)
                                .unwrap_or_default(),
                            aescbc_encryption_secret: kubernetes.aescbc_encryption_secret.as_ref().map(hidden),
                        },
                        trustdinfo: TrustdInfo { token: hidden(&bundle.trustd_token) },
                        certs: Authorities {
                            etcd: Pair::of(&certs.etcd),
                            k8s: Pair::of(&certs.k8s),
                            k8s_aggregator: Pair::of(&certs.k8s_aggregator),
                            k8s_serviceaccount: KeyOnly {
                                key: encode_pem(certs.k8s_service_account.expose()).into(),
                            },
                            os: Pair::of(&certs.os),
                        },
                    }
                }

                /// The bundle behind the attribute, checked.
                pub(crate) fn bundle(&self) -> Result<SecretsBundle, Error> {
                    let secret = |s: &Sensitive<String>| Secret::new(s.expose_secret().clone());
                    let optional = |s: &Sensitive<String>| (!s.expose_secret().is_empty()).then(|| secret(s));
                    let (kubernetes, certs) = (&self.secrets, &self.certs);
                    let service_account = certs.k8s_serviceaccount.key.expose_secret();
                    let bundle = SecretsBundle {
                        cluster_id: self.cluster.id.clone(),
                        cluster_secret: secret(&self.cluster.secret),
                        secrets: KubernetesSecrets {
                            bootstrap_token: secret(&kubernetes.bootstrap_token),
                            secretbox_encryption_secret: optional(&kubernetes.secretbox_encryption_secret),
                            aescbc_encryption_secret: kubernetes
                                .aescbc_encryption_secret
                                .as_ref()
                                .and_then(optional),
                        },
                        trustd_token: secret(&self.trustdinfo.token),
                        certs: Certs {
                            etcd: certs.etcd.pair("etcd")?,
                            k8s: certs.k8s.pair("k8s")?,
                            k8s_aggregator: certs.k8s_aggregator.pair("k8s_aggregator")?,
                            k8s_service_account: Secret::new(decode_pem(
                                service_account,
                                "machine_secrets.certs.k8s_serviceaccount.key",
                            )?),
                            os: certs.os.pair("os")?,
                        },
                    };
                    bundle.validate().map_err(|e| {
                        Error::new("use the machine secrets", e.to_string()).attribute("machine_secrets")
                    })?;
                    Ok(bundle)
                }
            }
        }
    };
}

machine_secrets! {
    /// As `talos_machine_secrets` makes them.
    generated, computed, computed
}

machine_secrets! {
    /// As `talos_machine_configuration` takes them.
    given, required, optional
}
