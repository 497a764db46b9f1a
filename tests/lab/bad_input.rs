//! Bad input in the lab: exit code 1, one diagnostic with file, line, cause and remedy, no secret told, and nothing
//! half-done: the next plan works, and the next apply doubles nothing.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use crate::env::{text, words};

const VERSIONS: &str = r#"
terraform {
  required_providers {
    proxmox = { source = "bpg/proxmox" }
    azurerm = { source = "hashicorp/azurerm" }
    truenas = { source = "truenas/truenas" }
    talos   = { source = "siderolabs/talos" }
  }
}
"#;

const VM: &str = r#"resource "proxmox_virtual_environment_vm" "web" {
  node_name = "abel"
  vm_id     = 501
  name      = "web"
  started   = false
}
"#;

const DATASET: &str = "resource \"truenas_dataset\" \"a\" {\n  name = \"tank/a\"\n}\n";

const GROUP: &str = "resource \"azurerm_resource_group\" \"a\" {\n  name     = \"rg-a\"\n  location = \"westeurope\"\n}\n";

pub(crate) const GROUP_ONLY: &str = "provider \"azurerm\" {\n  resource_provider_registrations = \"none\"\n  features {}\n}\nresource \"azurerm_resource_group\" \"a\" {\n  name     = \"rg-a\"\n  location = \"westeurope\"\n}\n";

/// A configuration in a folder of its own, and its lab.
pub(crate) struct Case {
    dir: tempfile::TempDir,
    lab: PathBuf,
}

impl Case {
    pub(crate) fn new(main: &str) -> Case {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let lab = dir.path().join("lab");
        Case::in_lab_of(dir, lab, main)
    }

    fn in_lab_of(dir: tempfile::TempDir, lab: PathBuf, main: &str) -> Case {
        std::fs::write(dir.path().join("versions.tf"), VERSIONS).expect("versions.tf");
        let case = Case { dir, lab };
        case.write(main);
        case
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, main: &str) {
        std::fs::write(self.dir.path().join("main.tf"), main).expect("main.tf");
    }

    fn outside(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stead"));
        command
            .args(arguments)
            .current_dir(self.dir.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.dir.path())
            .stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.outside(arguments).output().expect("stead runs")
    }

    /// A command in the lab.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let lab = self.lab.to_string_lossy().into_owned();
        let binary = env!("CARGO_BIN_EXE_stead");
        let mut all = vec!["lab", "exec", "--lab-dir", &lab, "--", binary];
        all.extend(arguments);
        self.outside(&all)
    }

    pub(crate) fn stead(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("stead runs")
    }

    fn apply(&self) -> Output {
        self.stead(&["apply", "-auto-approve", "-no-color", "-input=false"])
    }

    pub(crate) fn fault(&self, fault: &str) {
        let lab = self.lab.to_string_lossy().into_owned();
        let output = self.run(&["lab", "fault", "--lab-dir", &lab, fault]);
        assert!(output.status.success(), "{}", text(&output));
    }

    /// The apply fails with exactly one error, which holds all of these.
    fn refused(&self, expected: &[&str]) {
        let output = self.apply();
        let shown = text(&output);
        assert_eq!(output.status.code(), Some(1), "{shown}");
        assert_eq!(shown.matches("Error: ").count(), 1, "{shown}");
        for part in expected {
            assert!(words(&shown).contains(part), "no {part:?} in\n{shown}");
        }
    }

    pub(crate) fn succeeds(&self) {
        let output = self.apply();
        assert!(output.status.success(), "{}", text(&output));
        let plan = self.stead(&["plan", "-no-color", "-detailed-exitcode"]);
        assert_eq!(plan.status.code(), Some(0), "{}", text(&plan));
    }

    /// The state has these machines, in the order of their names, none of them half-made.
    fn holds(&self, machines: &[&str]) {
        let state = std::fs::read_to_string(self.path("terraform.tfstate")).unwrap_or_default();
        let state: serde_json::Value = serde_json::from_str(&state).unwrap_or_default();
        let resources = state["resources"].as_array().into_iter().flatten();
        let whole = resources.filter(|r| r["instances"][0]["status"].is_null());
        let mut names: Vec<_> = whole.filter_map(|r| r["name"].as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, machines, "{state:#}");
    }

    /// No file beside the configuration and no output holds the secret.
    fn keeps(&self, secret: &str) {
        let output = self.apply();
        assert!(!text(&output).contains(secret), "{}", text(&output));
        if let Ok(state) = std::fs::read_to_string(self.dir.path().join("terraform.tfstate")) {
            assert!(!state.contains(secret), "{state}");
        }
    }
}

#[test]
fn mistakes_in_the_text_are_told_with_their_line() {
    let vm = |extra: &str| VM.replace("  started", &format!("  {extra}\n  started"));
    Case::new(VM.trim_end().trim_end_matches('}'))
        .refused(&["Unclosed configuration block", "main.tf line 1"]);
    Case::new(&VM.replace("501", "\"five\"")).refused(&["main.tf line 3", "a number is required"]);
    Case::new(&vm("descripton = \"x\""))
        .refused(&["main.tf line 5", "Did you mean \"description\"?"]);
    Case::new(&format!(
        "variable \"node\" {{}}\n{}",
        vm("description = var.node")
    ))
    .refused(&["main.tf line 1", "-var-file"]);
}

#[test]
fn wrong_credentials_are_told_and_not_shown() {
    let secret = "00000000-dead-beef-0000-000000000000";
    let case = Case::new(&format!(
        "provider \"proxmox\" {{\n  api_token = \"root@pam!stead={secret}\"\n}}\n{VM}"
    ));
    case.refused(&["main.tf line 4", "401", "Check the API token"]);
    case.keeps(secret);
    case.write(VM);
    case.succeeds();

    let secret = "1-wrongwrongwrongwrong";
    let case = Case::new(&format!(
        "provider \"truenas\" {{\n  api_key = \"{secret}\"\n}}\n{DATASET}"
    ));
    case.refused(&[
        "main.tf line 4",
        "the credentials are wrong",
        "Check api_key",
    ]);
    case.keeps(secret);
    case.write(DATASET);
    case.succeeds();

    let secret = "wrong-azure-secret-value";
    let provider = |secret: &str| {
        format!(
            "provider \"azurerm\" {{\n  resource_provider_registrations = \"none\"\n  {secret}\n  features {{}}\n}}\n{GROUP}"
        )
    };
    let case = Case::new(&provider(&format!("client_secret = \"{secret}\"")));
    case.refused(&[
        "main.tf line 6",
        "AADSTS7000215",
        "`client_secret` is not valid",
    ]);
    case.keeps(secret);
    case.write(&provider(""));
    case.succeeds();
}

#[test]
fn servers_that_do_not_answer_are_named() {
    for address in ["10.25.150.250:8006", "10.25.150.101:8007"] {
        let provider =
            format!("provider \"proxmox\" {{\n  endpoint = \"https://{address}/\"\n}}\n");
        let case = Case::new(&format!("{provider}{VM}"));
        case.refused(&["main.tf line 4", address, "Check the address"]);
        case.write(VM);
        case.succeeds();
    }
    let provider = "provider \"truenas\" {\n  endpoint = \"https://nowhere.lab\"\n}\n";
    let case = Case::new(&format!("{provider}{DATASET}"));
    case.refused(&["main.tf line 4", "nowhere.lab:443", "Check the address"]);
    case.write(DATASET);
    case.succeeds();
}

#[test]
fn storages_and_numbers_that_cannot_be_used_are_told() {
    let disk = "  disk {\n    interface    = \"scsi0\"\n    datastore_id = \"local\"\n    size         = 8\n  }\n  started";
    let case = Case::new(&VM.replace("  started", disk));
    case.refused(&[
        "main.tf line",
        "does not take content of the type images",
        "pvesm set local",
    ]);
    case.write(VM);
    case.succeeds();
    // A second configuration in the same homelab wants the same number.
    let dir = tempfile::tempdir().expect("a temporary folder");
    let other = Case::in_lab_of(dir, case.lab.clone(), VM);
    other.refused(&["main.tf line 3", "Choose another `vm_id`"]);
    other.write(&VM.replace("501", "502"));
    other.succeeds();
}

/// The VM with more in it.
fn with(more: &str) -> String {
    VM.replace("  started", &format!("{more}\n  started"))
}

#[test]
fn names_that_are_not_there_are_told_before_the_first_change_and_stop_their_branch() {
    let disk = |storage: &str, more: &str| {
        with(&format!(
            "  disk {{\n    interface    = \"scsi0\"\n    datastore_id = \"{storage}\"\n    size         = 8\n{more}  }}"
        ))
    };
    let other = VM.replace("\"web\" {", "\"other\" {").replace("501", "502");
    let case = Case::new(VM);
    for (main, parts) in [
        (disk("fast", ""), ["No storage fast on abel", "local-lvm"]),
        (
            with("  network_device {\n    bridge = \"vmbr7\"\n  }"),
            ["main.tf line", "The node has: vmbr0"],
        ),
        (
            with("  hostpci {\n    device  = \"hostpci0\"\n    mapping = \"gpu\"\n  }"),
            ["No pci mapping gpu", "Mapping.Use"],
        ),
        (
            with("  clone {\n    vm_id = 900\n  }"),
            ["main.tf line", "No VM 900 to clone"],
        ),
        (
            with("  cdrom {\n    file_id = \"local:iso/none.iso\"\n  }"),
            ["main.tf line", "No file local:iso/none.iso"],
        ),
        (
            disk(
                "local-lvm",
                "    import_from  = \"local:import/none.qcow2\"\n",
            ),
            ["main.tf line", "download it first"],
        ),
    ] {
        // Some of it is looked for when the machine starts.
        let main = main.replace("started   = false", "started   = true");
        case.write(&format!("{main}{other}"));
        case.refused(&parts);
        case.holds(&["other"]);
    }
    case.write(&format!("{VM}{other}"));
    case.succeeds();
}

#[test]
fn a_missing_privilege_is_told_with_the_command_that_grants_it() {
    let case = Case::new(VM);
    case.fault("proxmox.no-privilege.VM.Allocate");
    case.refused(&[
        "has no VM.Allocate on /vms/501",
        "pveum acl modify /vms/501 --roles",
    ]);
    case.fault("--clear");
    case.succeeds();
}

#[test]
fn a_token_that_expired_is_told() {
    let case = Case::new(VM);
    case.fault("proxmox.token-expired");
    case.refused(&[
        "proxmox_virtual_environment_vm.web",
        "401",
        "Check the API token",
    ]);
    case.fault("--clear");
    case.succeeds();
}

/// Two machines on two nodes.
fn pair() -> String {
    let other = VM.replace("\"web\" {", "\"other\" {");
    let other = other.replace("501", "502").replace("abel", "cantor");
    format!("{VM}{other}")
}

#[test]
fn a_node_that_goes_away_stops_what_is_on_it_and_nothing_else() {
    for (fault, status) in [("node-down", "595"), ("node-timeout", "596")] {
        let case = Case::new(&pair());
        case.fault(&format!("proxmox.{fault}.cantor"));
        case.refused(&[
            "proxmox_virtual_environment_vm.other",
            status,
            "pvecm status",
        ]);
        case.holds(&["web"]);
        case.fault("--clear");
        case.succeeds();
        case.holds(&["other", "web"]);
    }
}

#[test]
fn a_task_that_the_node_lost_leaves_nothing_behind() {
    let case = Case::new(&pair());
    case.fault("proxmox.task-lost*1");
    case.refused(&["does not know the task any more", "Plan again"]);
    case.succeeds();
    case.holds(&["other", "web"]);
}

#[test]
fn what_somebody_changed_since_the_plan_is_not_overwritten() {
    let case = Case::new(VM);
    case.succeeds();
    case.write(&with("  description = \"for the web\""));
    let planned = case.stead(&["plan", "-no-color", "-out=later"]);
    assert!(planned.status.success(), "{}", text(&planned));
    case.fault("proxmox.vm-edited.501*1");
    let output = case.stead(&["apply", "-no-color", "-input=false", "later"]);
    let shown = words(&text(&output));
    assert_eq!(output.status.code(), Some(1), "{shown}");
    for part in ["changed by somebody else", "Plan again", "main.tf line"] {
        assert!(shown.contains(part), "no {part:?} in {shown}");
    }
    // The next plan sees it, and the next apply settles it.
    case.succeeds();
}

#[test]
fn passing_troubles_are_outlasted() {
    for (main, fault) in [(VM, "proxmox*2=503"), (GROUP_ONLY, "azure.throttle*2")] {
        let case = Case::new(main);
        case.fault(fault);
        case.succeeds();
    }
}

#[test]
fn a_connection_that_drops_leaves_nothing_doubled() {
    let case = Case::new(DATASET);
    case.fault("truenas=drop");
    case.refused(&["truenas_dataset.a", "main.tf line 1"]);
    case.fault("--clear");
    case.succeeds();
}

/// A vault whose secrets stay when they are deleted, and are not brought back.
const VAULT: &str = r#"provider "azurerm" {
  resource_provider_registrations = "none"
  features {
    key_vault {
      purge_soft_deleted_secrets_on_destroy = false
      recover_soft_deleted_secrets          = false
    }
  }
}
data "azurerm_client_config" "me" {}
resource "azurerm_resource_group" "a" {
  name     = "rg-a"
  location = "westeurope"
}
resource "azurerm_key_vault" "a" {
  name                       = "kv-bad-input"
  resource_group_name        = azurerm_resource_group.a.name
  location                   = azurerm_resource_group.a.location
  tenant_id                  = data.azurerm_client_config.me.tenant_id
  sku_name                   = "standard"
  rbac_authorization_enabled = true
}
resource "azurerm_role_assignment" "a" {
  scope                = azurerm_key_vault.a.id
  role_definition_name = "Key Vault Secrets Officer"
  principal_id         = data.azurerm_client_config.me.object_id
}
"#;

#[test]
fn a_secret_that_is_soft_deleted_is_told() {
    let secret = r#"resource "azurerm_key_vault_secret" "s" {
  name             = "door"
  key_vault_id     = azurerm_key_vault.a.id
  value_wo         = "open-sesame"
  value_wo_version = 1
  depends_on       = [azurerm_role_assignment.a]
}
"#;
    let whole = format!("{VAULT}{secret}");
    let case = Case::new(&whole);
    case.succeeds();
    case.write(VAULT);
    case.succeeds();
    case.write(&whole);
    case.refused(&[
        "azurerm_key_vault_secret.s",
        "main.tf line",
        "deleted",
        "recover",
    ]);
    case.keeps("open-sesame");
    case.write(&whole.replace("= \"door\"", "= \"gate\""));
    case.succeeds();
}

#[test]
fn patches_that_talos_does_not_know_are_told() {
    let cluster = |patch: &str| {
        format!(
            r#"resource "talos_machine_secrets" "s" {{}}
data "talos_machine_configuration" "c" {{
  cluster_name     = "c"
  cluster_endpoint = "https://10.25.150.60:6443"
  machine_type     = "controlplane"
  machine_secrets  = talos_machine_secrets.s.machine_secrets
  config_patches   = ["machine:\n  {patch}\n"]
}}
"#
        )
    };
    let case = Case::new(&cluster("netwrk: {}"));
    case.refused(&["main.tf line 7", "config_patches[0]", "netwrk"]);
    case.write(&cluster("certSANs: 5"));
    case.refused(&["main.tf line 7", "config_patches[0]", "into []string"]);
    case.write(&cluster("certSANs: [a.lab]"));
    case.succeeds();
}
