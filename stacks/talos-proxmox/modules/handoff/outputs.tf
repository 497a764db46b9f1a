output "sealed_secrets" {
  sensitive = true
  value = {
    private_key = tls_private_key.sealed_secrets.private_key_pem
    certificate = tls_self_signed_cert.sealed_secrets.cert_pem
  }
}

output "applications" {
  description = "Status by application."
  value = {
    for application in concat(
      gitops_application.infra.applications,
      gitops_application.sets.applications,
      gitops_application.apps.applications,
    ) : application.name => "${application.sync_status}, ${application.health_status}"
  }
}
