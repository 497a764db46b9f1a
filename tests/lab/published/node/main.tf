resource "proxmox_network_linux_bridge" "lab" {
  node_name  = "abel"
  name       = "vmbr9"
  address    = "10.9.0.1/24"
  comment    = "lab"
  vlan_aware = true
  mtu        = 1400
}
resource "proxmox_network_linux_vlan" "v9" {
  node_name = "abel"
  name      = "vmbr0.9"
  comment   = "trials"
}
resource "proxmox_virtual_environment_network_linux_vlan" "named" {
  node_name  = "abel"
  name       = "vlan_lab"
  interface  = "vmbr0"
  vlan       = 20
  depends_on = [proxmox_network_linux_vlan.v9]
}
resource "proxmox_network_linux_bond" "bond" {
  node_name = "cantor"
  name      = "bond0"
  slaves    = ["enp2s0"]
  bond_mode = "active-backup"
}
resource "proxmox_node_config" "abel" {
  node_name   = "abel"
  description = "in the cellar"
}
resource "proxmox_node_disk_zfs" "pond" {
  node_name     = "abel"
  name          = "pond"
  raidlevel     = "single"
  devices       = ["/dev/sdb"]
  cleanup_disks = true
}
resource "proxmox_apt_standard_repository" "free" {
  node   = "abel"
  handle = "no-subscription"
}
resource "proxmox_apt_repository" "free" {
  enabled   = true
  file_path = proxmox_apt_standard_repository.free.file_path
  index     = proxmox_apt_standard_repository.free.index
  node      = proxmox_apt_standard_repository.free.node
}
resource "proxmox_virtual_environment_dns" "abel" {
  node_name = "abel"
  domain    = "lab.lan"
  servers   = ["10.25.150.1", "1.1.1.1"]
}
resource "proxmox_virtual_environment_time" "abel" {
  node_name = "abel"
  time_zone = "Europe/Berlin"
}
resource "proxmox_virtual_environment_hosts" "abel" {
  node_name = "abel"
  entry {
    address   = "127.0.0.1"
    hostnames = ["localhost", "localhost.localdomain"]
  }
  entry {
    address   = "10.25.150.101"
    hostnames = ["abel.lab.lan", "abel"]
  }
}
resource "proxmox_node_firewall" "abel" {
  node_name    = "abel"
  enabled      = false
  ndp          = false
  log_level_in = "info"
}
