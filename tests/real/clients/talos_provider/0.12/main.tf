# A cluster as the 0.12 line makes it: machines that have a release of Talos, and a cluster that has one of Kubernetes.
terraform {
  required_providers {
    talos = { source = "siderolabs/talos" }
  }
}

variable "talos" {
  default = "v1.13.9"
}

variable "kubernetes" {
  default = "v1.36.3"
}

locals {
  contract  = "v1.13.9"
  planes    = { cp-1 = "10.25.150.11", cp-2 = "10.25.150.12", cp-3 = "10.25.150.13" }
  workers   = { work-1 = "10.25.150.21" }
  nodes     = merge(local.planes, local.workers)
  client    = talos_machine_secrets.this.client_configuration
  installer = replace(data.talos_image_factory_urls.this.urls.installer, local.contract, var.talos)
}

resource "talos_image_factory_schematic" "this" {
  schematic = yamlencode({ customization = { systemExtensions = { officialExtensions = ["siderolabs/qemu-guest-agent"] } } })
}

data "talos_image_factory_urls" "this" {
  talos_version = local.contract
  schematic_id  = talos_image_factory_schematic.this.id
  platform      = "nocloud"
}

resource "talos_machine_secrets" "this" {
  talos_version = local.contract
}

data "talos_machine_configuration" "this" {
  for_each           = local.nodes
  cluster_name       = "demo"
  cluster_endpoint   = "https://10.25.150.10:6443"
  machine_type       = contains(keys(local.planes), each.key) ? "controlplane" : "worker"
  machine_secrets    = talos_machine_secrets.this.machine_secrets
  talos_version      = local.contract
  kubernetes_version = "1.36.3"
  docs               = false
  examples           = false
  config_patches = concat(
    # What the provider puts there is another one in each of its releases.
    [yamlencode({ machine = { install = { disk = "/dev/sda", image = data.talos_image_factory_urls.this.urls.installer } } })],
    [yamlencode({ apiVersion = "v1alpha1", kind = "HostnameConfig", auto = "off", hostname = each.key })],
    contains(keys(local.planes), each.key) ? [yamlencode({ machine = { network = { interfaces = [{ interface = "eth0", dhcp = true, vip = { ip = "10.25.150.10" } }] } } })] : [],
  )
}

resource "talos_machine" "plane" {
  for_each                        = local.planes
  node                            = each.value
  client_configuration            = local.client
  machine_configuration           = data.talos_machine_configuration.this[each.key].machine_configuration
  image                           = local.installer
  drain_on_upgrade                = false
  ignore_kubernetes_upgrade_drift = true
}

resource "talos_machine" "worker" {
  for_each                        = local.workers
  node                            = each.value
  client_configuration            = local.client
  machine_configuration           = data.talos_machine_configuration.this[each.key].machine_configuration
  image                           = local.installer
  kubeconfig                      = talos_cluster_kubeconfig.this.kubeconfig_raw
  ignore_kubernetes_upgrade_drift = true
  on_destroy                      = { reset = true, graceful = false, reboot = true }
}

resource "talos_cluster" "this" {
  node                 = local.planes.cp-1
  control_plane_nodes  = [for machine in talos_machine.plane : machine.node]
  client_configuration = local.client
  kubernetes_version   = var.kubernetes
}

resource "talos_cluster_kubeconfig" "this" {
  node                 = local.planes.cp-1
  client_configuration = local.client
  depends_on           = [talos_cluster.this]
}

output "kubeconfig" {
  value     = talos_cluster_kubeconfig.this.kubeconfig_raw
  sensitive = true
}
