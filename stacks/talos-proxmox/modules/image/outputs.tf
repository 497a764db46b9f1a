output "file_ids" {
  description = "Volume ids by HOST-KIND, as import_from wants them."
  value       = { for key, file in proxmox_virtual_environment_download_file.this : key => file.id }
}

output "installers" {
  description = "Installer images by kind, for upgrades with the same extensions."
  value = {
    for kind, schematic in talos_image_factory_schematic.this :
    kind => "factory.talos.dev/nocloud-installer/${schematic.id}:${var.talos_version}"
  }
}
