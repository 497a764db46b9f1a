output "account" {
  value = azurerm_storage_account.this.name
}

output "containers" {
  description = "Addresses by application."
  value = {
    for app, container in azurerm_storage_container.db :
    app => "${azurerm_storage_account.this.primary_blob_endpoint}${container.name}"
  }

  # A database that archives at once must find its access in the vault.
  depends_on = [azurerm_key_vault_secret.sas]
}
