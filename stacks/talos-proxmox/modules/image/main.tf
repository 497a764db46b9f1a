# The schematic says what is added to a stock Talos; its id is a hash of its content, so equal content is one image.
locals {
  extensions = {
    plain = ["siderolabs/qemu-guest-agent"]
    gpu = [
      "siderolabs/qemu-guest-agent",
      "siderolabs/nvidia-container-toolkit-production",
      "siderolabs/nvidia-open-gpu-kernel-modules-production",
    ]
  }
  kinds = toset([for image in values(var.images) : image.kind])
}

resource "talos_image_factory_schematic" "this" {
  for_each = local.kinds

  schematic = yamlencode({
    customization = {
      # The one network card is eth0, whatever slot it is in.
      extraKernelArgs = ["net.ifnames=0"]
      systemExtensions = {
        officialExtensions = local.extensions[each.key]
      }
    }
  })
}

# Content type "import": the disk is made from it by the Proxmox API itself, so no SSH to the host is needed.
resource "proxmox_virtual_environment_download_file" "this" {
  for_each = var.images

  node_name    = each.value.host
  datastore_id = var.datastore
  content_type = "import"
  file_name    = "talos-${var.talos_version}-${each.value.kind}-nocloud-amd64.qcow2"
  url = join("/", [
    "https://factory.talos.dev/image",
    talos_image_factory_schematic.this[each.value.kind].id,
    var.talos_version,
    "nocloud-amd64.qcow2",
  ])
  overwrite = false
}
