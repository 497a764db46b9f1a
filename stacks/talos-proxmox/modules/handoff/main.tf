# Secrets that Git cannot hold, each in a namespace that is there before Git's turn.
locals {
  namespaces = merge(
    { for name in ["sealed-secrets", "auth"] : name => "baseline" },
    # CSI drivers mount for others.
    { for name in ["csi-nfs", "csi-proxmox"] : name => "privileged" },
    !var.backup_enabled ? {} : { "offsite-backup" = "baseline" },
  )
}

resource "terraform_data" "cluster" {
  # Nothing is sent to a cluster that is not healthy yet.
  input = var.cluster_id
}

resource "kubernetes_namespace_v1" "this" {
  for_each = local.namespaces

  metadata {
    name = each.key
    labels = {
      "pod-security.kubernetes.io/enforce" = each.value
    }
  }

  depends_on = [terraform_data.cluster]
}

# The sealed-secrets controller takes the newest certificate and key with this label; it must not expire before the cluster does.
resource "tls_private_key" "sealed_secrets" {
  algorithm = "RSA"
  rsa_bits  = 4096
}

resource "tls_self_signed_cert" "sealed_secrets" {
  private_key_pem       = tls_private_key.sealed_secrets.private_key_pem
  validity_period_hours = 87600
  allowed_uses          = ["digital_signature", "key_encipherment"]

  subject {
    common_name  = "sealed-secrets"
    organization = var.cluster_name
  }
}

resource "kubernetes_secret_v1" "sealed_secrets" {
  metadata {
    name      = "sealed-secrets-key"
    namespace = kubernetes_namespace_v1.this["sealed-secrets"].metadata[0].name
    labels = {
      "sealedsecrets.bitnami.com/sealed-secrets-key" = "active"
    }
  }

  type = "kubernetes.io/tls"
  data = {
    "tls.crt" = tls_self_signed_cert.sealed_secrets.cert_pem
    "tls.key" = tls_private_key.sealed_secrets.private_key_pem
  }
}

resource "kubernetes_secret_v1" "proxmox_csi" {
  metadata {
    name      = "proxmox-csi-config"
    namespace = kubernetes_namespace_v1.this["csi-proxmox"].metadata[0].name
  }

  data = {
    "config.yaml" = yamlencode({
      clusters = [{
        url          = var.proxmox_csi.url
        insecure     = true
        token_id     = var.proxmox_csi.token_id
        token_secret = var.proxmox_csi.token_secret
        region       = var.proxmox_csi.region
      }]
    })
  }
}

# Login: the administrator's password, and what LLDAP and Authelia sign and encrypt with.
resource "random_password" "auth" {
  for_each = toset(["admin-password", "jwt-secret", "session-secret", "storage-key"])

  length  = 32
  special = false
}

resource "kubernetes_secret_v1" "auth" {
  metadata {
    name      = "auth"
    namespace = kubernetes_namespace_v1.this["auth"].metadata[0].name
  }

  data = { for name, password in random_password.auth : name => password.result }
}

resource "kubernetes_secret_v1" "offsite_backup" {
  count = var.backup_enabled ? 1 : 0

  metadata {
    name      = "azure-container"
    namespace = kubernetes_namespace_v1.this["offsite-backup"].metadata[0].name
  }

  data = {
    "rclone.conf" = <<-EOT
      [azure]
      type = azureblob
      sas_url = ${var.backup.url}${var.backup.sas}
    EOT
  }
}
