# What is planned, without a host or a cloud: `stead test`.

mock_provider "microk8s" {}
mock_provider "azurerm" {}
mock_provider "kubernetes" {}
mock_provider "gitops" {}

variables {
  external_secrets = {
    client_id = "00000000-0000-0000-0000-000000000001"
    object_id = "00000000-0000-0000-0000-000000000002"
  }
  external_secrets_client_secret = "secret"
}

run "the_default_environments" {
  command = plan

  assert {
    condition     = join(" ", keys(module.azure_kv)) == "dev prod qa shared"
    error_message = "Each environment has a vault."
  }
  assert {
    condition     = join(" ", keys(module.azure_storage)) == "dev prod qa" && join(" ", keys(module.cnpg_cluster)) == "dev prod qa"
    error_message = "Where no application runs, there are no databases and no place for their backups."
  }
  assert {
    condition     = contains(module.azure_kv["prod"].secret_names, "n8n-encryption-key") && length(module.azure_kv["shared"].secret_names) == 0
    error_message = "A vault has the secrets of its applications, and no others."
  }
  assert {
    condition     = module.cnpg_cluster["qa"].hosts["wallabag"] == "wallabag-db-cnpg-v1-rw.cnpg-qa.svc.cluster.local"
    error_message = "An application finds its database in its environment's namespace."
  }
}

run "one_environment_alone" {
  command = plan

  variables {
    environments = {
      dev = { apps = ["linkding"] }
    }
  }

  assert {
    condition     = join(" ", keys(module.azure_kv)) == "dev" && length(module.azure_kv["dev"].secret_names) == 3
    error_message = "Only what dev needs."
  }
}

run "only_environments_that_git_knows" {
  command = plan

  variables {
    environments = {
      staging = {}
    }
  }

  expect_failures = [var.environments]
}

run "the_prefix_must_fit_a_storage_account" {
  command = plan

  variables {
    prefix = "Home-Lab"
  }

  expect_failures = [var.prefix]
}
