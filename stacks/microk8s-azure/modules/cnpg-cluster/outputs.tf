output "hosts" {
  description = "Where applications reach their databases."
  value       = { for app in var.apps : app => "${app}-db-cnpg-v1-rw.cnpg-${var.environment}.svc.cluster.local" }

  depends_on = [gitops_application.this]
}
