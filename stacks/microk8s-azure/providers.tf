# Azure's credentials come from the environment: ARM_TENANT_ID, ARM_SUBSCRIPTION_ID, ARM_CLIENT_ID and ARM_CLIENT_SECRET
# (or a login by the Azure CLI).

provider "microk8s" {
  user                = var.ssh.user
  password            = var.ssh.password
  private_key_file    = var.ssh.private_key_file
  known_hosts_file    = var.ssh.known_hosts_file
  accept_new_host_key = var.ssh.accept_new_host_key
}

provider "azurerm" {
  resource_provider_registrations = "none"

  features {
    key_vault {
      purge_soft_delete_on_destroy    = true
      recover_soft_deleted_key_vaults = true
      recover_soft_deleted_secrets    = true
    }
  }
}

# Known only after MicroK8s is installed: what these two manage is planned from schemas, and settled during the apply.
provider "kubernetes" {
  host                   = microk8s_kubeconfig.this.endpoint
  cluster_ca_certificate = microk8s_kubeconfig.this.cluster_ca_certificate
  client_certificate     = microk8s_kubeconfig.this.client_certificate
  client_key             = microk8s_kubeconfig.this.client_key
  token                  = microk8s_kubeconfig.this.token
}

provider "gitops" {
  host                   = microk8s_kubeconfig.this.endpoint
  cluster_ca_certificate = microk8s_kubeconfig.this.cluster_ca_certificate
  client_certificate     = microk8s_kubeconfig.this.client_certificate
  client_key             = microk8s_kubeconfig.this.client_key
  token                  = microk8s_kubeconfig.this.token
}
