locals {
  endpoint                = "https://${var.cluster.vip}:6443"
  control_planes          = { for name, node in var.nodes : name => node if node.role == "controlplane" }
  workers                 = { for name, node in var.nodes : name => node if node.role == "worker" }
  first                   = sort(keys(local.control_planes))[0]
  control_plane_addresses = [for name in sort(keys(local.control_planes)) : local.control_planes[name].address]
  worker_addresses        = [for name in sort(keys(local.workers)) : local.workers[name].address]

  # What every node gets.
  common = {
    for name, node in var.nodes : name => templatefile("${path.module}/templates/common.yaml.tftpl", {
      network    = var.cluster.network
      installer  = node.installer
      labels     = node.labels
      cert_sans  = distinct([var.cluster.vip, "api.${var.cluster.domain}"])
      nameserver = var.cluster.dns
    })
  }

  # The generated document says `auto: stable`, which excludes a name of one's own.
  hostname = {
    for name, node in var.nodes : name => yamlencode({
      apiVersion = "v1alpha1"
      kind       = "HostnameConfig"
      auto       = "off"
      hostname   = name
    })
  }

  control_plane = [
    templatefile("${path.module}/templates/control-plane.yaml.tftpl", { vip = var.cluster.vip }),
    # Cilium comes with the control plane itself: without a CNI no node becomes ready, and no Argo CD could install one.
    yamlencode({
      cluster = {
        inlineManifests = [{ name = "cilium", contents = var.cilium_manifest }]
      }
    }),
  ]

  gpu = [file("${path.module}/templates/gpu.yaml")]
}

resource "talos_machine_secrets" "this" {
  talos_version = var.cluster.talos_version

  lifecycle {
    # New secrets are a new cluster.
    ignore_changes = [talos_version]
  }
}

data "talos_client_configuration" "this" {
  cluster_name         = var.cluster.name
  client_configuration = talos_machine_secrets.this.client_configuration
  endpoints            = local.control_plane_addresses
  nodes                = [for name in sort(keys(var.nodes)) : var.nodes[name].address]
}

data "talos_machine_configuration" "this" {
  for_each = var.nodes

  cluster_name       = var.cluster.name
  cluster_endpoint   = local.endpoint
  machine_type       = each.value.role
  machine_secrets    = talos_machine_secrets.this.machine_secrets
  talos_version      = var.cluster.talos_version
  kubernetes_version = var.cluster.kubernetes_version
  config_patches = concat(
    [local.common[each.key], local.hostname[each.key]],
    each.value.role == "controlplane" ? local.control_plane : [],
    each.value.gpu ? local.gpu : [],
  )
}

resource "talos_machine_configuration_apply" "this" {
  for_each = var.nodes

  node                        = each.value.address
  client_configuration        = talos_machine_secrets.this.client_configuration
  machine_configuration_input = data.talos_machine_configuration.this[each.key].machine_configuration
}

# Once in a cluster's life, on one node: the others join by discovery.
resource "talos_machine_bootstrap" "this" {
  node                 = talos_machine_configuration_apply.this[local.first].node
  client_configuration = talos_machine_secrets.this.client_configuration
}

# What `stead recover` builds a lost control plane of.
resource "talos_etcd_snapshot" "this" {
  count = var.snapshots == null ? 0 : 1

  node                 = talos_machine_bootstrap.this.node
  client_configuration = talos_machine_secrets.this.client_configuration
  directory            = var.snapshots.azure_blob == null && var.snapshots.s3 == null ? var.snapshots.directory : null
  azure_blob           = var.snapshots.azure_blob
  s3                   = var.snapshots.s3
  every                = var.snapshots.every
  keep                 = var.snapshots.keep
}

data "talos_cluster_health" "this" {
  client_configuration = talos_machine_secrets.this.client_configuration
  endpoints            = local.control_plane_addresses
  control_plane_nodes  = local.control_plane_addresses
  worker_nodes         = local.worker_addresses

  timeouts = {
    read = "15m"
  }

  depends_on = [
    talos_machine_configuration_apply.this,
    talos_machine_bootstrap.this,
  ]
}

resource "talos_cluster_kubeconfig" "this" {
  node                 = talos_machine_bootstrap.this.node
  client_configuration = talos_machine_secrets.this.client_configuration
}
