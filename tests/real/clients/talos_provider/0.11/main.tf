# A cluster as the 0.11 line makes it: every type that it has, at three control planes and a worker that wait in maintenance mode.
terraform {
  required_providers {
    talos = { source = "siderolabs/talos" }
  }
}

variable "sysctl" {
  default = "10"
}

locals {
  talos      = "v1.13.9"
  kubernetes = "1.36.3"
  planes     = { cp-1 = "10.25.150.11", cp-2 = "10.25.150.12", cp-3 = "10.25.150.13" }
  workers    = { work-1 = "10.25.150.21" }
  endpoint   = "https://10.25.150.10:6443"
  client     = talos_machine_secrets.this.client_configuration
}

resource "talos_image_factory_schematic" "this" {
  schematic = yamlencode({ customization = { systemExtensions = { officialExtensions = ["siderolabs/qemu-guest-agent"] } } })
}

data "talos_image_factory_versions" "stable" {
  filters = { stable_versions_only = true }
}

data "talos_image_factory_extensions_versions" "agent" {
  talos_version = local.talos
  filters       = { names = ["qemu-guest-agent"] }
}

data "talos_image_factory_overlays_versions" "all" {
  talos_version = local.talos
}

data "talos_image_factory_urls" "this" {
  talos_version = local.talos
  schematic_id  = talos_image_factory_schematic.this.id
  platform      = "nocloud"
}

resource "talos_machine_secrets" "this" {
  talos_version = local.talos
}

data "talos_client_configuration" "this" {
  cluster_name         = "demo"
  client_configuration = local.client
  endpoints            = values(local.planes)
  nodes                = values(local.planes)
}

data "talos_machine_configuration" "this" {
  for_each           = { plane = "controlplane", worker = "worker" }
  cluster_name       = "demo"
  cluster_endpoint   = local.endpoint
  machine_type       = each.value
  machine_secrets    = talos_machine_secrets.this.machine_secrets
  talos_version      = local.talos
  kubernetes_version = local.kubernetes
  docs               = false
  examples           = false
  config_patches = [
    # What the provider puts there is another one in each of its releases.
    yamlencode({ machine = { install = { disk = "/dev/sda", image = data.talos_image_factory_urls.this.urls.installer } } }),
    yamlencode({ machine = { sysctls = { "vm.swappiness" = var.sysctl } } }),
  ]
}

resource "talos_machine_configuration_apply" "plane" {
  for_each                    = local.planes
  node                        = each.value
  client_configuration        = local.client
  machine_configuration_input = data.talos_machine_configuration.this["plane"].machine_configuration
  config_patches = [
    yamlencode({ machine = { network = { interfaces = [{ interface = "eth0", dhcp = true, vip = { ip = "10.25.150.10" } }] } } }),
    yamlencode({ apiVersion = "v1alpha1", kind = "HostnameConfig", auto = "off", hostname = each.key }),
  ]
}

resource "talos_machine_configuration_apply" "worker" {
  for_each                    = local.workers
  node                        = each.value
  apply_mode                  = "staged_if_needing_reboot"
  client_configuration        = local.client
  machine_configuration_input = data.talos_machine_configuration.this["worker"].machine_configuration
  config_patches              = [yamlencode({ apiVersion = "v1alpha1", kind = "HostnameConfig", auto = "off", hostname = each.key })]
  on_destroy                  = { reset = true, graceful = false, reboot = true }
}

resource "talos_machine_bootstrap" "this" {
  node                 = local.planes.cp-1
  client_configuration = local.client
  depends_on           = [talos_machine_configuration_apply.plane]
}

resource "talos_cluster_kubeconfig" "this" {
  node                 = local.planes.cp-1
  client_configuration = local.client
  depends_on           = [talos_machine_bootstrap.this]
}

data "talos_cluster_health" "this" {
  client_configuration = local.client
  # One: behind a proxy, as in the lab, grpc-go 1.80 takes a list of them for a server's name.
  endpoints           = [local.planes.cp-1]
  control_plane_nodes = values(local.planes)
  worker_nodes        = values(local.workers)
  timeouts            = { read = "3m" }
  depends_on          = [talos_machine_bootstrap.this, talos_machine_configuration_apply.worker]
}

data "talos_machine_disks" "large" {
  node                 = local.workers.work-1
  client_configuration = local.client
  selector             = "disk.size > 1u * GB && !disk.readonly"
  depends_on           = [talos_machine_configuration_apply.worker]
}

ephemeral "talos_client_configuration" "this" {
  cluster_name    = "demo"
  machine_secrets = talos_machine_secrets.this.machine_secrets
}

ephemeral "talos_cluster_kubeconfig" "this" {
  cluster_name    = "demo"
  endpoint        = local.endpoint
  machine_secrets = talos_machine_secrets.this.machine_secrets
}

output "schematic" {
  value = talos_image_factory_schematic.this.id
}

output "urls" {
  value = data.talos_image_factory_urls.this.urls
}

output "newest" {
  value = contains(data.talos_image_factory_versions.stable.talos_versions, local.talos)
}

output "extensions" {
  value = [for e in data.talos_image_factory_extensions_versions.agent.extensions_info : e.name]
}

output "overlays" {
  value = length(data.talos_image_factory_overlays_versions.all.overlays_info)
}

output "disks" {
  value = [for d in data.talos_machine_disks.large.disks : d.dev_path]
}

output "kubeconfig" {
  value     = talos_cluster_kubeconfig.this.kubeconfig_raw
  sensitive = true
}

output "talosconfig" {
  value     = data.talos_client_configuration.this.talos_config
  sensitive = true
}
