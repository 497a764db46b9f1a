//! A storage account in Resource Manager's form, and back.

use serde_json::{Map, Value as Json, json};

use super::schema::{
    BlobProperties, BlobPropertiesContainerDeleteRetentionPolicy,
    BlobPropertiesDeleteRetentionPolicy, Identity, NetworkRules, SasPolicy, StorageAccount,
};
use crate::common::{self, enabled, flag, text};

impl StorageAccount {
    /// The body of the creation.
    pub(super) fn creation(&self) -> Json {
        let mut properties = self.changeable();
        let tiered = matches!(self.account_kind.as_str(), "BlobStorage" | "StorageV2");
        if tiered && self.access_tier.is_empty() {
            properties.insert("accessTier".into(), json!("Hot"));
        }
        let fixed = json!({
            "dnsEndpointType": self.dns_endpoint_type,
            "isHnsEnabled": self.is_hns_enabled,
            "isNfsV3Enabled": self.nfsv3_enabled,
            "encryption": self.encryption(),
        });
        if let Json::Object(fixed) = fixed {
            properties.extend(fixed);
        }
        if self.network_rules.is_none() {
            properties.insert("networkAcls".into(), NetworkRules::open().body());
        }
        json!({
            "identity": self.identity_body(),
            "kind": self.account_kind,
            "location": common::normal_location(&self.location),
            "properties": properties,
            "sku": self.sku(),
            "tags": self.tags,
        })
    }

    /// The body of a change.
    pub(super) fn change(&self) -> Json {
        json!({
            "identity": self.identity_body(),
            "kind": self.account_kind,
            "properties": self.changeable(),
            "sku": self.sku(),
            "tags": self.tags,
        })
    }

    fn sku(&self) -> Json {
        json!({
            "name": format!("{}_{}", self.account_tier, self.account_replication_type),
            "tier": self.account_tier,
        })
    }

    fn encryption(&self) -> Json {
        let mut encryption = json!({
            "keySource": "Microsoft.Storage",
            "services": {
                "queue": {"keyType": self.queue_encryption_key_type},
                "table": {"keyType": self.table_encryption_key_type},
            },
        });
        if self.infrastructure_encryption_enabled {
            encryption["requireInfrastructureEncryption"] = json!(true);
        }
        encryption
    }

    fn identity_body(&self) -> Json {
        match &self.identity {
            None => json!({"type": "None"}),
            Some(identity) => {
                let mut body = json!({"type": identity.r#type.replace(' ', "")});
                if !identity.identity_ids.is_empty() {
                    let ids = identity.identity_ids.iter();
                    let users: Map<String, Json> = ids.map(|id| (id.clone(), json!({}))).collect();
                    body["userAssignedIdentities"] = users.into();
                }
                body
            }
        }
    }

    /// The properties that a change may carry, too.
    fn changeable(&self) -> Map<String, Json> {
        let mut properties = Map::from_iter(
            [
                (
                    "allowBlobPublicAccess",
                    json!(self.allow_nested_items_to_be_public),
                ),
                (
                    "allowCrossTenantReplication",
                    json!(self.cross_tenant_replication_enabled),
                ),
                (
                    "allowSharedKeyAccess",
                    json!(self.shared_access_key_enabled),
                ),
                (
                    "defaultToOAuthAuthentication",
                    json!(self.default_to_oauth_authentication),
                ),
                ("isLocalUserEnabled", json!(self.local_user_enabled)),
                ("isSftpEnabled", json!(self.sftp_enabled)),
                ("minimumTlsVersion", json!(self.min_tls_version)),
                (
                    "publicNetworkAccess",
                    enabled(self.public_network_access_enabled),
                ),
                (
                    "supportsHttpsTrafficOnly",
                    json!(self.https_traffic_only_enabled),
                ),
            ]
            .map(|(name, value)| (name.to_owned(), value)),
        );
        for (name, value) in [
            ("accessTier", &self.access_tier),
            ("allowedCopyScope", &self.allowed_copy_scope),
        ] {
            if !value.is_empty() {
                properties.insert(name.into(), json!(value));
            }
        }
        // It can be turned on only.
        if self.large_file_share_enabled {
            properties.insert("largeFileSharesState".into(), json!("Enabled"));
        }
        if let Some(policy) = &self.sas_policy {
            let body = json!({
                "expirationAction": policy.expiration_action,
                "sasExpirationPeriod": policy.expiration_period,
            });
            properties.insert("sasPolicy".into(), body);
        }
        if let Some(rules) = &self.network_rules {
            properties.insert("networkAcls".into(), rules.body());
        }
        properties
    }

    /// What the account itself says; its blob service and keys are read apart.
    pub(super) fn with_properties(self, body: &Json) -> Self {
        let p = body.get("properties").unwrap_or(&Json::Null);
        let or = |value: String, default: &str| {
            if value.is_empty() {
                default.to_owned()
            } else {
                value
            }
        };
        let sku = text(body, "/sku/name");
        let (tier, replication) = sku.split_once('_').unwrap_or((sku.as_str(), ""));
        let key_type = |service: &str| {
            let at = format!("/encryption/services/{service}/keyType");
            or(text(p, &at), "Service")
        };
        StorageAccount {
            access_tier: text(p, "/accessTier"),
            account_kind: or(text(body, "/kind"), &self.account_kind),
            account_replication_type: or(replication.to_owned(), &self.account_replication_type),
            account_tier: or(tier.to_owned(), &self.account_tier),
            allow_nested_items_to_be_public: flag(p, "/allowBlobPublicAccess", false),
            allowed_copy_scope: text(p, "/allowedCopyScope"),
            cross_tenant_replication_enabled: flag(p, "/allowCrossTenantReplication", false),
            default_to_oauth_authentication: flag(p, "/defaultToOAuthAuthentication", false),
            dns_endpoint_type: or(text(p, "/dnsEndpointType"), "Standard"),
            https_traffic_only_enabled: flag(p, "/supportsHttpsTrafficOnly", true),
            infrastructure_encryption_enabled: flag(
                p,
                "/encryption/requireInfrastructureEncryption",
                false,
            ),
            is_hns_enabled: flag(p, "/isHnsEnabled", false),
            large_file_share_enabled: text(p, "/largeFileSharesState") == "Enabled",
            local_user_enabled: flag(p, "/isLocalUserEnabled", true),
            location: common::spelled(&self.location, &text(body, "/location")),
            min_tls_version: or(text(p, "/minimumTlsVersion"), "TLS1_2"),
            nfsv3_enabled: flag(p, "/isNfsV3Enabled", false),
            public_network_access_enabled: text(p, "/publicNetworkAccess") != "Disabled",
            queue_encryption_key_type: key_type("queue"),
            sftp_enabled: flag(p, "/isSftpEnabled", false),
            shared_access_key_enabled: flag(p, "/allowSharedKeyAccess", true),
            table_encryption_key_type: key_type("table"),
            tags: common::tags(body, "/tags"),
            identity: Identity::of(body),
            network_rules: NetworkRules::of(p, self.network_rules),
            sas_policy: SasPolicy::of(p),
            ..self
        }
    }
}

impl Identity {
    fn of(body: &Json) -> Option<Identity> {
        let kind = match text(body, "/identity/type").replace(' ', "").as_str() {
            "SystemAssigned,UserAssigned" => "SystemAssigned, UserAssigned".to_owned(),
            "" | "None" => return None,
            other => other.to_owned(),
        };
        let users = body
            .pointer("/identity/userAssignedIdentities")
            .and_then(Json::as_object);
        Some(Identity {
            identity_ids: users
                .map(|users| users.keys().cloned().collect())
                .unwrap_or_default(),
            principal_id: text(body, "/identity/principalId"),
            tenant_id: text(body, "/identity/tenantId"),
            r#type: kind,
        })
    }
}

impl SasPolicy {
    fn of(properties: &Json) -> Option<SasPolicy> {
        let policy = properties.get("sasPolicy").filter(|p| p.is_object())?;
        Some(SasPolicy {
            expiration_action: text(policy, "/expirationAction"),
            expiration_period: text(policy, "/sasExpirationPeriod"),
        })
    }
}

impl NetworkRules {
    /// What an account without rules has.
    fn open() -> NetworkRules {
        NetworkRules {
            bypass: vec!["AzureServices".into()],
            default_action: "Allow".into(),
            ..NetworkRules::default()
        }
    }

    /// The server's rules. An account without any keeps what is known: azurerm shows either none or the open ones.
    fn of(properties: &Json, known: Option<NetworkRules>) -> Option<NetworkRules> {
        let Some(rules) = properties.get("networkAcls").filter(|r| r.is_object()) else {
            return known;
        };
        let bypass = text(rules, "/bypass");
        Some(NetworkRules {
            bypass: bypass
                .split(',')
                .map(str::trim)
                .filter(|b| !b.is_empty())
                .map(str::to_owned)
                .collect(),
            default_action: text(rules, "/defaultAction"),
            ip_rules: common::texts_under(rules, "/ipRules", "value"),
            virtual_network_subnet_ids: common::texts_under(rules, "/virtualNetworkRules", "id"),
            private_link_access: known.map(|k| k.private_link_access).unwrap_or_default(),
        })
    }

    fn body(&self) -> Json {
        let allow = |name: &str, items: &[String]| -> Vec<Json> {
            let rule = |item| json!({"action": "Allow", name: item});
            items.iter().map(rule).collect()
        };
        let bypass = if self.bypass.is_empty() {
            "AzureServices".to_owned()
        } else {
            self.bypass.join(", ")
        };
        json!({
            "bypass": bypass,
            "defaultAction": self.default_action,
            "ipRules": allow("value", &self.ip_rules),
            "resourceAccessRules": [],
            "virtualNetworkRules": allow("id", &self.virtual_network_subnet_ids),
        })
    }
}

impl BlobProperties {
    /// The body of the blob service.
    pub(super) fn body(&self) -> Json {
        let retention = |days: Option<i64>| match days {
            Some(days) => json!({"enabled": true, "days": days}),
            None => json!({"enabled": false}),
        };
        let deletion = self.delete_retention_policy.as_ref();
        let containers = self.container_delete_retention_policy.as_ref();
        let mut deleted = retention(deletion.map(|p| p.days));
        if deletion.is_some_and(|p| p.permanent_delete_enabled) {
            deleted["allowPermanentDelete"] = json!(true);
        }
        let mut feed = json!({"enabled": self.change_feed_enabled});
        if self.change_feed_retention_in_days > 0 {
            feed["retentionInDays"] = json!(self.change_feed_retention_in_days);
        }
        let mut properties = json!({
            "changeFeed": feed,
            "containerDeleteRetentionPolicy": retention(containers.map(|p| p.days)),
            "deleteRetentionPolicy": deleted,
            "isVersioningEnabled": self.versioning_enabled,
            "lastAccessTimeTrackingPolicy": {"enable": self.last_access_time_enabled},
        });
        if !self.default_service_version.is_empty() {
            properties["defaultServiceVersion"] = json!(self.default_service_version);
        }
        json!({ "properties": properties })
    }

    pub(super) fn filled(self, body: &Json) -> Self {
        let p = body.get("properties").unwrap_or(&Json::Null);
        let days = |policy: &str| {
            let on = flag(p, &format!("/{policy}/enabled"), false);
            let days = p
                .pointer(&format!("/{policy}/days"))
                .and_then(Json::as_i64)
                .unwrap_or_default();
            on.then_some(days)
        };
        BlobProperties {
            change_feed_enabled: flag(p, "/changeFeed/enabled", false),
            change_feed_retention_in_days: p
                .pointer("/changeFeed/retentionInDays")
                .and_then(Json::as_i64)
                .unwrap_or_default(),
            default_service_version: text(p, "/defaultServiceVersion"),
            last_access_time_enabled: flag(p, "/lastAccessTimeTrackingPolicy/enable", false),
            versioning_enabled: flag(p, "/isVersioningEnabled", false),
            container_delete_retention_policy: days("containerDeleteRetentionPolicy")
                .map(|days| BlobPropertiesContainerDeleteRetentionPolicy { days }),
            delete_retention_policy: days("deleteRetentionPolicy").map(|days| {
                BlobPropertiesDeleteRetentionPolicy {
                    days,
                    permanent_delete_enabled: flag(
                        p,
                        "/deleteRetentionPolicy/allowPermanentDelete",
                        false,
                    ),
                }
            }),
            ..self
        }
    }
}
