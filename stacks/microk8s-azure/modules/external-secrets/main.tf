resource "kubernetes_namespace_v1" "this" {
  metadata {
    name = "external-secrets"
    labels = {
      # The cluster that this is for; only a node that is there has a name.
      "homelab/node" = var.cluster
    }
  }
}

# The one secret that cannot come from a vault: what opens the vaults.
resource "kubernetes_secret_v1" "azure" {
  metadata {
    name      = "azure-credentials"
    namespace = kubernetes_namespace_v1.this.metadata[0].name
  }

  data = {
    "client-id"     = var.client_id
    "client-secret" = var.client_secret
  }
}

resource "gitops_application" "this" {
  name            = "external-secrets"
  repo_url        = var.repo_url
  path            = "infrastructure/external-secrets"
  target_revision = var.revision

  destination = {
    namespace = kubernetes_namespace_v1.this.metadata[0].name
  }

  sync_policy = {
    automated    = true
    prune        = true
    self_heal    = true
    sync_options = ["ServerSideApply=true"]
  }
}

# One store for each vault. Not in Git, because the vaults' names are made up by the apply.
resource "kubernetes_manifest" "store" {
  for_each = var.vaults

  manifest = {
    apiVersion = "external-secrets.io/v1"
    kind       = "ClusterSecretStore"
    metadata = {
      name = "azure-${each.key}"
    }
    spec = {
      # An environment's secrets are for its own namespaces.
      conditions = [{ namespaceRegexes = ["-${each.key}$"] }]
      provider = {
        azurekv = {
          authType = "ServicePrincipal"
          tenantId = var.tenant_id
          vaultUrl = each.value
          authSecretRef = {
            for field, key in { clientId = "client-id", clientSecret = "client-secret" } : field => {
              name                       = kubernetes_secret_v1.azure.metadata[0].name
              namespace                  = kubernetes_secret_v1.azure.metadata[0].namespace
              key                        = key
            }
          }
        }
      }
    }
  }

  depends_on = [gitops_application.this]
}
