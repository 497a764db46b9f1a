//! The provider block's `features`: what a published provider block may say, and the few that concern the types here.
//!
//! Features of types that stead does not have are accepted and have nothing to act on.

use stead_sdk::Block;

#[derive(Clone, Debug, Default, Block)]
#[block(legacy)]
pub(crate) struct Features {
    #[attr(optional, default = false)]
    pub(crate) persist_id_on_create_before_polling_for_completion: bool,
    #[attr(optional, default = false)]
    pub(crate) skip_import_check_on_create_and_allow_overwriting_existing_resources: bool,
    #[attr(block(list))]
    pub(crate) api_management: Vec<FeaturesApiManagement>,
    #[attr(block(list))]
    pub(crate) app_configuration: Vec<FeaturesAppConfiguration>,
    #[attr(block(list))]
    pub(crate) application_insights: Vec<FeaturesApplicationInsights>,
    #[attr(block(list))]
    pub(crate) cognitive_account: Vec<FeaturesCognitiveAccount>,
    #[attr(block(list))]
    pub(crate) databricks_workspace: Vec<FeaturesDatabricksWorkspace>,
    #[attr(block(list))]
    pub(crate) enhanced_validation: Vec<FeaturesValidation>,
    #[attr(block(list))]
    pub(crate) key_vault: Vec<FeaturesKeyVault>,
    #[attr(block(list))]
    pub(crate) log_analytics_workspace: Vec<FeaturesLogAnalyticsWorkspace>,
    #[attr(block(list))]
    pub(crate) machine_learning: Vec<FeaturesMachineLearning>,
    #[attr(block(list))]
    pub(crate) managed_disk: Vec<FeaturesManagedDisk>,
    #[attr(block(list))]
    pub(crate) netapp: Vec<FeaturesNetapp>,
    #[attr(block(list))]
    pub(crate) postgresql_flexible_server: Vec<FeaturesPostgresqlFlexibleServer>,
    #[attr(block(list))]
    pub(crate) recovery_service: Vec<FeaturesRecoveryService>,
    #[attr(block(list))]
    pub(crate) recovery_services_vaults: Vec<FeaturesRecoveryServicesVaults>,
    #[attr(block(list))]
    pub(crate) resource_group: Vec<FeaturesResourceGroup>,
    #[attr(block(list))]
    pub(crate) servicebus: Vec<FeaturesServicebus>,
    #[attr(block(list))]
    pub(crate) storage: Vec<FeaturesStorage>,
    #[attr(block(list))]
    pub(crate) subscription: Vec<FeaturesSubscription>,
    #[attr(block(list))]
    pub(crate) template_deployment: Vec<FeaturesTemplateDeployment>,
    #[attr(block(list))]
    pub(crate) virtual_machine: Vec<FeaturesVirtualMachine>,
    #[attr(block(list))]
    pub(crate) virtual_machine_scale_set: Vec<FeaturesVirtualMachineScaleSet>,
}

#[derive(Clone, Debug, Default, Block)]
#[block(legacy)]
pub(crate) struct FeaturesVirtualMachineScaleSet {
    #[attr(optional, default = false)]
    pub(crate) force_delete: bool,
    #[attr(optional, default = true)]
    pub(crate) reimage_on_manual_upgrade: bool,
    #[attr(optional, default = true)]
    pub(crate) roll_instances_when_required: bool,
    #[attr(optional, default = false)]
    pub(crate) scale_to_zero_before_deletion: bool,
}

#[derive(Clone, Debug, Default, Block)]
#[block(legacy)]
pub(crate) struct FeaturesVirtualMachine {
    #[attr(optional, default = false)]
    pub(crate) delete_os_disk_on_deletion: bool,
    #[attr(optional, default = false)]
    pub(crate) detach_implicit_data_disk_on_deletion: bool,
    #[attr(optional, default = false, deprecated = "Gone in azurerm 5.")]
    pub(crate) graceful_shutdown: bool,
    #[attr(optional, default = false)]
    pub(crate) skip_shutdown_and_force_delete: bool,
}

#[derive(Clone, Debug, Default, Block)]
#[block(legacy)]
pub(crate) struct FeaturesTemplateDeployment {
    #[attr(required)]
    pub(crate) delete_nested_items_during_deletion: bool,
}

#[derive(Clone, Debug, Default, Block)]
#[block(legacy)]
pub(crate) struct FeaturesSubscription {
    #[attr(optional, default = false)]
    pub(crate) prevent_cancellation_on_destroy: bool,
}

#[derive(Clone, Debug, Default, Block)]
#[block(legacy)]
pub(crate) struct FeaturesStorage {
    #[attr(optional, default = true)]
    pub(crate) data_plane_available: bool,
}

#[derive(Clone, Debug, Default, Block)]
#[block(legacy)]
pub(crate) struct FeaturesServicebus {
    #[attr(optional, default = false)]
    pub(crate) auto_delete_subscription_default_rule: bool,
}

#[derive(Clone, Debug, Default, Block)]
#[block(legacy)]
pub(crate) struct FeaturesResourceGroup {
    #[attr(optional, default = true)]
    pub(crate) prevent_deletion_if_contains_resources: bool,
}

#[derive(Clone, Debug, Default, Block)]
#[block(legacy)]
pub(crate) struct FeaturesRecoveryServicesVaults {
    #[attr(optional, default = false)]
    pub(crate) recover_soft_deleted_backup_protected_vm: bool,
}

#[derive(Clone, Debug, Default, Block)]
#[block(legacy)]
pub(crate) struct FeaturesRecoveryService {
    #[attr(optional, default = false)]
    pub(crate) purge_protected_items_from_vault_on_destroy: bool,
    #[attr(optional, default = false)]
    pub(crate) vm_backup_stop_protection_and_retain_data_on_destroy: bool,
    #[attr(optional, default = false)]
    pub(crate) vm_backup_suspend_protection_and_retain_data_on_destroy: bool,
}

#[derive(Clone, Debug, Default, Block)]
#[block(legacy)]
pub(crate) struct FeaturesPostgresqlFlexibleServer {
    #[attr(optional, default = true)]
    pub(crate) restart_server_on_configuration_value_change: bool,
}

#[derive(Clone, Debug, Default, Block)]
#[block(legacy)]
pub(crate) struct FeaturesNetapp {
    #[attr(optional, default = false)]
    pub(crate) delete_backups_on_backup_vault_destroy: bool,
    #[attr(optional, default = true)]
    pub(crate) prevent_volume_destruction: bool,
}

#[derive(Clone, Debug, Default, Block)]
#[block(legacy)]
pub(crate) struct FeaturesManagedDisk {
    #[attr(optional, default = true)]
    pub(crate) expand_without_downtime: bool,
}

#[derive(Clone, Debug, Default, Block)]
#[block(legacy)]
pub(crate) struct FeaturesMachineLearning {
    #[attr(optional, default = false)]
    pub(crate) purge_soft_deleted_workspace_on_destroy: bool,
}

#[derive(Clone, Debug, Default, Block)]
#[block(legacy)]
pub(crate) struct FeaturesLogAnalyticsWorkspace {
    #[attr(optional, default = false)]
    pub(crate) permanently_delete_on_destroy: bool,
}

#[derive(Clone, Debug, Default, Block)]
#[block(legacy)]
pub(crate) struct FeaturesKeyVault {
    #[attr(optional, default = true)]
    pub(crate) purge_soft_delete_on_destroy: bool,
    #[attr(optional, default = true)]
    pub(crate) purge_soft_deleted_certificates_on_destroy: bool,
    #[attr(optional, default = true)]
    pub(crate) purge_soft_deleted_hardware_security_module_keys_on_destroy: bool,
    #[attr(optional, default = true)]
    pub(crate) purge_soft_deleted_hardware_security_modules_on_destroy: bool,
    #[attr(optional, default = true)]
    pub(crate) purge_soft_deleted_keys_on_destroy: bool,
    #[attr(optional, default = true)]
    pub(crate) purge_soft_deleted_secrets_on_destroy: bool,
    #[attr(optional, default = true)]
    pub(crate) recover_soft_deleted_certificates: bool,
    #[attr(optional, default = true)]
    pub(crate) recover_soft_deleted_hardware_security_module_keys: bool,
    #[attr(optional, default = true)]
    pub(crate) recover_soft_deleted_key_vaults: bool,
    #[attr(optional, default = true)]
    pub(crate) recover_soft_deleted_keys: bool,
    #[attr(optional, default = true)]
    pub(crate) recover_soft_deleted_secrets: bool,
}

#[derive(Clone, Debug, Default, Block)]
#[block(legacy)]
pub(crate) struct FeaturesValidation {
    #[attr(optional)]
    pub(crate) locations: bool,
    #[attr(optional)]
    pub(crate) preflight_enabled: bool,
    #[attr(optional)]
    pub(crate) preflight_location_fallback: String,
    #[attr(optional)]
    pub(crate) resource_providers: bool,
}

#[derive(Clone, Debug, Default, Block)]
#[block(legacy)]
pub(crate) struct FeaturesDatabricksWorkspace {
    #[attr(optional, default = false)]
    pub(crate) force_delete: bool,
}

#[derive(Clone, Debug, Default, Block)]
#[block(legacy)]
pub(crate) struct FeaturesCognitiveAccount {
    #[attr(optional, default = true)]
    pub(crate) purge_soft_delete_on_destroy: bool,
}

#[derive(Clone, Debug, Default, Block)]
#[block(legacy)]
pub(crate) struct FeaturesApplicationInsights {
    #[attr(optional, default = false)]
    pub(crate) disable_generated_rule: bool,
}

#[derive(Clone, Debug, Default, Block)]
#[block(legacy)]
pub(crate) struct FeaturesAppConfiguration {
    #[attr(optional, default = true)]
    pub(crate) purge_soft_delete_on_destroy: bool,
    #[attr(optional, default = true)]
    pub(crate) recover_soft_deleted: bool,
}

#[derive(Clone, Debug, Default, Block)]
#[block(legacy)]
pub(crate) struct FeaturesApiManagement {
    #[attr(optional, default = true)]
    pub(crate) purge_soft_delete_on_destroy: bool,
    #[attr(optional, default = true)]
    pub(crate) recover_soft_deleted: bool,
}

#[derive(Clone, Debug, Default, Block)]
#[block(legacy)]
pub(crate) struct EnhancedValidation {
    #[attr(optional)]
    pub(crate) locations: bool,
    #[attr(optional)]
    pub(crate) resource_providers: bool,
}

/// The features that are acted on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Behaviour {
    pub(crate) purge_vaults: bool,
    pub(crate) recover_vaults: bool,
    pub(crate) purge_secrets: bool,
    pub(crate) recover_secrets: bool,
    /// A resource group that still holds something is not deleted.
    pub(crate) keep_filled_groups: bool,
    /// Creating takes over what is there already.
    pub(crate) overwrite_existing: bool,
}

impl Features {
    pub(crate) fn behaviour(&self) -> Behaviour {
        let vault = self.key_vault.first();
        let group = self.resource_group.first();
        Behaviour {
            purge_vaults: vault.is_none_or(|v| v.purge_soft_delete_on_destroy),
            recover_vaults: vault.is_none_or(|v| v.recover_soft_deleted_key_vaults),
            purge_secrets: vault.is_none_or(|v| v.purge_soft_deleted_secrets_on_destroy),
            recover_secrets: vault.is_none_or(|v| v.recover_soft_deleted_secrets),
            keep_filled_groups: group.is_none_or(|g| g.prevent_deletion_if_contains_resources),
            overwrite_existing: self
                .skip_import_check_on_create_and_allow_overwriting_existing_resources,
        }
    }
}
