# Argo CD from a pinned manifest; it waits until every workload is available.
resource "gitops_argocd" "this" {
  namespace        = "argocd"
  create_namespace = true
  manifest_file    = var.argo_manifest
  sha256           = filesha256(var.argo_manifest)

  depends_on = [terraform_data.cluster]
}

resource "gitops_repository" "this" {
  # Public repositories need none.
  count = var.git.username == null ? 0 : 1

  name     = "homelab"
  url      = var.git.url
  type     = "git"
  username = var.git.username
  password = var.git.password

  depends_on = [gitops_argocd.this]
}

locals {
  # Every folder below gitops/k8s/GROUP is an application of its own.
  application_sets = {
    for group in ["infra", "sets", "apps"] : group => templatefile("${path.module}/application-set.yaml.tftpl", {
      group    = group
      url      = var.git.url
      revision = var.git.revision
      path     = "${var.git.path}/${group}"
    })
  }
}

# In this order: network and storage, then what applications stand on, then the applications. Each waits for Synced and
# Healthy of all that it brings forth.
resource "gitops_application" "infra" {
  manifest = yamldecode(local.application_sets.infra)
  wait     = true
  timeout  = "15m"

  depends_on = [
    gitops_argocd.this,
    gitops_repository.this,
    kubernetes_secret_v1.sealed_secrets,
    kubernetes_secret_v1.proxmox_csi,
    kubernetes_secret_v1.auth,
    kubernetes_secret_v1.offsite_backup,
  ]
}

resource "gitops_application" "sets" {
  manifest = yamldecode(local.application_sets.sets)
  wait     = true
  timeout  = "15m"

  depends_on = [gitops_application.infra]
}

resource "gitops_application" "apps" {
  manifest = yamldecode(local.application_sets.apps)
  wait     = true
  timeout  = "15m"

  depends_on = [gitops_application.sets]
}
