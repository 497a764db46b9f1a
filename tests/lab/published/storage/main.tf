resource "proxmox_storage_directory" "files" {
  id      = "files"
  path    = "/srv/files"
  content = ["iso", "backup"]
  nodes   = ["abel"]
  backups {
    keep_daily            = 7
    max_protected_backups = 3
  }
}
resource "proxmox_storage_directory" "plain" {
  id      = "plain"
  path    = "/srv/plain"
  content = ["images"]
}
resource "proxmox_storage_nfs" "nas" {
  id      = "nas"
  server  = "10.25.150.20"
  export  = "/mnt/tank"
  content = ["images", "iso"]
  options = "vers=4.2"
}
resource "proxmox_storage_cifs" "win" {
  id       = "win"
  server   = "10.25.150.21"
  share    = "backup"
  username = "u"
  password = "secret"
  content  = ["backup"]
  domain   = "WORK"
}
resource "proxmox_storage_lvm" "vg" {
  id           = "vg"
  volume_group = "data"
  content      = ["images", "rootdir"]
}
resource "proxmox_storage_lvmthin" "thin" {
  id           = "thin"
  volume_group = "data"
  thin_pool    = "pool"
  content      = ["images"]
}
resource "proxmox_storage_zfspool" "tank" {
  id             = "tank"
  zfs_pool       = "rpool/vms"
  content        = ["images"]
  thin_provision = true
  blocksize      = "16k"
}
resource "proxmox_virtual_environment_storage_pbs" "pbs" {
  id          = "pbs"
  server      = "10.25.150.22"
  datastore   = "main"
  username    = "u@pbs"
  password    = "secret"
  fingerprint = "AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99"
  content     = ["backup"]
  namespace   = "homelab"
}
resource "proxmox_storage_pbs" "sealed" {
  id                      = "sealed"
  server                  = "10.25.150.22"
  datastore               = "main"
  username                = "u@pbs"
  password                = "secret"
  content                 = ["backup"]
  generate_encryption_key = true
}
