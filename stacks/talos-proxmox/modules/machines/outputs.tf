output "addresses" {
  description = "By name. Known from the start, but usable only when the machine runs: whoever reads this waits for it."
  value       = { for name, vm in proxmox_virtual_environment_vm.this : name => var.nodes[vm.name].address }
}

output "vm_ids" {
  value = { for name, vm in proxmox_virtual_environment_vm.this : name => vm.vm_id }
}
