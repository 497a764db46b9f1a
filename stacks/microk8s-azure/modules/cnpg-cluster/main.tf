resource "kubernetes_namespace_v1" "this" {
  metadata {
    name = "cnpg-${var.environment}"
    labels = {
      environment = var.environment
      # Known when the vault can be read.
      "homelab/secret-store" = var.secret_store
    }
  }
}

# Where a database archives to. Not in Git, because the storage accounts' names are made up by the apply; the access is in the
# vault, from which an ExternalSecret of Git fetches it.
resource "kubernetes_manifest" "object_store" {
  for_each = toset(var.apps)

  manifest = {
    apiVersion = "barmancloud.cnpg.io/v1"
    kind       = "ObjectStore"
    metadata = {
      name      = "${each.key}-db-backup"
      namespace = kubernetes_namespace_v1.this.metadata[0].name
    }
    spec = {
      retentionPolicy = "${var.retention_days}d"
      configuration = {
        destinationPath = var.containers[each.key]
        azureCredentials = {
          storageAccount  = { name = "${each.key}-db-blob", key = "account" }
          storageSasToken = { name = "${each.key}-db-blob", key = "sas" }
        }
        wal = {
          compression = "gzip"
        }
        data = {
          compression = "gzip"
        }
      }
    }
  }
}

# The databases themselves, their credentials and schedules.
resource "gitops_application" "this" {
  name            = "databases-${var.environment}"
  repo_url        = var.repo_url
  path            = "databases/overlays/${var.environment}"
  target_revision = var.revision

  destination = {
    namespace = kubernetes_namespace_v1.this.metadata[0].name
  }

  sync_policy = {
    automated = true
    # A database that vanishes from Git by mistake is not a database that may be deleted.
    prune        = false
    self_heal    = true
    sync_options = ["ServerSideApply=true"]
  }

  depends_on = [kubernetes_manifest.object_store]
}
