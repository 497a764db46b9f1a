data "azurerm_client_config" "current" {}

# Names of vaults and storage accounts are unique in the world.
resource "random_string" "suffix" {
  length  = 6
  special = false
  upper   = false
}

locals {
  # Vault: 3 to 24 characters; account: lower-case letters and digits only.
  vault   = substr("kv-${var.name}-${random_string.suffix.result}", 0, 24)
  account = substr("st${replace(var.name, "/[^a-z0-9]/", "")}${random_string.suffix.result}", 0, 24)
}

resource "azurerm_resource_group" "this" {
  name     = "rg-${var.name}-backup"
  location = var.location
  tags     = var.tags
}

resource "azurerm_key_vault" "this" {
  name                       = local.vault
  resource_group_name        = azurerm_resource_group.this.name
  location                   = azurerm_resource_group.this.location
  tenant_id                  = data.azurerm_client_config.current.tenant_id
  sku_name                   = "standard"
  rbac_authorization_enabled = true
  soft_delete_retention_days = var.retention_days
  purge_protection_enabled   = false
  tags                       = var.tags
}

# With RBAC even the owner of a vault may not write secrets until someone says so.
resource "azurerm_role_assignment" "secrets_officer" {
  scope                = azurerm_key_vault.this.id
  role_definition_name = "Key Vault Secrets Officer"
  principal_id         = data.azurerm_client_config.current.object_id
}

resource "azurerm_storage_account" "this" {
  name                            = local.account
  resource_group_name             = azurerm_resource_group.this.name
  location                        = azurerm_resource_group.this.location
  account_tier                    = "Standard"
  account_replication_type        = "LRS"
  min_tls_version                 = "TLS1_2"
  allow_nested_items_to_be_public = false
  tags                            = var.tags
}

resource "azurerm_storage_container" "backups" {
  name                  = "backups"
  storage_account_id    = azurerm_storage_account.this.id
  container_access_type = "private"
}

resource "time_static" "granted" {}

# What the cluster gets: this container only, no deletion.
data "azurerm_storage_account_blob_container_sas" "backups" {
  connection_string = azurerm_storage_account.this.primary_connection_string
  container_name    = azurerm_storage_container.backups.name
  https_only        = true
  start             = time_static.granted.rfc3339
  expiry            = timeadd(time_static.granted.rfc3339, "${var.sas_hours}h")

  permissions {
    read   = true
    add    = true
    create = true
    write  = true
    delete = false
    list   = true
  }
}

resource "azurerm_key_vault_secret" "container_sas" {
  name            = "backups-container-sas"
  key_vault_id    = azurerm_key_vault.this.id
  value           = data.azurerm_storage_account_blob_container_sas.backups.sas
  expiration_date = timeadd(time_static.granted.rfc3339, "${var.sas_hours}h")

  depends_on = [azurerm_role_assignment.secrets_officer]
}
