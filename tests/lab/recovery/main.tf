# Three control planes and a worker as talos_machine, of a later release than the image that their disks are made of.
terraform {
  required_providers {
    proxmox = { source = "bpg/proxmox" }
    talos   = { source = "siderolabs/talos" }
  }
}

locals {
  hosts   = ["abel", "cantor", "euclid"]
  planes  = { for n in range(3) : "cp-${n}" => { n = n, host = local.hosts[n], address = "10.25.150.${11 + n}" } }
  workers = { for n in range(1) : "work-${n}" => { n = 20 + n, host = local.hosts[n % 3], address = "10.25.150.${31 + n}" } }
  nodes   = merge(local.planes, local.workers)
  image   = "factory.talos.dev/nocloud-installer/${talos_image_factory_schematic.this.id}:v1.13.9"
  vip     = "10.25.150.10"
}

resource "talos_image_factory_schematic" "this" {
  schematic = yamlencode({ customization = { extraKernelArgs = ["net.ifnames=0"], systemExtensions = { officialExtensions = ["siderolabs/qemu-guest-agent"] } } })
}

resource "proxmox_download_file" "image" {
  for_each     = toset(local.hosts)
  node_name    = each.key
  datastore_id = "local"
  content_type = "import"
  file_name    = "talos.qcow2"
  url          = "https://factory.talos.dev/image/${talos_image_factory_schematic.this.id}/v1.12.11/nocloud-amd64.qcow2"
  overwrite    = false
}

resource "proxmox_virtual_environment_vm" "node" {
  for_each        = local.nodes
  node_name       = each.value.host
  vm_id           = 8000 + each.value.n
  name            = each.key
  stop_on_destroy = true
  boot_order      = ["scsi0"]
  agent {
    enabled = true
  }
  memory {
    dedicated = 1024
  }
  network_device {
    bridge = "vmbr0"
  }
  disk {
    interface    = "scsi0"
    datastore_id = "local-lvm"
    import_from  = proxmox_download_file.image[each.value.host].id
    size         = 20
  }
  initialization {
    datastore_id = "local-lvm"
    ip_config {
      ipv4 {
        address = "${each.value.address}/24"
        gateway = "10.25.150.1"
      }
    }
  }
}

resource "talos_machine_secrets" "this" {
  talos_version = "v1.12.11"
}

data "talos_machine_configuration" "this" {
  for_each           = local.nodes
  cluster_name       = "lab"
  cluster_endpoint   = "https://${local.vip}:6443"
  machine_type       = startswith(each.key, "cp") ? "controlplane" : "worker"
  machine_secrets    = talos_machine_secrets.this.machine_secrets
  talos_version      = "v1.12.11"
  kubernetes_version = "v1.35.0"
  config_patches = concat(
    [yamlencode({ apiVersion = "v1alpha1", kind = "HostnameConfig", auto = "off", hostname = each.key })],
    startswith(each.key, "cp") ? [yamlencode({ machine = { network = { interfaces = [{ interface = "eth0", vip = { ip = local.vip } }] } } })] : [],
  )
}

ephemeral "talos_cluster_kubeconfig" "this" {
  cluster_name    = "lab"
  endpoint        = "https://${local.vip}:6443"
  machine_secrets = talos_machine_secrets.this.machine_secrets
}

resource "talos_machine" "this" {
  for_each              = local.nodes
  node                  = each.value.address
  client_configuration  = talos_machine_secrets.this.client_configuration
  machine_configuration = data.talos_machine_configuration.this[each.key].machine_configuration
  image                 = local.image
  kubeconfig_wo         = ephemeral.talos_cluster_kubeconfig.this.kubeconfig_raw
  depends_on            = [proxmox_virtual_environment_vm.node]
  lifecycle {
    rollout {
      max_in_flight = 4
      # While the cluster is recovered nothing answers there.
      health_check "local-exec" {
        command  = "curl -ksS --max-time 5 https://${local.vip}:6443/livez"
        interval = "1s"
        timeout  = "60s"
      }
    }
  }
}

resource "talos_cluster" "this" {
  node                 = talos_machine.this["cp-0"].node
  control_plane_nodes  = [for plane in local.planes : plane.address]
  client_configuration = talos_machine_secrets.this.client_configuration
  kubernetes_version   = "v1.35.0"
  depends_on           = [talos_machine.this]
}

resource "talos_etcd_snapshot" "this" {
  node                 = talos_cluster.this.node
  client_configuration = talos_machine_secrets.this.client_configuration
  directory            = "${path.root}/snapshots"
}
