output "endpoint" {
  description = "The Kubernetes API, at the VIP."
  value       = module.talos.endpoint
}

output "nodes" {
  description = "Addresses by name."
  value       = { for name, node in var.nodes : name => node.address }
}

output "kubeconfig_file" {
  value = local_sensitive_file.kubeconfig.filename
}

output "kubeconfig" {
  value     = module.talos.kubeconfig
  sensitive = true
}

output "talosconfig" {
  value     = module.talos.talosconfig
  sensitive = true
}

output "volumes" {
  description = "NFS paths by dataset."
  value       = module.storage.paths
}

output "vault" {
  description = "The Key Vault that keeps the sealed-secrets key."
  value       = one(module.backup[*].vault_uri)
}

output "applications" {
  description = "What Git owns now."
  value       = module.handoff.applications
}
