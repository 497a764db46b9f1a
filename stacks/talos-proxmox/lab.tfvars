# Secrets of the simulated homelab: they open nothing else.
proxmox_csi = {
  token_id     = "csi@pve!k8s"
  token_secret = "b2f1f5ac-9d5e-4c49-8a86-0c7c5b7a5c1e"
}
