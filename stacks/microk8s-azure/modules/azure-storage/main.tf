locals {
  apps = toset(var.apps)
}

resource "azurerm_storage_account" "this" {
  name                            = var.name
  resource_group_name             = var.resource_group
  location                        = var.location
  account_tier                    = "Standard"
  account_replication_type        = var.replication
  min_tls_version                 = "TLS1_2"
  allow_nested_items_to_be_public = false
  tags                            = var.tags
}

resource "azurerm_storage_container" "db" {
  for_each = local.apps

  name                  = "${each.key}-db-clean"
  storage_account_id    = azurerm_storage_account.this.id
  container_access_type = "private"
}

# The day on which access was granted; -replace it to grant anew.
resource "time_static" "granted" {}

# Each database reaches its own container and no other. Deleting is allowed: Barman removes what is past its retention.
data "azurerm_storage_account_blob_container_sas" "db" {
  for_each = local.apps

  connection_string = azurerm_storage_account.this.primary_connection_string
  container_name    = azurerm_storage_container.db[each.key].name
  https_only        = true
  start             = time_static.granted.rfc3339
  expiry            = timeadd(time_static.granted.rfc3339, "${var.sas_hours}h")

  permissions {
    read   = true
    add    = true
    create = true
    write  = true
    delete = true
    list   = true
  }
}

resource "azurerm_key_vault_secret" "sas" {
  for_each = local.apps

  name         = "${each.key}-blob-sas"
  key_vault_id = var.key_vault_id
  # Barman wants it without the question mark.
  value           = trimprefix(data.azurerm_storage_account_blob_container_sas.db[each.key].sas, "?")
  expiration_date = timeadd(time_static.granted.rfc3339, "${var.sas_hours}h")
  tags            = var.tags
}

resource "azurerm_key_vault_secret" "account" {
  name         = "storage-account"
  key_vault_id = var.key_vault_id
  value        = azurerm_storage_account.this.name
  tags         = var.tags
}
