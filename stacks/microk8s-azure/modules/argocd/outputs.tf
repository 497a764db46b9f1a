output "repo_url" {
  description = "Usable when Argo CD is: whoever reads this waits for it."
  value       = nonsensitive(var.git.url)

  depends_on = [gitops_argocd.this, gitops_repository.this]
}

output "version" {
  value = gitops_argocd.this.version
}
