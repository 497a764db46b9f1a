output "repo_url" {
  description = "The same, when the operator runs: whoever reads this waits for it."
  value       = var.repo_url

  depends_on = [gitops_application.this]
}
