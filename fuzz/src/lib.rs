//! What the targets check is what `cargo test -p stead-lang --test fuzz` checks of the inputs that they found.

#[path = "../../lang/tests/fuzz/checks/mod.rs"]
pub mod checks;
