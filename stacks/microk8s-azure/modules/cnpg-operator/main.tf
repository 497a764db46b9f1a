# CloudNativePG and its Barman plugin, with the definitions that databases are made of.
resource "gitops_application" "this" {
  name            = "cnpg-operator"
  repo_url        = var.repo_url
  path            = "infrastructure/cnpg-operator"
  target_revision = var.revision

  destination = {
    namespace = "cnpg-system"
  }

  sync_policy = {
    automated    = true
    prune        = true
    self_heal    = true
    sync_options = ["CreateNamespace=true", "ServerSideApply=true"]
  }
}
