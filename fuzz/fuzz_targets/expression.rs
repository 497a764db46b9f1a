//! Expressions without references: evaluating never panics, and twice gives the same.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use stead_lang::expr::{Environment, Reference, Resolved, Scope, evaluate};
use stead_lang::syntax::{SourceFile, parse_expression};

/// Nothing can be named; pure functions can be called.
struct Nothing;

impl stead_lang::Files for Nothing {
    fn read(&self, _: &std::path::Path) -> std::io::Result<Vec<u8>> {
        Err(std::io::ErrorKind::NotFound.into())
    }

    fn list(&self, _: &std::path::Path) -> std::io::Result<Vec<String>> {
        Err(std::io::ErrorKind::NotFound.into())
    }

    fn exists(&self, _: &std::path::Path) -> bool {
        false
    }

    fn walk(&self, _: &std::path::Path) -> std::io::Result<Vec<String>> {
        Err(std::io::ErrorKind::NotFound.into())
    }
}

impl Scope for Nothing {
    fn resolve(&self, _: &Reference<'_>) -> Resolved {
        Resolved::Failed
    }

    fn environment(&self) -> Environment<'_> {
        Environment {
            files: self,
            working_directory: None,
            home_directory: None,
            plan_timestamp: None,
            world: None,
        }
    }
}

fuzz_target!(|text: &str| {
    // Some functions make much of little; that is theirs to bound, not to be found slow here.
    if ["bcrypt", "range", "pow", "format", "cidr", "indent", "setproduct"].iter().any(|f| text.contains(f)) {
        return;
    }
    let file = Arc::new(SourceFile::new("fuzz", text));
    let (expr, diagnostics) = parse_expression(&file);
    if !diagnostics.has_errors() {
        let (once, twice) = (evaluate(&expr, &Nothing), evaluate(&expr, &Nothing));
        assert_eq!(once.value, twice.value);
    }
});
