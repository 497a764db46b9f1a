resource "proxmox_sdn_zone_simple" "lan" {
  id    = "lan"
  nodes = ["abel"]
  mtu   = 1496
  ipam  = "pve"
  dhcp  = "dnsmasq"
}
resource "proxmox_sdn_zone_vlan" "vl" {
  id     = "vl"
  bridge = "vmbr0"
}
resource "proxmox_virtual_environment_sdn_zone_qinq" "qq" {
  id                    = "qq"
  bridge                = "vmbr0"
  service_vlan          = 100
  service_vlan_protocol = "802.1ad"
}
resource "proxmox_sdn_zone_vxlan" "vx" {
  id    = "vx"
  peers = ["10.25.150.101", "10.25.150.102"]
}
resource "proxmox_sdn_controller_evpn" "main" {
  id    = "main"
  asn   = 65000
  peers = ["10.25.150.101", "10.25.150.102"]
}
resource "proxmox_sdn_zone_evpn" "ev" {
  id                = "ev"
  controller        = proxmox_sdn_controller_evpn.main.id
  vrf_vxlan         = 4000
  exit_nodes        = ["abel"]
  advertise_subnets = true
}
resource "proxmox_sdn_vnet" "dmz" {
  id            = "dmz"
  zone          = proxmox_sdn_zone_simple.lan.id
  alias         = "guests"
  isolate_ports = true
}
resource "proxmox_virtual_environment_sdn_vnet" "v10" {
  id   = "v10"
  zone = proxmox_sdn_zone_vlan.vl.id
  tag  = 10
}
resource "proxmox_sdn_subnet" "dmz" {
  vnet            = proxmox_sdn_vnet.dmz.id
  cidr            = "192.168.7.0/24"
  gateway         = "192.168.7.1"
  snat            = true
  dhcp_dns_server = "192.168.7.53"
  dhcp_range = {
    start_address = "192.168.7.10"
    end_address   = "192.168.7.20"
  }
}
resource "proxmox_virtual_environment_sdn_subnet" "v10" {
  vnet = proxmox_virtual_environment_sdn_vnet.v10.id
  cidr = "10.10.0.0/16"
}
resource "proxmox_sdn_fabric_openfabric" "of" {
  id             = "of"
  ip_prefix      = "10.1.0.0/16"
  hello_interval = 3
}
resource "proxmox_sdn_fabric_ospf" "os" {
  id        = "os"
  area      = "0"
  ip_prefix = "10.2.0.0/16"
}
resource "proxmox_sdn_fabric_node_openfabric" "of" {
  fabric_id       = proxmox_sdn_fabric_openfabric.of.id
  node_id         = "abel"
  ip              = "10.1.0.1"
  interface_names = ["eno1"]
}
resource "proxmox_sdn_fabric_node_ospf" "os" {
  fabric_id       = proxmox_sdn_fabric_ospf.os.id
  node_id         = "cantor"
  ip              = "10.2.0.1"
  interface_names = ["eno1"]
}
resource "proxmox_sdn_applier" "all" {
  depends_on = [proxmox_sdn_subnet.dmz, proxmox_virtual_environment_sdn_subnet.v10, proxmox_sdn_zone_evpn.ev]
}
