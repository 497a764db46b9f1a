# From a pinned manifest; it waits until every workload is available.
resource "gitops_argocd" "this" {
  namespace        = "argocd"
  create_namespace = true
  manifest_file    = var.manifest
  sha256           = filesha256(var.manifest)

  lifecycle {
    precondition {
      condition     = var.cluster != ""
      error_message = "The cluster has no node yet."
    }
  }
}

resource "gitops_repository" "this" {
  # Public repositories need none.
  count = var.git.username == null ? 0 : 1

  name     = "homelab"
  url      = var.git.url
  username = var.git.username
  password = var.git.password

  depends_on = [gitops_argocd.this]
}
