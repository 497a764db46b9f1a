# Secrets of the simulated homelab: they open nothing else.
ssh = {
  password            = "stead-lab"
  known_hosts_file    = "output/lab-known-hosts"
  accept_new_host_key = true
}

external_secrets = {
  client_id = "57ead000-0000-4000-8000-000000000021"
  object_id = "57ead000-0000-4000-8000-000000000022"
}

external_secrets_client_secret = "external-secrets-secret-of-the-stead-lab"
