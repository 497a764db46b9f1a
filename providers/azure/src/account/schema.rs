//! The attributes of `azurerm_storage_account`: azurerm 5's, and what only azurerm 4 has.

use stead_sdk::value::Sensitive;
use stead_sdk::{Block, Resource};

use crate::common::{Tags, Timeouts};
use crate::identity::InGroup;

/// A storage account. Its name is unique in all of Azure.
#[derive(Clone, Debug, Resource)]
#[resource(name = "azurerm_storage_account", version = 4, legacy, identity = InGroup)]
pub(crate) struct StorageAccount {
    #[attr(optional, computed)]
    pub(crate) access_tier: String,
    #[attr(optional, default = "StorageV2")]
    pub(crate) account_kind: String,
    #[attr(required)]
    pub(crate) account_replication_type: String,
    #[attr(required, replace)]
    pub(crate) account_tier: String,
    /// azurerm 4 defaults to true, azurerm 5 to false: new accounts get false, existing ones keep theirs.
    #[attr(optional)]
    pub(crate) allow_nested_items_to_be_public: bool,
    #[attr(optional)]
    pub(crate) allowed_copy_scope: String,
    #[attr(optional, default = false)]
    pub(crate) cross_tenant_replication_enabled: bool,
    #[attr(optional, default = false)]
    pub(crate) default_to_oauth_authentication: bool,
    #[attr(optional, default = "Standard", replace)]
    pub(crate) dns_endpoint_type: String,
    #[attr(optional, replace, unsupported)]
    pub(crate) edge_zone: String,
    #[attr(optional, default = true)]
    pub(crate) https_traffic_only_enabled: bool,
    #[attr(optional, computed)]
    pub(crate) id: String,
    #[attr(optional, default = false, replace)]
    pub(crate) infrastructure_encryption_enabled: bool,
    #[attr(optional, default = false, replace)]
    pub(crate) is_hns_enabled: bool,
    #[attr(optional, computed)]
    pub(crate) large_file_share_enabled: bool,
    #[attr(optional, default = true)]
    pub(crate) local_user_enabled: bool,
    #[attr(required, replace)]
    pub(crate) location: String,
    #[attr(optional, default = "TLS1_2")]
    pub(crate) min_tls_version: String,
    #[attr(required, replace)]
    pub(crate) name: String,
    #[attr(optional, default = false, replace)]
    pub(crate) nfsv3_enabled: bool,
    #[attr(computed, sensitive)]
    pub(crate) primary_access_key: Sensitive<String>,
    #[attr(computed, sensitive)]
    pub(crate) primary_blob_connection_string: Sensitive<String>,
    #[attr(computed)]
    pub(crate) primary_blob_endpoint: String,
    #[attr(computed)]
    pub(crate) primary_blob_host: String,
    #[attr(computed)]
    pub(crate) primary_blob_internet_endpoint: String,
    #[attr(computed)]
    pub(crate) primary_blob_internet_host: String,
    #[attr(computed)]
    pub(crate) primary_blob_microsoft_endpoint: String,
    #[attr(computed)]
    pub(crate) primary_blob_microsoft_host: String,
    #[attr(computed, sensitive)]
    pub(crate) primary_connection_string: Sensitive<String>,
    #[attr(computed)]
    pub(crate) primary_dfs_endpoint: String,
    #[attr(computed)]
    pub(crate) primary_dfs_host: String,
    #[attr(computed)]
    pub(crate) primary_dfs_internet_endpoint: String,
    #[attr(computed)]
    pub(crate) primary_dfs_internet_host: String,
    #[attr(computed)]
    pub(crate) primary_dfs_microsoft_endpoint: String,
    #[attr(computed)]
    pub(crate) primary_dfs_microsoft_host: String,
    #[attr(computed)]
    pub(crate) primary_file_endpoint: String,
    #[attr(computed)]
    pub(crate) primary_file_host: String,
    #[attr(computed)]
    pub(crate) primary_file_internet_endpoint: String,
    #[attr(computed)]
    pub(crate) primary_file_internet_host: String,
    #[attr(computed)]
    pub(crate) primary_file_microsoft_endpoint: String,
    #[attr(computed)]
    pub(crate) primary_file_microsoft_host: String,
    #[attr(computed)]
    pub(crate) primary_location: String,
    #[attr(computed)]
    pub(crate) primary_queue_endpoint: String,
    #[attr(computed)]
    pub(crate) primary_queue_host: String,
    #[attr(computed)]
    pub(crate) primary_queue_microsoft_endpoint: String,
    #[attr(computed)]
    pub(crate) primary_queue_microsoft_host: String,
    #[attr(computed)]
    pub(crate) primary_table_endpoint: String,
    #[attr(computed)]
    pub(crate) primary_table_host: String,
    #[attr(computed)]
    pub(crate) primary_table_microsoft_endpoint: String,
    #[attr(computed)]
    pub(crate) primary_table_microsoft_host: String,
    #[attr(computed)]
    pub(crate) primary_web_endpoint: String,
    #[attr(computed)]
    pub(crate) primary_web_host: String,
    #[attr(computed)]
    pub(crate) primary_web_internet_endpoint: String,
    #[attr(computed)]
    pub(crate) primary_web_internet_host: String,
    #[attr(computed)]
    pub(crate) primary_web_microsoft_endpoint: String,
    #[attr(computed)]
    pub(crate) primary_web_microsoft_host: String,
    #[attr(optional, replace, unsupported)]
    pub(crate) provisioned_billing_model_version: String,
    #[attr(optional, default = true)]
    pub(crate) public_network_access_enabled: bool,
    #[attr(optional, default = "Service", replace)]
    pub(crate) queue_encryption_key_type: String,
    #[attr(required, replace)]
    pub(crate) resource_group_name: String,
    #[attr(computed, sensitive)]
    pub(crate) secondary_access_key: Sensitive<String>,
    #[attr(computed, sensitive)]
    pub(crate) secondary_blob_connection_string: Sensitive<String>,
    #[attr(computed)]
    pub(crate) secondary_blob_endpoint: String,
    #[attr(computed)]
    pub(crate) secondary_blob_host: String,
    #[attr(computed)]
    pub(crate) secondary_blob_internet_endpoint: String,
    #[attr(computed)]
    pub(crate) secondary_blob_internet_host: String,
    #[attr(computed)]
    pub(crate) secondary_blob_microsoft_endpoint: String,
    #[attr(computed)]
    pub(crate) secondary_blob_microsoft_host: String,
    #[attr(computed, sensitive)]
    pub(crate) secondary_connection_string: Sensitive<String>,
    #[attr(computed)]
    pub(crate) secondary_dfs_endpoint: String,
    #[attr(computed)]
    pub(crate) secondary_dfs_host: String,
    #[attr(computed)]
    pub(crate) secondary_dfs_internet_endpoint: String,
    #[attr(computed)]
    pub(crate) secondary_dfs_internet_host: String,
    #[attr(computed)]
    pub(crate) secondary_dfs_microsoft_endpoint: String,
    #[attr(computed)]
    pub(crate) secondary_dfs_microsoft_host: String,
    #[attr(computed)]
    pub(crate) secondary_file_endpoint: String,
    #[attr(computed)]
    pub(crate) secondary_file_host: String,
    #[attr(computed)]
    pub(crate) secondary_file_internet_endpoint: String,
    #[attr(computed)]
    pub(crate) secondary_file_internet_host: String,
    #[attr(computed)]
    pub(crate) secondary_file_microsoft_endpoint: String,
    #[attr(computed)]
    pub(crate) secondary_file_microsoft_host: String,
    #[attr(computed)]
    pub(crate) secondary_location: String,
    #[attr(computed)]
    pub(crate) secondary_queue_endpoint: String,
    #[attr(computed)]
    pub(crate) secondary_queue_host: String,
    #[attr(computed)]
    pub(crate) secondary_queue_microsoft_endpoint: String,
    #[attr(computed)]
    pub(crate) secondary_queue_microsoft_host: String,
    #[attr(computed)]
    pub(crate) secondary_table_endpoint: String,
    #[attr(computed)]
    pub(crate) secondary_table_host: String,
    #[attr(computed)]
    pub(crate) secondary_table_microsoft_endpoint: String,
    #[attr(computed)]
    pub(crate) secondary_table_microsoft_host: String,
    #[attr(computed)]
    pub(crate) secondary_web_endpoint: String,
    #[attr(computed)]
    pub(crate) secondary_web_host: String,
    #[attr(computed)]
    pub(crate) secondary_web_internet_endpoint: String,
    #[attr(computed)]
    pub(crate) secondary_web_internet_host: String,
    #[attr(computed)]
    pub(crate) secondary_web_microsoft_endpoint: String,
    #[attr(computed)]
    pub(crate) secondary_web_microsoft_host: String,
    #[attr(optional, default = false)]
    pub(crate) sftp_enabled: bool,
    #[attr(optional, default = true)]
    pub(crate) shared_access_key_enabled: bool,
    #[attr(optional, default = "Service", replace)]
    pub(crate) table_encryption_key_type: String,
    #[attr(optional)]
    pub(crate) tags: Tags,
    #[attr(block(list, max = 1), unsupported)]
    pub(crate) azure_files_authentication: Option<AzureFilesAuthentication>,
    #[attr(block(list, max = 1))]
    pub(crate) blob_properties: Option<BlobProperties>,
    #[attr(block(list, max = 1), unsupported)]
    pub(crate) custom_domain: Option<CustomDomain>,
    #[attr(block(list, max = 1), unsupported)]
    pub(crate) customer_managed_key: Option<CustomerManagedKey>,
    #[attr(block(list, max = 1))]
    pub(crate) identity: Option<Identity>,
    #[attr(block(list, max = 1), replace, unsupported)]
    pub(crate) immutability_policy: Option<ImmutabilityPolicy>,
    #[attr(block(list, max = 1))]
    pub(crate) network_rules: Option<NetworkRules>,
    #[attr(block(list, max = 1), unsupported, deprecated = "Gone in azurerm 5.")]
    pub(crate) queue_properties: Option<QueueProperties>,
    #[attr(block(list, max = 1), unsupported)]
    pub(crate) routing: Option<Routing>,
    #[attr(block(list, max = 1))]
    pub(crate) sas_policy: Option<SasPolicy>,
    #[attr(block(list, max = 1), unsupported)]
    pub(crate) share_properties: Option<ShareProperties>,
    #[attr(block(list, max = 1), unsupported, deprecated = "Gone in azurerm 5.")]
    pub(crate) static_website: Option<StaticWebsite>,
    #[attr(block(single))]
    pub(crate) timeouts: Option<Timeouts>,
}

#[derive(Clone, Debug, Default, Block)]
#[block(legacy)]
pub(crate) struct StaticWebsite {
    #[attr(optional)]
    pub(crate) error_404_document: String,
    #[attr(optional)]
    pub(crate) index_document: String,
}

#[derive(Clone, Debug, Default, Block)]
#[block(legacy)]
pub(crate) struct ShareProperties {
    #[attr(block(list, max = 5), unsupported)]
    pub(crate) cors_rule: Vec<SharePropertiesCorsRule>,
    #[attr(block(list, max = 1))]
    pub(crate) retention_policy: Option<SharePropertiesRetentionPolicy>,
    #[attr(block(list, max = 1))]
    pub(crate) smb: Option<SharePropertiesSmb>,
}

#[derive(Clone, Debug, Default, Block)]
#[block(legacy)]
pub(crate) struct SharePropertiesSmb {
    #[attr(optional, set)]
    pub(crate) authentication_types: Vec<String>,
    #[attr(optional, set)]
    pub(crate) channel_encryption_type: Vec<String>,
    #[attr(optional, set)]
    pub(crate) kerberos_ticket_encryption_type: Vec<String>,
    #[attr(optional, default = false)]
    pub(crate) multichannel_enabled: bool,
    #[attr(optional, set)]
    pub(crate) versions: Vec<String>,
}

#[derive(Clone, Debug, Default, Block)]
#[block(legacy)]
pub(crate) struct SharePropertiesRetentionPolicy {
    #[attr(optional, default = 7)]
    pub(crate) days: i64,
}

#[derive(Clone, Debug, Default, Block)]
#[block(legacy)]
pub(crate) struct SharePropertiesCorsRule {
    #[attr(required)]
    pub(crate) allowed_headers: Vec<String>,
    #[attr(required)]
    pub(crate) allowed_methods: Vec<String>,
    #[attr(required)]
    pub(crate) allowed_origins: Vec<String>,
    #[attr(required)]
    pub(crate) exposed_headers: Vec<String>,
    #[attr(required)]
    pub(crate) max_age_in_seconds: i64,
}

#[derive(Clone, Debug, Default, Block)]
#[block(legacy)]
pub(crate) struct SasPolicy {
    #[attr(optional, default = "Log")]
    pub(crate) expiration_action: String,
    #[attr(required)]
    pub(crate) expiration_period: String,
}

#[derive(Clone, Debug, Default, Block)]
#[block(legacy)]
pub(crate) struct Routing {
    #[attr(optional, default = "MicrosoftRouting")]
    pub(crate) choice: String,
    #[attr(optional, default = false)]
    pub(crate) publish_internet_endpoints: bool,
    #[attr(optional, default = false)]
    pub(crate) publish_microsoft_endpoints: bool,
}

#[derive(Clone, Debug, Default, Block)]
#[block(legacy)]
pub(crate) struct QueueProperties {
    #[attr(block(list, max = 5), unsupported)]
    pub(crate) cors_rule: Vec<QueuePropertiesCorsRule>,
    #[attr(block(list, max = 1))]
    pub(crate) hour_metrics: Option<QueuePropertiesHourMetrics>,
    #[attr(block(list, max = 1))]
    pub(crate) logging: Option<QueuePropertiesLogging>,
    #[attr(block(list, max = 1))]
    pub(crate) minute_metrics: Option<QueuePropertiesMinuteMetrics>,
}

#[derive(Clone, Debug, Default, Block)]
#[block(legacy)]
pub(crate) struct QueuePropertiesMinuteMetrics {
    #[attr(required)]
    pub(crate) enabled: bool,
    #[attr(optional)]
    pub(crate) include_apis: bool,
    #[attr(optional)]
    pub(crate) retention_policy_days: i64,
    #[attr(required)]
    pub(crate) version: String,
}

#[derive(Clone, Debug, Default, Block)]
#[block(legacy)]
pub(crate) struct QueuePropertiesLogging {
    #[attr(required)]
    pub(crate) delete: bool,
    #[attr(required)]
    pub(crate) read: bool,
    #[attr(optional)]
    pub(crate) retention_policy_days: i64,
    #[attr(required)]
    pub(crate) version: String,
    #[attr(required)]
    pub(crate) write: bool,
}

#[derive(Clone, Debug, Default, Block)]
#[block(legacy)]
pub(crate) struct QueuePropertiesHourMetrics {
    #[attr(required)]
    pub(crate) enabled: bool,
    #[attr(optional)]
    pub(crate) include_apis: bool,
    #[attr(optional)]
    pub(crate) retention_policy_days: i64,
    #[attr(required)]
    pub(crate) version: String,
}

#[derive(Clone, Debug, Default, Block)]
#[block(legacy)]
pub(crate) struct QueuePropertiesCorsRule {
    #[attr(required)]
    pub(crate) allowed_headers: Vec<String>,
    #[attr(required)]
    pub(crate) allowed_methods: Vec<String>,
    #[attr(required)]
    pub(crate) allowed_origins: Vec<String>,
    #[attr(required)]
    pub(crate) exposed_headers: Vec<String>,
    #[attr(required)]
    pub(crate) max_age_in_seconds: i64,
}

#[derive(Clone, Debug, Default, Block)]
#[block(legacy)]
pub(crate) struct NetworkRules {
    #[attr(optional, computed, set)]
    pub(crate) bypass: Vec<String>,
    #[attr(required)]
    pub(crate) default_action: String,
    #[attr(optional, computed, set)]
    pub(crate) ip_rules: Vec<String>,
    #[attr(optional, computed, set)]
    pub(crate) virtual_network_subnet_ids: Vec<String>,
    #[attr(block(list), unsupported)]
    pub(crate) private_link_access: Vec<NetworkRulesPrivateLinkAccess>,
}

#[derive(Clone, Debug, Default, Block)]
#[block(legacy)]
pub(crate) struct NetworkRulesPrivateLinkAccess {
    #[attr(required)]
    pub(crate) endpoint_resource_id: String,
    #[attr(optional, computed)]
    pub(crate) endpoint_tenant_id: String,
}

#[derive(Clone, Debug, Default, Block)]
#[block(legacy)]
pub(crate) struct ImmutabilityPolicy {
    #[attr(required)]
    pub(crate) allow_protected_append_writes: bool,
    #[attr(required)]
    pub(crate) period_since_creation_in_days: i64,
    #[attr(required)]
    pub(crate) state: String,
}

#[derive(Clone, Debug, Default, Block)]
#[block(legacy)]
pub(crate) struct Identity {
    #[attr(optional, set)]
    pub(crate) identity_ids: Vec<String>,
    #[attr(computed)]
    pub(crate) principal_id: String,
    #[attr(computed)]
    pub(crate) tenant_id: String,
    #[attr(required)]
    pub(crate) r#type: String,
}

#[derive(Clone, Debug, Default, Block)]
#[block(legacy)]
pub(crate) struct CustomerManagedKey {
    #[attr(optional, computed)]
    pub(crate) key_vault_key_id: String,
    #[attr(optional, computed, deprecated = "Gone in azurerm 5.")]
    pub(crate) managed_hsm_key_id: String,
    #[attr(required)]
    pub(crate) user_assigned_identity_id: String,
}

#[derive(Clone, Debug, Default, Block)]
#[block(legacy)]
pub(crate) struct CustomDomain {
    #[attr(required)]
    pub(crate) name: String,
    #[attr(optional, default = false)]
    pub(crate) use_subdomain: bool,
}

#[derive(Clone, Debug, Default, Block)]
#[block(legacy)]
pub(crate) struct BlobProperties {
    #[attr(optional, default = false)]
    pub(crate) change_feed_enabled: bool,
    #[attr(optional)]
    pub(crate) change_feed_retention_in_days: i64,
    #[attr(optional, computed)]
    pub(crate) default_service_version: String,
    #[attr(optional, default = false)]
    pub(crate) last_access_time_enabled: bool,
    #[attr(optional, default = false)]
    pub(crate) versioning_enabled: bool,
    #[attr(block(list, max = 1))]
    pub(crate) container_delete_retention_policy:
        Option<BlobPropertiesContainerDeleteRetentionPolicy>,
    #[attr(block(list, max = 5), unsupported)]
    pub(crate) cors_rule: Vec<BlobPropertiesCorsRule>,
    #[attr(block(list, max = 1))]
    pub(crate) delete_retention_policy: Option<BlobPropertiesDeleteRetentionPolicy>,
    #[attr(block(list, max = 1), unsupported)]
    pub(crate) restore_policy: Option<BlobPropertiesRestorePolicy>,
}

#[derive(Clone, Debug, Default, Block)]
#[block(legacy)]
pub(crate) struct BlobPropertiesRestorePolicy {
    #[attr(required)]
    pub(crate) days: i64,
}

#[derive(Clone, Debug, Default, Block)]
#[block(legacy)]
pub(crate) struct BlobPropertiesDeleteRetentionPolicy {
    #[attr(optional, default = 7)]
    pub(crate) days: i64,
    #[attr(optional, default = false)]
    pub(crate) permanent_delete_enabled: bool,
}

#[derive(Clone, Debug, Default, Block)]
#[block(legacy)]
pub(crate) struct BlobPropertiesCorsRule {
    #[attr(required)]
    pub(crate) allowed_headers: Vec<String>,
    #[attr(required)]
    pub(crate) allowed_methods: Vec<String>,
    #[attr(required)]
    pub(crate) allowed_origins: Vec<String>,
    #[attr(required)]
    pub(crate) exposed_headers: Vec<String>,
    #[attr(required)]
    pub(crate) max_age_in_seconds: i64,
}

#[derive(Clone, Debug, Default, Block)]
#[block(legacy)]
pub(crate) struct BlobPropertiesContainerDeleteRetentionPolicy {
    #[attr(optional, default = 7)]
    pub(crate) days: i64,
}

#[derive(Clone, Debug, Default, Block)]
#[block(legacy)]
pub(crate) struct AzureFilesAuthentication {
    #[attr(optional, default = "None")]
    pub(crate) default_share_level_permission: String,
    #[attr(required)]
    pub(crate) directory_type: String,
    #[attr(block(list, max = 1))]
    pub(crate) active_directory: Option<AzureFilesAuthenticationActiveDirectory>,
}

#[derive(Clone, Debug, Default, Block)]
#[block(legacy)]
pub(crate) struct AzureFilesAuthenticationActiveDirectory {
    #[attr(required)]
    pub(crate) domain_guid: String,
    #[attr(required)]
    pub(crate) domain_name: String,
    #[attr(optional)]
    pub(crate) domain_sid: String,
    #[attr(optional)]
    pub(crate) forest_name: String,
    #[attr(optional)]
    pub(crate) netbios_domain_name: String,
    #[attr(optional)]
    pub(crate) storage_sid: String,
}
