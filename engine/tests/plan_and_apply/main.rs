//! Plans and applies as a whole, over two small providers.

mod cut_off;
mod ephemeral;
mod evaluator;
mod failures;
mod identities;
mod late_planning;
mod ordering;
mod support;
