output "stores" {
  description = "Names of the ClusterSecretStores by environment."
  value       = { for name in keys(var.vaults) : name => "azure-${name}" }

  depends_on = [kubernetes_manifest.store]
}
