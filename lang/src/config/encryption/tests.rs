use std::path::Path;

use stead_value::Value;

use super::super::{EarlyValues, Module, load_module};
use super::{EncryptionConfig, EncryptionScope, EncryptionTarget, Keys, encryption_from_text};
use crate::syntax::Expression;
use crate::testing::{MemoryFiles, show, show_diagnostics};

fn module(text: &str) -> (Module, String) {
    let (module, diagnostics) = load_module(&MemoryFiles::parse(text), Path::new(""));
    (module, show_diagnostics(&diagnostics))
}

/// A root module with this in its `encryption` block.
fn stack(encryption: &str) -> Module {
    let (module, problems) = module(&format!(
        "-- main.tf\nvariable \"v\" {{\n  default   = \"from a variable\"\n  sensitive = true\n}}\nterraform {{\n  encryption {{\n{encryption}\n  }}\n}}\n"
    ));
    assert_eq!(problems, "");
    module
}

fn config(module: &Module) -> &EncryptionConfig {
    module.terraform.encryption.as_ref().expect("a block")
}

fn in_scope<T>(module: &Module, ask: impl FnOnce(&EncryptionScope<'_>) -> T) -> T {
    let (files, values) = (MemoryFiles::parse(""), EarlyValues::default());
    ask(&EncryptionScope::new(
        &files,
        module,
        &values,
        config(module),
    ))
}

/// The methods of a target by name, and what is wrong with them.
fn methods(module: &Module, target: &EncryptionTarget) -> (Vec<String>, String) {
    in_scope(module, |scope| {
        let (methods, diagnostics) = scope.methods(target);
        let names = methods.iter().map(|m| m.name.to_string()).collect();
        (names, show_diagnostics(&diagnostics))
    })
}

/// What an argument of the block's only method, or only key provider, stands for.
fn keys(module: &Module, expr: &Expression) -> String {
    in_scope(module, |scope| match scope.keys(expr) {
        Ok(Keys::Provider(provider)) => provider.name.to_string(),
        Ok(Keys::Value(value)) => show(&value),
        Err(diagnostics) => show_diagnostics(&diagnostics),
    })
}

#[test]
fn a_block_says_what_seals_and_what_opens() {
    let module = stack(
        r#"
    key_provider "pbkdf2" "main" {
      passphrase               = var.v
      encrypted_metadata_alias = "shared"
    }
    method "aes_gcm" "new" {
      keys = key_provider.pbkdf2.main
    }
    method "unencrypted" "old" {}
    state {
      method = method.aes_gcm.new
      fallback {
        method = method.unencrypted.old
      }
    }
    plan {
      enforced = true
      method   = method.aes_gcm.new
    }
    remote_state_data_sources {
      default {
        method = method.aes_gcm.new
      }
      remote_state_data_source "net.base[0]" {
        method = method.unencrypted.old
      }
    }"#,
    );
    let found = config(&module);
    let provider = &found.key_providers[0];
    assert_eq!(provider.alias.as_deref(), Some("shared"));
    assert!(
        provider
            .body
            .attribute("encrypted_metadata_alias")
            .is_none()
    );
    let state = found.state.as_ref().expect("a target");
    assert_eq!(
        methods(&module, state),
        (
            vec!["aes_gcm.new".into(), "unencrypted.old".into()],
            String::new()
        )
    );
    assert!(found.plan.as_ref().is_some_and(|p| p.enforced) && !state.enforced);
    assert!(found.remote_default.is_some());
    assert!(found.remotes.contains_key("net.base[0]"));
    let argument = &found.methods[0].body.attributes["keys"].expr;
    assert_eq!(keys(&module, argument), "pbkdf2.main");
}

#[test]
fn json_says_the_same() {
    let (config, diagnostics) = encryption_from_text(
        "TF_ENCRYPTION",
        r#"{
  "key_provider": {
    "static": { "s": { "key": "00" } },
    "pbkdf2": { "p": { "chain": "${key_provider.static.s}" }, "q": { "chain": "key_provider.static.s" } }
  },
  "method": { "aes_gcm": { "m": { "keys": "key_provider.pbkdf2.p" } } },
  "state": { "enforced": true, "method": "method.aes_gcm.m" },
  "plan": { "method": "method.aes_gcm.m" }
}"#,
    );
    assert_eq!(show_diagnostics(&diagnostics), "");
    let mut module = stack("");
    module.terraform.encryption = Some(config);
    let found = super::tests::config(&module);
    for target in [&found.state, &found.plan] {
        let target = target.as_ref().expect("a target");
        assert_eq!(
            methods(&module, target),
            (vec!["aes_gcm.m".into()], String::new())
        );
    }
    for provider in found.key_providers.values().skip(1) {
        let chain = &provider.body.attributes["chain"].expr;
        assert_eq!(keys(&module, chain), "static.s");
    }
    let argument = &found.methods[0].body.attributes["keys"].expr;
    assert_eq!(keys(&module, argument), "pbkdf2.p");
}

#[test]
fn keys_may_be_written_out_or_refused() {
    let shown = |expression: &str| {
        let module = stack(&format!(
            "method \"aes_gcm\" \"m\" {{\n  keys = {expression}\n}}\nkey_provider \"static\" \"s\" {{}}"
        ));
        let found = config(&module);
        keys(&module, &found.methods[0].body.attributes["keys"].expr)
    };
    assert_eq!(
        shown("{ encryption_key = [1, 2], decryption_key = null }"),
        "{decryption_key = null(any), encryption_key = [1, 2]}"
    );
    for (expression, expected) in [
        (
            "key_provider.static.t",
            "Reference to undeclared key provider",
        ),
        (
            "key_provider.static",
            "Invalid Key Provider expression format",
        ),
        (
            "[key_provider.static.s]",
            "Key provider within an expression",
        ),
        ("var.v", "Expected key_provider value"),
        ("{ key = 1 }", "Missing encryption_key value"),
        ("terraform_data.x.id", "Dynamic value in static context"),
    ] {
        let text = shown(expression);
        assert!(text.contains(expected), "{expression}: {text}");
        assert!(!text.contains("from a variable"), "{text}");
    }
}

#[test]
fn arguments_are_evaluated_early_and_bear_no_marks() {
    use stead_value::schema::{Attribute, Block};
    let module = stack("key_provider \"x\" \"y\" {\n  passphrase = \"${var.v}!\"\n}");
    let mut schema = Block::default();
    schema.attributes.insert(
        "passphrase".into(),
        Attribute {
            optional: true,
            ..Attribute::new(stead_value::Type::String)
        },
    );
    let body = &config(&module).key_providers[0].body;
    let decoded = in_scope(&module, |scope| scope.decode(body, &schema));
    assert_eq!(show_diagnostics(&decoded.diagnostics), "");
    assert_eq!(
        decoded.value.get("passphrase"),
        Some(Value::string("from a variable!"))
    );
}

#[test]
fn what_is_wrong_is_said_where_it_stands() {
    let (_, problems) = module(
        r#"-- main.tf
terraform {
  encryption {
    key_provider "static" "s" {
      key = "00"
    }
    key_provider "static" "s" {
      other {}
    }
    key_provider "st atic" "" {}
    method "aes_gcm" {}
    method "aes_gcm" "m" {}
    method "aes_gcm" "m" {}
    state {
      forced = true
    }
    state {}
    plan {
      fallback {
        enforced = true
      }
    }
    remote {}
  }
  encryption {}
}
"#,
    );
    for expected in [
        "6:5-6:30 Duplicate key_provider: Found multiple instances of key_provider.static.s",
        "Unexpected \"other\" block",
        "9:18-9:27 The provided key provider type is invalid",
        "The provided key provider name is invalid",
        "Missing name for method",
        "Duplicate method: Found multiple instances of method.aes_gcm.m",
        "14:7-14:13 Unsupported argument: An argument named \"forced\" is not expected here. Did you mean \"enforced\"?",
        "16:5-16:10 Duplicate state block",
        "19:9-19:17 Unsupported argument",
        "22:5-22:11 Unsupported block type",
        "24:3-24:13 Duplicate encryption configuration: A module may have only one encryption configuration. Encryption was previously configured at main.tf:2,3-13.",
    ] {
        assert!(problems.contains(expected), "{expected}\n{problems}");
    }
}

#[test]
fn targets_must_name_methods_that_are_there() {
    let wrong = |target: &str| {
        let module = stack(&format!(
            "method \"unencrypted\" \"u\" {{}}\nstate {{\n{target}\n}}"
        ));
        let state = config(&module).state.as_ref().expect("a target");
        methods(&module, state).1
    };
    for (target, expected) in [
        ("", "Missing required argument"),
        (
            "method = method.aes_gcm.x",
            "Reference to undeclared encryption method",
        ),
        ("method = aes_gcm.x", "Invalid encryption method identifier"),
        ("method = \"method.x.y\"", "Invalid expression"),
        (
            "method = method.unencrypted.u\nenforced = true",
            "Unencrypted method is forbidden",
        ),
        (
            "method = method.unencrypted.u\nfallback {\nmethod = method.a.b\n}",
            "Reference to undeclared encryption method",
        ),
    ] {
        let text = wrong(target);
        assert!(text.contains(expected), "{target}: {text}");
    }
}

#[test]
fn one_configuration_goes_over_another() {
    let base = stack(
        r#"
    key_provider "pbkdf2" "main" {
      passphrase = "in the file"
      key_length = 32
    }
    method "aes_gcm" "m" {
      keys = key_provider.pbkdf2.main
    }
    state {
      enforced = true
      method   = method.aes_gcm.m
    }"#,
    );
    let (over, diagnostics) = encryption_from_text(
        "TF_ENCRYPTION",
        r#"
key_provider "pbkdf2" "main" {
  passphrase = "in the environment"
}
key_provider "static" "s" {
  key = "00"
}
state {
  fallback {
    method = method.unencrypted.u
  }
}
plan {
  method = method.aes_gcm.m
}"#,
    );
    assert_eq!(show_diagnostics(&diagnostics), "");
    let merged = config(&base).clone().merge(over);
    let text = |name: &str| merged.key_providers[0].body.attributes[name].expr.text();
    assert_eq!(text("passphrase"), "\"in the environment\"");
    assert_eq!(text("key_length"), "32");
    assert_eq!(merged.key_providers.len(), 2);
    let state = merged.state.expect("a target");
    assert!(state.enforced && state.method.is_some() && state.fallback.is_some());
    assert!(merged.plan.is_some());
}

#[test]
fn an_override_file_goes_over_the_block() {
    let (module, problems) = module(
        r#"-- main.tf
terraform {
  encryption {
    method "unencrypted" "u" {}
    state {
      method = method.unencrypted.u
    }
  }
}
-- x_override.tf
terraform {
  encryption {
    method "aes_gcm" "m" {}
    state {
      method = method.aes_gcm.m
    }
  }
}
"#,
    );
    assert_eq!(problems, "");
    let state = config(&module).state.as_ref().expect("a target");
    assert_eq!(methods(&module, state).0, ["aes_gcm.m"]);
    let (_, problems) = super::tests::module(
        "-- main.tf\n-- override.tf\nterraform {\n  encryption {}\n  encryption {}\n}\n",
    );
    assert!(
        problems.contains("Each override file may have only one encryption"),
        "{problems}"
    );
}

#[test]
fn a_text_that_cannot_be_read_says_so_once() {
    for text in ["state {", "{\"state\": 3}", "state = 3"] {
        let (_, diagnostics) = encryption_from_text("TF_ENCRYPTION", text);
        assert_eq!(diagnostics.len(), 1, "{}", show_diagnostics(&diagnostics));
        let place = diagnostics.iter().next().and_then(|d| d.subject.clone());
        assert!(place.is_some_and(|p| p.file.starts_with("TF_ENCRYPTION")));
    }
}
