resource "truenas_dataset" "parent" {
  name       = "${var.pool}/${var.parent}"
  share_type = "GENERIC"
  comments   = "Volumes of Kubernetes"
}

resource "truenas_dataset" "volume" {
  for_each = var.volumes

  name        = "${truenas_dataset.parent.name}/${each.key}"
  share_type  = "NFS"
  comments    = each.value.comment
  compression = each.value.compression
  # Bytes; null is no limit.
  quota = each.value.quota_gib == null ? null : each.value.quota_gib * pow(1024, 3)
}

resource "truenas_nfs_share" "volume" {
  for_each = var.volumes

  path     = truenas_dataset.volume[each.key].mountpoint
  comment  = each.value.comment
  networks = [var.network]
  ro       = each.value.read_only
  # Pods run as many users, and the CSI driver makes folders as root.
  maproot_user  = "root"
  maproot_group = "root"
  security      = ["SYS"]
}
