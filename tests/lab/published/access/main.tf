resource "proxmox_virtual_environment_role" "watcher" {
  role_id    = "Watcher"
  privileges = ["VM.Audit", "Sys.Audit", "Datastore.Audit"]
}
resource "proxmox_virtual_environment_group" "admins" {
  group_id = "admins"
  comment  = "all of them"
  acl {
    path      = "/vms"
    role_id   = "PVEVMAdmin"
    propagate = true
  }
}
resource "proxmox_virtual_environment_group" "plain" {
  group_id = "plain"
}
resource "proxmox_virtual_environment_user" "ann" {
  user_id         = "ann@pve"
  password        = "a long secret"
  first_name      = "Ann"
  last_name       = "Smith"
  email           = "ann@lab.lan"
  keys            = ""
  comment         = "the first"
  groups          = [proxmox_virtual_environment_group.admins.group_id]
  expiration_date = "2034-01-01T22:00:00Z"
  acl {
    path      = "/storage/local"
    role_id   = proxmox_virtual_environment_role.watcher.role_id
    propagate = false
  }
}
resource "proxmox_virtual_environment_user" "bob" {
  user_id = "bob@pve"
  enabled = false
}
resource "proxmox_user_token" "ci" {
  user_id               = proxmox_virtual_environment_user.ann.user_id
  token_name            = "ci"
  comment               = "for the pipeline"
  expiration_date       = "2033-01-01T22:00:00Z"
  privileges_separation = true
}
resource "proxmox_virtual_environment_user_token" "cd" {
  user_id               = proxmox_virtual_environment_user.bob.user_id
  token_name            = "cd"
  privileges_separation = false
}
resource "proxmox_acl" "user" {
  path    = "/vms/100"
  role_id = "PVEVMUser"
  user_id = proxmox_virtual_environment_user.bob.user_id
}
resource "proxmox_acl" "group" {
  path      = "/pool/lab"
  role_id   = "PVEPoolUser"
  group_id  = proxmox_virtual_environment_group.plain.group_id
  propagate = false
}
resource "proxmox_virtual_environment_acl" "token" {
  path     = "/storage"
  role_id  = proxmox_virtual_environment_role.watcher.role_id
  token_id = proxmox_user_token.ci.id
}
resource "proxmox_virtual_environment_pool" "lab" {
  pool_id = "lab"
  comment = "for trials"
}
resource "proxmox_virtual_environment_pool" "bare" {
  pool_id = "bare"
}
resource "proxmox_pool_membership" "storage" {
  pool_id    = proxmox_virtual_environment_pool.lab.pool_id
  storage_id = "local-lvm"
}
resource "proxmox_realm_ldap" "lab" {
  realm         = "lab.lan"
  base_dn       = "dc=lab,dc=lan"
  server1       = "10.25.150.30"
  user_attr     = "uid"
  mode          = "ldap+starttls"
  port          = 389
  bind_dn       = "cn=reader,dc=lab,dc=lan"
  bind_password = "secret"
  comment       = "the directory"
}
resource "proxmox_realm_openid" "sso" {
  realm             = "sso"
  issuer_url        = "https://id.lab.lan"
  client_id         = "pve"
  client_key        = "secret"
  username_claim    = "email"
  autocreate        = true
  groups_claim      = "groups"
  groups_autocreate = true
  scopes            = "openid email"
}
