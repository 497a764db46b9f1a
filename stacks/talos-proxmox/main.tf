locals {
  control_planes = { for name, node in var.nodes : name => node if node.role == "controlplane" }
  workers        = { for name, node in var.nodes : name => node if node.role == "worker" }

  prefix = split("/", var.cluster.network)[1]

  # One image per kind of machine and Proxmox host: only what a host needs is downloaded to it.
  images = {
    for pair in distinct([
      for node in values(var.nodes) : { host = node.host, kind = node.gpu == null ? "plain" : "gpu" }
    ]) : "${pair.host}-${pair.kind}" => pair
  }
}

# 1. Images with the guest agent (and NVIDIA's drivers), built by the image factory.
module "image" {
  source = "./modules/image"

  talos_version = var.cluster.talos_version
  datastore     = var.datastores.image
  images        = local.images
}

# 2. The machines boot into maintenance mode, at their addresses.
module "machines" {
  source = "./modules/machines"

  cluster   = var.cluster.name
  nodes     = var.nodes
  gpus      = var.gpus
  datastore = var.datastores.vm
  network = {
    prefix  = local.prefix
    gateway = var.cluster.gateway
    dns     = var.cluster.dns
  }
  image_ids = {
    for name, node in var.nodes :
    name => module.image.file_ids["${node.host}-${node.gpu == null ? "plain" : "gpu"}"]
  }
}

# 3. Talos and Kubernetes, with Cilium from the first moment.
module "talos" {
  source = "./modules/talos"

  cluster = var.cluster
  nodes = {
    for name, node in var.nodes : name => {
      role = node.role
      # From the machine, not from the variable: a configuration is sent to a machine that runs.
      address   = module.machines.addresses[name]
      gpu       = node.gpu != null
      labels    = merge({ "topology.kubernetes.io/region" = "homelab", "topology.kubernetes.io/zone" = node.host }, node.labels)
      installer = module.image.installers[node.gpu == null ? "plain" : "gpu"]
    }
  }
  cilium_manifest = file("${path.module}/manifests/cilium.yaml")
  snapshots       = var.snapshots
}

# 4. Where volumes live.
module "storage" {
  source = "./modules/storage"

  pool    = var.truenas.pool
  parent  = var.truenas.parent
  volumes = var.volumes
  network = var.cluster.network
}

# 5. What a lost cluster is rebuilt from.
module "backup" {
  source = "./modules/backup"
  count  = var.backup == null ? 0 : 1

  name           = var.cluster.name
  location       = var.backup.location
  retention_days = var.backup.retention_days
  sas_hours      = var.backup.sas_hours
  tags           = merge({ cluster = var.cluster.name, managed-by = "stead" }, var.backup.tags)
}

# 6. The handoff: secrets that cannot be in Git, Argo CD, and then everything else from Git.
module "handoff" {
  source = "./modules/handoff"

  cluster_id    = module.talos.ready
  cluster_name  = var.cluster.name
  argo_manifest = "${path.module}/manifests/argocd.yaml"
  git           = merge(var.git, { password = var.git_password })
  proxmox_csi = {
    url          = "${trimsuffix(var.proxmox_endpoint, "/")}/api2/json"
    token_id     = var.proxmox_csi.token_id
    token_secret = var.proxmox_csi.token_secret
    region       = "homelab"
  }
  backup_enabled = var.backup != null
  backup         = one(module.backup[*].target)
}

# The key that opens every SealedSecret in Git: without it a rebuilt cluster cannot read them.
resource "azurerm_key_vault_secret" "sealed_secrets" {
  for_each = var.backup == null ? {} : {
    "sealed-secrets-key"  = module.handoff.sealed_secrets.private_key
    "sealed-secrets-cert" = module.handoff.sealed_secrets.certificate
  }

  name             = each.key
  key_vault_id     = module.backup[0].key_vault_id
  content_type     = "application/x-pem-file"
  value_wo         = each.value
  value_wo_version = 1
}

resource "local_sensitive_file" "kubeconfig" {
  filename        = "${path.root}/output/kubeconfig"
  content         = module.talos.kubeconfig
  file_permission = "0600"
}

resource "local_sensitive_file" "talosconfig" {
  filename        = "${path.root}/output/talosconfig"
  content         = module.talos.talosconfig
  file_permission = "0600"
}
