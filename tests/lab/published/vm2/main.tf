resource "proxmox_vm" "small" {
  node_name       = "abel"
  id              = 401
  name            = "small"
  description     = "of the new kind"
  tags            = ["b", "a"]
  stop_on_destroy = true
  cpu = {
    cores = 2
    type  = "x86-64-v2-AES"
  }
  vga = {
    type = "std"
  }
  rng = {
    source = "/dev/urandom"
  }
  cdrom = {
    ide2 = { file_id = "none" }
  }
}
resource "proxmox_virtual_environment_vm2" "bare" {
  node_name = "cantor"
  id        = 402
}
resource "proxmox_virtual_environment_vm" "template" {
  node_name = "abel"
  vm_id     = 900
  name      = "template"
  template  = true
  started   = false
  disk {
    interface    = "scsi0"
    datastore_id = "local-lvm"
    size         = 4
  }
  network_device {
    bridge = "vmbr0"
  }
}
resource "proxmox_cloned_vm" "copy" {
  node_name = "abel"
  id        = 403
  name      = "copy"
  tags      = ["b", "a"]
  clone = {
    source_vm_id = proxmox_virtual_environment_vm.template.vm_id
  }
  cpu = {
    cores = 2
  }
  memory = {
    size = 1024
  }
  disk = {
    scsi0 = { datastore_id = "local-lvm", size_gb = 6 }
  }
  network = {
    net0 = { bridge = "vmbr0", tag = 7 }
  }
  delete = {
    disk = []
  }
}
