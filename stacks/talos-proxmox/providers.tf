# Credentials come from the environment, so that none lies in a file:
#   PROXMOX_VE_API_TOKEN, TRUENAS_USERNAME and TRUENAS_API_KEY,
#   ARM_TENANT_ID, ARM_SUBSCRIPTION_ID, ARM_CLIENT_ID and ARM_CLIENT_SECRET.

provider "proxmox" {
  endpoint = var.proxmox_endpoint
  # Without SSH: the image is of content type "import", and what cloud-init needs is set through the API.
}

provider "talos" {}

provider "truenas" {
  endpoint = var.truenas.endpoint
}

provider "azurerm" {
  # Nothing but what this stack uses has to be registered, and it is by the time a subscription is used.
  resource_provider_registrations = "none"

  features {
    key_vault {
      purge_soft_delete_on_destroy    = true
      recover_soft_deleted_key_vaults = true
      recover_soft_deleted_secrets    = true
    }
  }
}

# The cluster does not exist at the first plan: what these two manage is planned from schemas, and settled during the apply.
provider "kubernetes" {
  host                   = module.talos.client.host
  cluster_ca_certificate = module.talos.client.ca_certificate
  client_certificate     = module.talos.client.client_certificate
  client_key             = module.talos.client.client_key
}

provider "gitops" {
  host                   = module.talos.client.host
  cluster_ca_certificate = module.talos.client.ca_certificate
  client_certificate     = module.talos.client.client_certificate
  client_key             = module.talos.client.client_key
}
