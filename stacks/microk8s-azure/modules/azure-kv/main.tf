locals {
  # Everything made up, by its name in the vault. The user of a database is not made up, but kept beside its password.
  generated = merge(
    { for app in keys(var.apps) : "${app}-db-password" => 32 },
    [for app, settings in var.apps : { for name, length in settings.secrets : "${app}-${name}" => length }]...
  )
  given = { for app, settings in var.apps : "${app}-db-username" => coalesce(settings.database, app) }
}

resource "azurerm_resource_group" "this" {
  name     = var.resource_group
  location = var.location
  tags     = var.tags
}

resource "azurerm_key_vault" "this" {
  name                       = var.name
  resource_group_name        = azurerm_resource_group.this.name
  location                   = azurerm_resource_group.this.location
  tenant_id                  = var.tenant_id
  sku_name                   = "standard"
  rbac_authorization_enabled = true
  soft_delete_retention_days = max(7, var.retention_days)
  purge_protection_enabled   = var.purge_guard
  tags                       = var.tags
}

# With RBAC even the owner of a vault may not write secrets until someone says so.
resource "azurerm_role_assignment" "writer" {
  scope                = azurerm_key_vault.this.id
  role_definition_name = "Key Vault Secrets Officer"
  principal_id         = var.writer
}

# External Secrets reads, and no more.
resource "azurerm_role_assignment" "reader" {
  scope                = azurerm_key_vault.this.id
  role_definition_name = "Key Vault Secrets User"
  principal_id         = var.reader
  principal_type       = "ServicePrincipal"
}

resource "random_password" "this" {
  for_each = local.generated

  length  = each.value
  special = false
}

# Write-only: the vault holds the value, and the plan never shows it. A rotation: -replace the password, raise the version.
resource "azurerm_key_vault_secret" "generated" {
  for_each = local.generated

  name             = each.key
  key_vault_id     = azurerm_key_vault.this.id
  value_wo         = random_password.this[each.key].result
  value_wo_version = var.secrets_version
  tags             = var.tags

  depends_on = [azurerm_role_assignment.writer]
}

resource "azurerm_key_vault_secret" "given" {
  for_each = local.given

  name         = each.key
  key_vault_id = azurerm_key_vault.this.id
  value        = each.value
  tags         = var.tags

  depends_on = [azurerm_role_assignment.writer]
}
