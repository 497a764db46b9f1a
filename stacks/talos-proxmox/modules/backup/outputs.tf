output "key_vault_id" {
  value = azurerm_key_vault.this.id

  # Writing needs the role, not only the vault.
  depends_on = [azurerm_role_assignment.secrets_officer]
}

output "vault_uri" {
  value = azurerm_key_vault.this.vault_uri
}

output "target" {
  description = "Where copies of dumps go."
  sensitive   = true
  value = {
    url = "${azurerm_storage_account.this.primary_blob_endpoint}${azurerm_storage_container.backups.name}"
    sas = data.azurerm_storage_account_blob_container_sas.backups.sas
  }
}
