# What is planned, without a machine, an appliance or a cloud: `stead test`.

mock_provider "proxmox" {}
mock_provider "talos" {}
mock_provider "truenas" {}
mock_provider "azurerm" {}
mock_provider "kubernetes" {}
mock_provider "gitops" {}

variables {
  proxmox_csi = {
    token_id     = "csi@pve!test"
    token_secret = "secret"
  }
}

run "the_default_cluster" {
  command = plan

  assert {
    condition     = length(local.control_planes) == 3 && length(local.workers) == 2
    error_message = "The default is three control planes and two workers."
  }
  assert {
    condition     = join(" ", sort(keys(local.images))) == "abel-gpu abel-plain cantor-plain euclid-plain"
    error_message = "Each host downloads the images that its machines boot, and no other."
  }
  assert {
    condition     = output.endpoint == "https://10.25.150.10:6443"
    error_message = "Kubernetes answers at the VIP."
  }
  assert {
    condition     = output.nodes["work-00"] == "10.25.150.31"
    error_message = "A node has the address that it was given."
  }
  assert {
    condition     = length(azurerm_key_vault_secret.sealed_secrets) == 2
    error_message = "The key that opens every SealedSecret is kept, with its certificate."
  }
}

run "without_backups_nothing_is_in_azure" {
  command = plan

  variables {
    backup = null
  }

  assert {
    condition     = length(module.backup) == 0 && length(azurerm_key_vault_secret.sealed_secrets) == 0 && output.vault == null
    error_message = "There is still something for Azure."
  }
}

run "etcd_needs_an_odd_number" {
  command = plan

  variables {
    nodes = {
      one = { host = "abel", role = "controlplane", address = "10.25.150.11", vm_id = 8011 }
      two = { host = "cantor", role = "controlplane", address = "10.25.150.12", vm_id = 8012 }
    }
  }

  expect_failures = [var.nodes]
}

run "addresses_are_used_once" {
  command = plan

  variables {
    nodes = {
      one = { host = "abel", role = "controlplane", address = "10.25.150.11", vm_id = 8011 }
      two = { host = "cantor", role = "worker", address = "10.25.150.11", vm_id = 8012 }
    }
  }

  expect_failures = [var.nodes]
}

run "versions_are_whole" {
  command = plan

  variables {
    cluster = {
      name               = "homelab"
      vip                = "10.25.150.10"
      gateway            = "10.25.150.1"
      network            = "10.25.150.0/24"
      talos_version      = "1.13"
      kubernetes_version = "v1.36.3"
    }
  }

  expect_failures = [var.cluster]
}
