resource "proxmox_virtual_environment_vm" "web" {
  node_name = "abel"
  vm_id     = 110
  name      = "web"
  started   = false
  network_device {
    bridge   = "vmbr0"
    firewall = true
  }
}
resource "proxmox_virtual_environment_cluster_firewall" "all" {
  enabled       = false
  ebtables      = false
  input_policy  = "DROP"
  output_policy = "ACCEPT"
  log_ratelimit {
    enabled = false
    burst   = 10
    rate    = "5/second"
  }
}
resource "proxmox_virtual_environment_firewall_alias" "nas" {
  name    = "nas"
  cidr    = "10.25.150.20"
  comment = "files"
}
resource "proxmox_virtual_environment_firewall_alias" "guest" {
  node_name = "abel"
  vm_id     = proxmox_virtual_environment_vm.web.vm_id
  name      = "here"
  cidr      = "192.168.0.0/23"
}
resource "proxmox_virtual_environment_firewall_ipset" "local" {
  name    = "local"
  comment = "ours"
  cidr {
    name    = "192.168.0.0/23"
    comment = "Local network 1"
  }
  cidr {
    name    = "192.168.0.1"
    comment = "Server 1"
    nomatch = true
  }
  cidr {
    name = "10.25.150.0/24"
  }
}
resource "proxmox_virtual_environment_firewall_ipset" "guest" {
  node_name = "abel"
  vm_id     = proxmox_virtual_environment_vm.web.vm_id
  name      = "ours"
  cidr {
    name = "10.1.0.0/24"
  }
}
resource "proxmox_virtual_environment_cluster_firewall_security_group" "web" {
  name    = "web"
  comment = "servers"
  rule {
    type    = "in"
    action  = "ACCEPT"
    comment = "HTTP"
    dest    = "192.168.1.5"
    dport   = "80"
    proto   = "tcp"
    log     = "info"
  }
  rule {
    type   = "in"
    action = "ACCEPT"
    dport  = "443"
    proto  = "tcp"
  }
}
resource "proxmox_virtual_environment_firewall_options" "web" {
  node_name     = "abel"
  vm_id         = proxmox_virtual_environment_vm.web.vm_id
  dhcp          = true
  enabled       = false
  ipfilter      = true
  log_level_in  = "info"
  log_level_out = "info"
  macfilter     = false
  ndp           = true
  input_policy  = "ACCEPT"
  output_policy = "ACCEPT"
  radv          = true
}
resource "proxmox_virtual_environment_firewall_rules" "web" {
  node_name = "abel"
  vm_id     = proxmox_virtual_environment_vm.web.vm_id
  rule {
    type    = "in"
    action  = "ACCEPT"
    comment = "Allow HTTP"
    dport   = "80"
    proto   = "tcp"
    log     = "info"
  }
  rule {
    security_group = proxmox_virtual_environment_cluster_firewall_security_group.web.name
    comment        = "From security group"
    iface          = "net0"
  }
  rule {
    type    = "out"
    action  = "DROP"
    macro   = "SMTP"
    source  = "+local"
    enabled = false
  }
  depends_on = [proxmox_virtual_environment_firewall_ipset.local]
}
resource "proxmox_virtual_environment_firewall_rules" "cluster" {
  rule {
    type   = "in"
    action = "ACCEPT"
    macro  = "SSH"
  }
  rule {
    type   = "in"
    action = "ACCEPT"
    dport  = "8006"
    proto  = "tcp"
  }
}
resource "proxmox_virtual_environment_firewall_rules" "node" {
  node_name = "cantor"
  rule {
    type   = "in"
    action = "ACCEPT"
    macro  = "Ping"
  }
}
