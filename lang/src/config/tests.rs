//! What configurations say, and what is wrong with wrong ones. The messages' summaries are those of Terraform 1.11.

use std::path::Path;

use stead_value::addr::{ProviderSource, ResourceMode};
use stead_value::schema::Block;

use super::vars::{read_tfvars, value_from_text};
use super::{
    ConfigTree, IgnoreChanges, NothingInstalled, ProviderName, Repetition, Resource, Schemas,
};
use crate::testing::{MemoryFiles, show, show_diagnostics};

/// No provider is known.
struct NoSchemas;

impl Schemas for NoSchemas {
    fn resource(&self, _: &ProviderSource, _: ResourceMode, _: &str) -> Option<&Block> {
        None
    }
}

fn load(text: &str) -> (ConfigTree, String) {
    let (tree, mut diagnostics) =
        ConfigTree::load(&MemoryFiles::parse(text), Path::new("."), &NothingInstalled);
    if !diagnostics.has_errors() {
        diagnostics.extend(tree.check(&NoSchemas));
    }
    let shown = diagnostics
        .iter()
        .zip(show_diagnostics(&diagnostics).lines())
        .map(|(d, line)| format!("{}:{line}\n", d.subject.as_ref().map_or("", |s| &*s.file)))
        .collect();
    (tree, shown)
}

/// What is said of a module, in full.
pub(crate) fn errors_of(text: &str) -> String {
    let (_, diagnostics) =
        ConfigTree::load(&MemoryFiles::parse(text), Path::new("."), &NothingInstalled);
    let told = diagnostics
        .iter()
        .map(|d| format!("{}: {}\n", d.summary, d.detail));
    told.collect()
}

/// The first resource of a module that is right.
#[track_caller]
pub(crate) fn resource_of(text: &str) -> Resource {
    let tree = good(text);
    let resource = tree.root.module.resources.values().next();
    resource.expect("a resource").clone()
}

fn problems(text: &str) -> String {
    load(text).1
}

#[track_caller]
fn good(text: &str) -> ConfigTree {
    let (tree, problems) = load(text);
    assert_eq!(problems, "");
    tree
}

#[test]
fn a_module_says_all_it_says() {
    let tree = good(
        r#"
terraform {
  required_version = ">= 1.5"
  required_providers {
    px = { source = "bpg/proxmox", version = "~> 0.70" }
  }
  backend "local" { path = "x" }
}
variable "nodes" {
  type = map(object({ cpu = optional(number, 2), tags = optional(list(string), []) }))
  default = { a = {} }
  validation {
    condition     = length(var.nodes) > 0
    error_message = "None."
  }
}
provider "px" {
  alias    = "west"
  endpoint = "https://x"
}
locals {
  one = 1
}
resource "proxmox_vm" "n" {
  provider = px.west
  for_each = var.nodes
  name     = each.key
  depends_on = [module.child]
  disk {
    size = local.one
  }
  lifecycle {
    ignore_changes = [disk[0].size, name]
    create_before_destroy = true
    postcondition {
      condition     = self.name != ""
      error_message = "x"
    }
  }
}
data "http" "u" {
  url = "http://x"
}
module "child" {
  source    = "./child"
  name      = data.http.u.body
  providers = { px.here = px.west }
}
output "o" {
  value     = module.child.out
  sensitive = true
}
moved {
  from = proxmox_vm.old
  to   = proxmox_vm.n["a"]
}
removed {
  from = null_resource.gone
  lifecycle { destroy = false }
}
-- child/main.tofu
terraform {
  required_providers {
    px = { source = "bpg/proxmox", configuration_aliases = [px.here] }
  }
}
variable "name" {}
output "out" { value = "${var.name}!" }
resource "proxmox_vm" "c" { provider = px.here }
-- child/main.tf
this is hidden by main.tofu
"#,
    );
    let root = &tree.root.module;
    let variable = &root.variables["nodes"];
    insta::assert_snapshot!(variable.constraint.ty, @"map(object({cpu = optional(number), tags = optional(list(string))}))");
    insta::assert_snapshot!(show(variable.default.as_ref().unwrap()), @"map(a = {cpu = 2, tags = list()})");
    let vm = root
        .resources
        .values()
        .find(|r| &*r.addr.name == "n")
        .unwrap();
    assert!(matches!(vm.repetition, Repetition::ForEach(_)));
    assert_eq!(
        vm.body.attributes.keys().map(|k| &**k).collect::<Vec<_>>(),
        ["name"]
    );
    assert_eq!(vm.body.blocks.len(), 1);
    assert_eq!(vm.lifecycle.create_before_destroy, Some(true));
    let IgnoreChanges::Paths(paths) = &vm.lifecycle.ignore_changes else {
        panic!()
    };
    assert_eq!(
        paths.iter().map(|(p, _)| p.to_string()).collect::<Vec<_>>(),
        ["disk[0].size", "name"]
    );
    assert!(!root.removed[0].destroy);

    let child = stead_value::addr::Module(vec!["child".into()]);
    let name = |local: &str, alias: Option<&str>| ProviderName {
        local: local.into(),
        alias: alias.map(Into::into),
    };
    let shown = |path: &stead_value::addr::Module, n| {
        tree.resolve_provider(path, &n).map(|p| p.to_string())
    };
    assert_eq!(
        shown(&child, name("px", Some("here"))).unwrap(),
        "provider[\"registry.terraform.io/bpg/proxmox\"].west"
    );
    assert_eq!(
        shown(&child, name("null", None)).unwrap(),
        "provider[\"registry.terraform.io/hashicorp/null\"]"
    );
    assert_eq!(shown(&child, name("px", Some("there"))), None);
}

#[test]
fn what_does_not_belong_is_refused() {
    insta::assert_snapshot!(problems(r#"
foo = 1
resorce "a" "b" {}
variable "x" {
  tpye = string
}
variable "x" {}
variable "y" {
  type    = list(strin)
  default = []
}
variable "z" {
  type    = number
  default = "a"
}
variable "count" {}
output "o" {}
resource "a" {}
resource "null_resource" "r" {
  count    = 1
  for_each = {}
}
resource "null_resource" "r" {}
provider "p" "q" {}
ephemeral "a" "b" {}
module "m" {
  source = "./nowhere"
}
module "n" {}
terraform {
  cloud {}
}
"#), @r#"
    main.tf:2:1-2:4 Unsupported argument: An argument named "foo" is not expected here.
    main.tf:3:1-3:8 Unsupported block type: Blocks of type "resorce" are not expected here. Did you mean "resource"?
    main.tf:5:3-5:7 Unsupported argument: An argument named "tpye" is not expected here. Did you mean "type"?
    main.tf:9:18-9:23 Invalid type specification: The keyword "strin" is not a valid type specification.
    main.tf:14:13-14:16 Invalid default value for variable: This default value is not compatible with the variable's type constraint: a number is required.
    main.tf:16:10-16:17 Invalid variable name: The variable name "count" is reserved due to its special meaning inside module blocks.
    main.tf:17:12-17:12 Missing required argument: The argument "value" is required, but no definition was found.
    main.tf:18:14-18:15 Missing name for resource: All resource blocks must have 2 labels (type, name).
    main.tf:21:3-21:11 Invalid combination of "count" and "for_each": The "count" and "for_each" meta-arguments are mutually-exclusive, only one should be used to be explicit about the number of resources to be created.
    main.tf:24:14-24:17 Extraneous label for provider: Only 1 labels (name) are expected for provider blocks.
    main.tf:29:12-29:12 Missing required argument: The argument "source" is required, but no definition was found.
    main.tf:31:3-31:8 HCP Terraform and Terraform Enterprise are not supported yet: A block of type "cloud" is valid Terraform, but stead can't act on it yet. Remove it, or keep this configuration with Terraform for now.
    main.tf:7:1-7:13 Duplicate variable declaration: A variable named "x" was already declared at main.tf:4,1-13. Variable names must be unique within a module.
    main.tf:23:1-23:29 Duplicate resource "null_resource" configuration: A null_resource resource named "r" was already declared at main.tf:19,1-29. Resource names must be unique per type in each module.
    "#);
}

#[test]
fn references_must_lead_somewhere() {
    insta::assert_snapshot!(problems(r#"
locals {
  alpha = var.naem
  beta  = local.alpah
  gamma = try(null_resource.x.id, module.c.no, module.d.out)
  each  = each.key
}
variable "name" {}
resource "null_resource" "a" {
  triggers = { i = count.index, s = self.id }
  dynamic "thing" {
    for_each = [1]
    content {
      value = thing.value
      other = things.value
    }
  }
}
module "c" {
  source = "./c"
  wrong  = 1
}
-- c/main.tf
variable "needed" {}
output "out" { value = 1 }
"#), @r#"
    main.tf:21:3-21:8 Unsupported argument: An argument named "wrong" is not expected here.
    main.tf:19:12-19:12 Missing required argument: The argument "needed" is required, but no definition was found.
    main.tf:3:11-3:19 Reference to undeclared input variable: An input variable with the name "naem" has not been declared. Did you mean "name"?
    main.tf:4:11-4:22 Reference to undeclared local value: A local value with the name "alpah" has not been declared. Did you mean "alpha"?
    main.tf:5:15-5:30 Reference to undeclared resource: A managed resource "null_resource" "x" has not been declared in the root module. Did you mean "null_resource.a"?
    main.tf:5:48-5:60 Reference to undeclared module: No module call named "d" is declared in the root module. Did you mean "c"?
    main.tf:6:11-6:19 Reference to "each" in context without for_each: The "each" object can be used only in "module" or "resource" blocks, and only when the "for_each" argument is set.
    main.tf:10:20-10:31 Reference to "count" in non-counted context: The "count" object can only be used in "module", "resource", and "data" blocks, and only when the "count" argument is set.
    main.tf:10:37-10:41 Invalid "self" reference: The "self" object is not available in this context. This object can be used only in resource provisioner, connection, and postcondition blocks.
    main.tf:15:15-15:27 Reference to undeclared resource: A managed resource "things" "value" has not been declared in the root module.
    "#);
    insta::assert_snapshot!(problems(r#"
module "c" { source = "./c" }
-- c/main.tf
module "again" { source = "../c" }
"#), @r#"c/main.tf:1:27-1:33 Module calls itself: The module in c is called from within itself, which never ends."#);
}

#[test]
fn override_files_change_the_others() {
    let tree = good(
        r#"
locals {
  a = 1
  b = 2
}
variable "v" { default = 1 }
resource "x_y" "z" {
  name = "base"
  size = 1
  disk { n = 1 }
  disk { n = 2 }
  lifecycle { prevent_destroy = true }
}
-- override.tf
locals { b = 3 }
variable "v" { default = 9 }
resource "x_y" "z" {
  name = "new"
  disk { n = 3 }
  lifecycle { create_before_destroy = true }
}
"#,
    );
    let module = &tree.root.module;
    assert_eq!(module.locals["b"].value.text(), "3");
    assert_eq!(show(module.variables["v"].default.as_ref().unwrap()), "9");
    let resource = &module.resources[0];
    assert_eq!(resource.body.attributes["name"].expr.text(), "\"new\"");
    assert_eq!(resource.body.attributes["size"].expr.text(), "1");
    assert_eq!(resource.body.blocks.len(), 1);
    assert_eq!(
        (
            resource
                .lifecycle
                .prevent_destroy
                .as_ref()
                .map(|e| e.text()),
            resource.lifecycle.create_before_destroy
        ),
        (Some("true"), Some(true))
    );
    insta::assert_snapshot!(problems("-- a.tf\n\n-- override.tf\nresource \"a_b\" \"c\" {}\n"), @r#"override.tf:1:1-1:19 Missing resource to override: There is no a_b resource named "c". An override file can only override a resource block defined in a primary configuration file."#);
}

#[test]
fn variables_take_values_from_files_and_texts() {
    let tree = good(
        r#"
variable "s" {}
variable "n" { type = number }
variable "l" {
  type     = list(object({ a = optional(string, "d") }))
  nullable = false
  default  = []
}
variable "p" {
  type      = string
  sensitive = true
}
"#,
    );
    let variables = &tree.root.module.variables;
    let text = |name: &str, text: &str| {
        let (value, diagnostics) = value_from_text(&variables[name], text);
        match value {
            Some(value) => match variables[name].accept(&value.value) {
                Ok(value) => show(&value),
                Err(d) => format!("{}: {}", d.summary, d.detail),
            },
            None => show_diagnostics(&diagnostics),
        }
    };
    assert_eq!(text("s", "13"), "\"13\"");
    assert_eq!(text("n", "13"), "13");
    assert_eq!(text("l", "[{}]"), "list({a = \"d\"})");
    assert_eq!(text("l", "null"), "list()");
    assert_eq!(text("p", "geheim"), "sensitive(\"geheim\")");
    insta::assert_snapshot!(text("n", "x"), @r#"Invalid value for input variable: The given value is not suitable for var.n declared at main.tf:3,1-13: a number is required."#);
    insta::assert_snapshot!(text("l", "[foo]"), @"1:2-1:5 Variables not allowed: Variables may not be used here.");

    let files = MemoryFiles::parse(
        "-- a.tfvars\ns = \"x\"\nn = 1 + 1\n-- b.tfvars.json\n{\"l\": [{\"a\": 1}], \"n\": 1e30}\n-- c.tfvars\nvariable \"x\" {}\n",
    );
    let read = |name: &str| {
        let (values, _, diagnostics) = read_tfvars(&files, Path::new(name));
        let shown: Vec<String> = values
            .iter()
            .map(|(k, v)| format!("{k} = {}", show(&v.value)))
            .collect();
        shown.join("\n") + &show_diagnostics(&diagnostics)
    };
    assert_eq!(read("a.tfvars"), "s = \"x\"\nn = 2");
    assert_eq!(
        read("b.tfvars.json"),
        "l = [{a = 1}]\nn = 1000000000000000000000000000000"
    );
    insta::assert_snapshot!(read("c.tfvars"), @r#"
    1:1-1:9 Variable declaration in .tfvars file: A .tfvars file is used to assign values to variables that have already been declared in .tf files, not to declare new variables. To declare variable "x", place this block in one of your .tf files, such as variables.tf.

    To set a value for this variable in c.tfvars, use the definition syntax instead:
        x = <value>
    "#);
    insta::assert_snapshot!(read("none.tfvars"), @"Failed to read file: The file none.tfvars could not be read: entity not found.");
}
