output "endpoint" {
  value = local.endpoint
}

output "client" {
  description = "How the Kubernetes providers log in."
  sensitive   = true
  value = {
    host               = talos_cluster_kubeconfig.this.kubernetes_client_configuration.host
    ca_certificate     = base64decode(talos_cluster_kubeconfig.this.kubernetes_client_configuration.ca_certificate)
    client_certificate = base64decode(talos_cluster_kubeconfig.this.kubernetes_client_configuration.client_certificate)
    client_key         = base64decode(talos_cluster_kubeconfig.this.kubernetes_client_configuration.client_key)
  }
}

output "kubeconfig" {
  value     = talos_cluster_kubeconfig.this.kubeconfig_raw
  sensitive = true
}

output "talosconfig" {
  value     = data.talos_client_configuration.this.talos_config
  sensitive = true
}

output "ready" {
  description = "Known when every node is ready: what goes into the cluster waits for it."
  value       = data.talos_cluster_health.this.id
}
