resource "proxmox_virtual_environment_vm" "web" {
  node_name = "abel"
  vm_id     = 100
  name      = "web"
  started   = false
  disk {
    interface    = "scsi0"
    datastore_id = "local-zfs"
    size         = 8
  }
}
resource "proxmox_virtual_environment_vm" "db" {
  node_name = "cantor"
  vm_id     = 101
  name      = "db"
  started   = false
}
resource "proxmox_haresource" "web" {
  resource_id  = "vm:${proxmox_virtual_environment_vm.web.vm_id}"
  state        = "stopped"
  comment      = "x"
  max_restart  = 3
  max_relocate = 2
}
resource "proxmox_virtual_environment_haresource" "db" {
  resource_id = "vm:${proxmox_virtual_environment_vm.db.vm_id}"
  state       = "stopped"
}
resource "proxmox_harule" "home" {
  rule      = "home"
  type      = "node-affinity"
  resources = [proxmox_haresource.web.resource_id]
  nodes     = { abel = null, cantor = null }
  strict    = true
  comment   = "near the disks"
}
resource "proxmox_virtual_environment_harule" "apart" {
  rule      = "apart"
  type      = "resource-affinity"
  affinity  = "negative"
  resources = [proxmox_haresource.web.resource_id, proxmox_virtual_environment_haresource.db.resource_id]
}
resource "proxmox_hardware_mapping_pci" "gpu" {
  name    = "gpu"
  comment = "for models"
  map = [{
    node         = "abel"
    id           = "10de:1eb8"
    path         = "0000:01:00.0"
    subsystem_id = "10de:12a2"
    iommu_group  = 16
    comment      = "the first"
  }]
  mediated_devices = false
}
resource "proxmox_hardware_mapping_dir" "media" {
  name    = "media"
  comment = "films"
  map     = [{ node = "abel", path = "/mnt/media" }]
}
resource "proxmox_hardware_mapping_usb" "stick" {
  name = "stick"
  map  = [{ node = "abel", id = "0951:1666", comment = "in front" }]
}
resource "proxmox_metrics_server" "graphs" {
  name                = "graphs"
  type                = "influxdb"
  server              = "10.25.150.40"
  port                = 8089
  influx_token        = "secret"
  influx_bucket       = "pve"
  influx_db_proto     = "https"
  influx_organization = "lab"
}
resource "proxmox_virtual_environment_metrics_server" "graphite" {
  name           = "graphite"
  type           = "graphite"
  server         = "10.25.150.41"
  port           = 2003
  graphite_proto = "tcp"
  graphite_path  = "pve"
}
resource "proxmox_replication" "web" {
  id       = "${proxmox_virtual_environment_vm.web.vm_id}-0"
  target   = "cantor"
  type     = "local"
  schedule = "*/30"
  comment  = "twice an hour"
  rate     = 10
}
resource "proxmox_backup_job" "nightly" {
  id       = "nightly"
  schedule = "03:00"
  storage  = "local"
  all      = true
  compress = "zstd"
  mode     = "snapshot"
  prune_backups = {
    "keep-last" = "3"
  }
  mailnotification = "failure"
}
resource "proxmox_backup_job" "some" {
  id             = "some"
  schedule       = "sat 04:00"
  storage        = "local"
  vmid           = ["100", "101"]
  enabled        = false
  notes_template = "{{guestname}}"
}
resource "proxmox_cluster_options" "all" {
  language                  = "en"
  keyboard                  = "de"
  email_from                = "pve@lab.lan"
  migration_type            = "secure"
  migration_cidr            = "10.25.150.0/24"
  bandwidth_limit_clone     = 1000
  bandwidth_limit_migration = 555555
  max_workers               = 5
  mac_prefix                = "BC:24:11"
  description               = "our cluster"
  next_id                   = { lower = 200, upper = 300 }
  notify                    = { replication = "always" }
  crs_ha                    = "static"
  crs_ha_rebalance_on_start = true
  ha_shutdown_policy        = "migrate"
  console                   = "html5"
}
