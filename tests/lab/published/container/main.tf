resource "proxmox_download_file" "template" {
  node_name    = "abel"
  datastore_id = "local"
  content_type = "vztmpl"
  url          = "http://download.proxmox.com/images/system/debian-12-standard_12.12-1_amd64.tar.zst"
}
resource "proxmox_virtual_environment_container" "web" {
  node_name     = "abel"
  vm_id         = 200
  description   = "for trials"
  unprivileged  = true
  tags          = ["web", "lab"]
  start_on_boot = true
  protection    = false
  startup {
    order      = 1
    up_delay   = 10
    down_delay = 10
  }
  console {
    type      = "shell"
    tty_count = 3
  }
  cpu {
    cores = 2
    units = 512
    limit = 1
  }
  memory {
    dedicated = 512
    swap      = 256
  }
  disk {
    datastore_id  = "local-lvm"
    size          = 4
    mount_options = ["noatime"]
  }
  mount_point {
    volume = "local-lvm"
    size   = "5G"
    path   = "/srv"
    backup = true
  }
  features {
    nesting = true
    keyctl  = true
    fuse    = true
  }
  initialization {
    hostname = "web"
    dns {
      domain  = "lab.lan"
      servers = ["10.25.150.1"]
    }
    ip_config {
      ipv4 {
        address = "10.25.150.90/24"
        gateway = "10.25.150.1"
      }
      ipv6 {
        address = "auto"
      }
    }
    user_account {
      password = "a long secret"
      keys     = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl ann@lab"]
    }
  }
  network_interface {
    name        = "eth0"
    bridge      = "vmbr0"
    mac_address = "BC:24:11:00:00:02"
    vlan_id     = 4
    firewall    = true
    rate_limit  = 5
    mtu         = 1400
  }
  operating_system {
    template_file_id = proxmox_download_file.template.id
    type             = "debian"
  }
}
resource "proxmox_virtual_environment_container" "template" {
  node_name = "abel"
  vm_id     = 201
  template  = true
  started   = false
  disk {
    datastore_id = "local-lvm"
    size         = 2
  }
  initialization {
    hostname = "template"
  }
  network_interface {
    name = "veth0"
  }
  operating_system {
    template_file_id = proxmox_download_file.template.id
  }
}
resource "proxmox_virtual_environment_container" "copy" {
  node_name = "abel"
  vm_id     = 202
  clone {
    vm_id = proxmox_virtual_environment_container.template.vm_id
  }
  initialization {
    hostname = "copy"
  }
}
