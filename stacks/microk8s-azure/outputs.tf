output "endpoint" {
  value = microk8s_kubeconfig.this.endpoint
}

output "kubeconfig_file" {
  value = local_sensitive_file.kubeconfig.filename
}

output "kubeconfig" {
  value     = microk8s_kubeconfig.this.kubeconfig
  sensitive = true
}

output "vaults" {
  description = "By environment."
  value       = { for name, vault in module.azure_kv : name => vault.vault_uri }
}

output "backups" {
  description = "Addresses of the containers, by environment and application."
  value       = { for name, storage in module.azure_storage : name => storage.containers }
}

output "applications" {
  description = "What Git owns now."
  value = {
    for application in gitops_application.apps.applications :
    application.name => "${application.sync_status}, ${application.health_status}"
  }
}
