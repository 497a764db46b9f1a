resource "proxmox_download_file" "image" {
  node_name    = "abel"
  datastore_id = "local"
  content_type = "import"
  file_name    = "talos.qcow2"
  url          = "https://factory.talos.dev/image/376567988ad370138ad8b2698212367b8edcb69b5fd68c80be1f2ec7d603b4ba/v1.11.3/nocloud-amd64.qcow2"
}
resource "proxmox_virtual_environment_pool" "vms" {
  pool_id = "vms"
}
resource "proxmox_virtual_environment_vm" "full" {
  node_name       = "abel"
  vm_id           = 300
  name            = "full"
  description     = "a machine\nwith two lines"
  tags            = ["web", "lab"]
  pool_id         = proxmox_virtual_environment_pool.vms.pool_id
  on_boot         = true
  protection      = false
  machine         = "q35"
  bios            = "ovmf"
  boot_order      = ["scsi0", "net0"]
  scsi_hardware   = "virtio-scsi-single"
  tablet_device   = false
  stop_on_destroy = true
  keyboard_layout = "de"
  timeout_create  = 600
  startup {
    order      = 3
    up_delay   = 60
    down_delay = 30
  }
  agent {
    enabled = true
    trim    = true
    timeout = "5s"
    wait_for_ip {
      ipv4 = false
    }
  }
  cpu {
    cores   = 4
    sockets = 1
    type    = "x86-64-v2-AES"
    flags   = ["+aes"]
    units   = 1024
    limit   = 2
    numa    = true
  }
  memory {
    dedicated = 4096
    floating  = 2048
  }
  efi_disk {
    datastore_id      = "local-lvm"
    type              = "4m"
    pre_enrolled_keys = true
  }
  tpm_state {
    datastore_id = "local-lvm"
    version      = "v2.0"
  }
  disk {
    interface    = "scsi0"
    datastore_id = "local-lvm"
    import_from  = proxmox_download_file.image.id
    size         = 20
    iothread     = true
    discard      = "on"
    ssd          = true
    cache        = "writeback"
    serial       = "abc"
    backup       = false
    speed {
      read      = 100
      write     = 50
      iops_read = 1000
    }
  }
  disk {
    interface    = "virtio1"
    datastore_id = "local-zfs"
    size         = 5
    aio          = "native"
    replicate    = false
  }
  cdrom {
    interface = "ide3"
    file_id   = "none"
  }
  network_device {
    bridge      = "vmbr0"
    mac_address = "BC:24:11:00:00:01"
    vlan_id     = 5
    firewall    = true
    mtu         = 1400
    queues      = 2
    rate_limit  = 10
  }
  network_device {
    bridge       = "vmbr0"
    model        = "e1000"
    trunks       = "10;20"
    disconnected = true
  }
  operating_system {
    type = "l26"
  }
  serial_device {}
  vga {
    type      = "virtio"
    memory    = 64
    clipboard = "vnc"
  }
  rng {
    source    = "/dev/urandom"
    max_bytes = 1024
    period    = 1000
  }
  watchdog {
    enabled = true
    model   = "i6300esb"
    action  = "reset"
  }
  smbios {
    manufacturer = "us"
    product      = "box"
  }
  audio_device {
    device = "intel-hda"
    driver = "spice"
  }
  initialization {
    datastore_id = "local-lvm"
    interface    = "ide2"
    upgrade      = false
    dns {
      domain  = "lab.lan"
      servers = ["10.25.150.1", "1.1.1.1"]
    }
    ip_config {
      ipv4 {
        address = "10.25.150.77/24"
        gateway = "10.25.150.1"
      }
      ipv6 {
        address = "dhcp"
      }
    }
    ip_config {
      ipv4 {
        address = "dhcp"
      }
    }
    user_account {
      username = "ann"
      password = "a long secret"
      keys     = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl ann@lab"]
    }
  }
}
resource "proxmox_virtual_environment_vm" "template" {
  node_name = "abel"
  vm_id     = 301
  name      = "template"
  template  = true
  started   = false
  disk {
    interface    = "scsi0"
    datastore_id = "local-lvm"
    import_from  = proxmox_download_file.image.id
    size         = 10
    file_format  = "raw"
  }
  network_device {
    bridge = "vmbr0"
  }
  initialization {
    ip_config {
      ipv4 {
        address = "dhcp"
      }
    }
  }
}
resource "proxmox_virtual_environment_vm" "copy" {
  node_name = "abel"
  vm_id     = 302
  name      = "copy"
  clone {
    vm_id = proxmox_virtual_environment_vm.template.vm_id
  }
  cpu {
    cores = 2
  }
  memory {
    dedicated = 1024
  }
}
resource "proxmox_virtual_environment_vm" "linked" {
  node_name = "abel"
  vm_id     = 303
  name      = "linked"
  started   = false
  clone {
    vm_id = proxmox_virtual_environment_vm.template.vm_id
    full  = false
  }
  disk {
    interface    = "scsi0"
    datastore_id = "local-lvm"
    size         = 12
  }
  initialization {
    ip_config {
      ipv4 {
        address = "10.25.150.78/24"
        gateway = "10.25.150.1"
      }
    }
  }
}
resource "proxmox_virtual_environment_vm" "elsewhere" {
  node_name = "cantor"
  vm_id     = 304
  name      = "elsewhere"
  started   = false
  clone {
    vm_id        = proxmox_virtual_environment_vm.template.vm_id
    node_name    = "abel"
    datastore_id = "local-lvm"
  }
  hostpci {
    device = "hostpci0"
    id     = "0000:01:00.0"
    pcie   = false
    rombar = true
  }
}
resource "proxmox_virtual_environment_vm" "bare" {
  node_name = "euclid"
  name      = "bare"
  vm_id     = 305
}
resource "proxmox_virtual_environment_vm" "windows" {
  node_name     = "euclid"
  name          = "windows"
  vm_id         = 306
  started       = false
  bios          = "seabios"
  acpi          = false
  kvm_arguments = "-cpu host"
  operating_system {
    type = "win11"
  }
  usb {
    host = "0951:1666"
    usb3 = true
  }
  numa {
    device = "numa0"
    cpus   = "0-1"
    memory = 1024
  }
  cpu {
    cores = 2
    numa  = true
  }
  memory {
    dedicated = 1024
  }
}
data "proxmox_virtual_environment_vms" "all" {
  tags       = ["lab"]
  depends_on = [proxmox_virtual_environment_vm.full]
}
output "tagged" {
  value = [for v in data.proxmox_virtual_environment_vms.all.vms : v.name]
}
