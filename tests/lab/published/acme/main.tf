resource "proxmox_acme_account" "staging" {
  name      = "staging"
  contact   = "ann@lab.example"
  tos       = "https://letsencrypt.org/documents/LE-SA-v1.6-August-18-2025.pdf"
  directory = "https://acme-staging-v02.api.letsencrypt.org/directory"
}
resource "proxmox_acme_dns_plugin" "cloud" {
  plugin           = "cloud"
  api              = "cf"
  data             = { CF_Token = "secret", CF_Zone_ID = "z" }
  validation_delay = 60
}
resource "proxmox_acme_certificate" "abel" {
  node_name = "abel"
  account   = proxmox_acme_account.staging.name
  domains = [{
    domain = "abel.lab.example"
    plugin = proxmox_acme_dns_plugin.cloud.plugin
  }]
}
