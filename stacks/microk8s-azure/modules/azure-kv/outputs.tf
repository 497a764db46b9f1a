output "resource_group" {
  value = azurerm_resource_group.this.name
}

output "key_vault_id" {
  value = azurerm_key_vault.this.id

  # Writing needs the role, not only the vault.
  depends_on = [azurerm_role_assignment.writer]
}

output "vault_uri" {
  value = azurerm_key_vault.this.vault_uri

  depends_on = [azurerm_role_assignment.reader]
}

output "secret_names" {
  value = sort(concat(keys(azurerm_key_vault_secret.generated), keys(azurerm_key_vault_secret.given)))
}
