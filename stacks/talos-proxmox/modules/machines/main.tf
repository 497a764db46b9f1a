locals {
  # Only mappings that a machine uses.
  used_gpus = { for name, gpu in var.gpus : name => gpu if contains(compact(values(var.nodes)[*].gpu), name) }
}

resource "proxmox_virtual_environment_hardware_mapping_pci" "gpu" {
  for_each = local.used_gpus

  name    = each.key
  comment = "Passed through to the cluster ${var.cluster}"
  map = [
    {
      node         = each.value.host
      path         = each.value.path
      id           = each.value.id
      subsystem_id = each.value.subsystem_id
      iommu_group  = each.value.iommu_group
    },
  ]
}

resource "proxmox_virtual_environment_vm" "this" {
  for_each = var.nodes

  node_name   = each.value.host
  vm_id       = each.value.vm_id
  name        = each.key
  description = each.value.role == "controlplane" ? "Talos control plane" : "Talos worker"
  tags        = sort(["k8s", "talos", each.value.role == "controlplane" ? "control-plane" : "worker"])
  on_boot     = true

  machine       = "q35"
  scsi_hardware = "virtio-scsi-single"
  bios          = "seabios"
  boot_order    = ["scsi0"]
  # Talos has no state that a shutdown by ACPI would save and a stop would lose; etcd survives both.
  stop_on_destroy = true

  agent {
    enabled = true
  }

  cpu {
    cores = each.value.cpu
    type  = "host"
  }

  memory {
    dedicated = each.value.memory
  }

  network_device {
    bridge = var.bridge
    model  = "virtio"
  }

  disk {
    datastore_id = coalesce(each.value.datastore, var.datastore)
    interface    = "scsi0"
    import_from  = var.image_ids[each.key]
    size         = each.value.disk
    iothread     = true
    cache        = "writethrough"
    discard      = "on"
    ssd          = true
    file_format  = "raw"
  }

  operating_system {
    type = "l26"
  }

  # Talos reads this by its nocloud platform.
  initialization {
    datastore_id = coalesce(each.value.datastore, var.datastore)

    dns {
      servers = var.network.dns
    }

    ip_config {
      ipv4 {
        address = "${each.value.address}/${var.network.prefix}"
        gateway = var.network.gateway
      }
    }
  }

  dynamic "hostpci" {
    for_each = each.value.gpu == null ? [] : [each.value.gpu]
    content {
      device  = "hostpci0"
      mapping = proxmox_virtual_environment_hardware_mapping_pci.gpu[hostpci.value].name
      pcie    = true
      rombar  = true
      xvga    = false
    }
  }

  # After a power cut the control plane comes first.
  startup {
    order    = each.value.role == "controlplane" ? 1 : 2
    up_delay = 10
  }

  lifecycle {
    precondition {
      condition     = each.value.gpu == null ? true : try(var.gpus[each.value.gpu].host, null) == each.value.host
      error_message = "The GPU of ${each.key} must be in `gpus`, and in the host that the machine runs on."
    }
    # A newer image is for new machines: running ones are upgraded in place (talosctl upgrade).
    ignore_changes = [disk[0].import_from]
  }
}
