//! How a plan comes about: the rules that follow from a schema alone, and the draft that resources may adjust.

mod align;
mod checks;
mod draft;
mod proposed;
mod rules;
pub(crate) mod walk;

pub(crate) use align::{Leniency, align, has_write_only, known_only, null_write_only};
pub(crate) use checks::compile;
pub use draft::PlanDraft;
pub use proposed::proposed_new;
pub(crate) use rules::{check_config, draft_of, refuse_unsupported_with, replacements, volatile};
