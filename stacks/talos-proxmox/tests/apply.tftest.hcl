# What an apply hands on from one module to the next, with providers that make nothing.

mock_provider "proxmox" {}
mock_provider "truenas" {}
mock_provider "azurerm" {}
mock_provider "kubernetes" {}
mock_provider "gitops" {}
mock_provider "local" {}
mock_provider "tls" {}

mock_provider "talos" {
  mock_resource "talos_cluster_kubeconfig" {
    defaults = {
      kubeconfig_raw = "the kubeconfig"
      kubernetes_client_configuration = {
        host               = "https://10.25.150.10:6443"
        ca_certificate     = "Y2E="
        client_certificate = "Y2VydGlmaWNhdGU="
        client_key         = "a2V5"
      }
    }
  }
}

variables {
  proxmox_csi = {
    token_id     = "csi@pve!test"
    token_secret = "secret"
  }
}

run "built" {
  assert {
    condition     = nonsensitive(output.kubeconfig) == "the kubeconfig"
    error_message = "The kubeconfig is not the cluster's."
  }
  assert {
    condition     = local_sensitive_file.kubeconfig.file_permission == "0600" && local_sensitive_file.talosconfig.file_permission == "0600"
    error_message = "Files that open the cluster are for their owner alone."
  }
  assert {
    condition     = join(" ", keys(output.volumes)) == "backups dynamic media"
    error_message = "Each volume has a path."
  }
}

run "one_control_plane_alone" {
  command = plan

  variables {
    nodes = {
      "ctrl-00" = { host = "abel", role = "controlplane", address = "10.25.150.11", vm_id = 8011, memory = 2480 }
    }
  }

  assert {
    condition     = length(local.workers) == 0 && length(local.images) == 1
    error_message = "Only one control plane is left."
  }
}
