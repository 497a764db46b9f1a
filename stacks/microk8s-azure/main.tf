data "azurerm_client_config" "current" {}

locals {
  # Where applications run.
  stages = { for name, environment in var.environments : name => environment if length(environment.apps) > 0 }

  tags = { platform = var.prefix, managed-by = "stead" }
}

# Names of vaults and storage accounts are unique in the world.
resource "random_string" "suffix" {
  length  = 5
  special = false
  upper   = false
}

# 1. The cluster.
resource "microk8s_node" "this" {
  host    = var.node.address
  channel = var.node.channel
  addons  = var.node.addons

  # Replaces the snap's own at the installation, so DNS is listed here.
  launch_configuration = templatefile("${path.module}/manifests/launch.yaml.tftpl", {
    names = [var.node.name, var.node.address]
  })
}

resource "microk8s_kubeconfig" "this" {
  # The node's id, so that it is installed first.
  host = microk8s_node.this.id
}

resource "local_sensitive_file" "kubeconfig" {
  filename        = "${path.root}/output/kubeconfig"
  content         = microk8s_kubeconfig.this.kubeconfig
  file_permission = "0600"
}

# 2. A vault for each environment, and its secrets.
module "azure_kv" {
  source   = "./modules/azure-kv"
  for_each = var.environments

  environment    = each.key
  name           = "kv-${var.prefix}-${each.key}-${random_string.suffix.result}"
  resource_group = "rg-${var.prefix}-${each.key}"
  location       = var.location
  tenant_id      = data.azurerm_client_config.current.tenant_id
  writer         = data.azurerm_client_config.current.object_id
  reader         = var.external_secrets.object_id
  retention_days = each.value.retention_days
  purge_guard    = each.value.purge_guard
  apps           = { for app in each.value.apps : app => var.apps[app] }
  tags           = merge(local.tags, { environment = each.key })
}

# 3. Where the databases' backups go.
module "azure_storage" {
  source   = "./modules/azure-storage"
  for_each = local.stages

  name           = "st${var.prefix}${each.key}${random_string.suffix.result}"
  resource_group = module.azure_kv[each.key].resource_group
  location       = var.location
  replication    = each.value.replication
  sas_hours      = var.sas_hours
  apps           = each.value.apps
  key_vault_id   = module.azure_kv[each.key].key_vault_id
  tags           = merge(local.tags, { environment = each.key })
}

# 4. Argo CD.
module "argocd" {
  source = "./modules/argocd"

  cluster  = microk8s_node.this.name
  manifest = "${path.module}/manifests/argocd.yaml"
  git      = merge(var.git, { password = var.git_password })
}

# 5. The operators, by Git: what their objects are made of must be there before the first object.
module "cnpg_operator" {
  source = "./modules/cnpg-operator"

  repo_url = module.argocd.repo_url
  revision = var.git.revision
}

module "external_secrets" {
  source = "./modules/external-secrets"

  cluster   = microk8s_node.this.name
  repo_url  = module.argocd.repo_url
  revision  = var.git.revision
  tenant_id = data.azurerm_client_config.current.tenant_id
  client_id = var.external_secrets.client_id
  vaults    = { for name, vault in module.azure_kv : name => vault.vault_uri }

  client_secret = var.external_secrets_client_secret
}

# 6. The databases of each environment.
module "cnpg_cluster" {
  source   = "./modules/cnpg-cluster"
  for_each = local.stages

  environment    = each.key
  apps           = each.value.apps
  containers     = module.azure_storage[each.key].containers
  retention_days = each.value.retention_days
  repo_url       = module.cnpg_operator.repo_url
  revision       = each.value.revision
  secret_store   = module.external_secrets.stores[each.key]
}

# 7. The applications: every gitops/apps/APP/overlays/ENVIRONMENT.
resource "gitops_application" "apps" {
  manifest = yamldecode(templatefile("${path.module}/manifests/apps.yaml.tftpl", {
    url          = module.argocd.repo_url
    environments = { for name, environment in local.stages : name => environment.revision }
  }))
  timeout = "20m"

  depends_on = [module.cnpg_cluster]
}
