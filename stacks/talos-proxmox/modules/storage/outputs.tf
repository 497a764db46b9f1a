output "paths" {
  description = "What is mounted, by volume."
  value       = { for name, share in truenas_nfs_share.volume : name => share.path }
}
