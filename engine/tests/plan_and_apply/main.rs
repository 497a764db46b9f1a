//! Plans and applies as a whole, over two small providers.

mod failures;
mod late_planning;
mod support;
