//! Whole commands through the binary: what a user types, and what a user sees.

mod apply;
mod beyond;
mod console;
mod damage;
mod deprecations;
mod diagnostics;
mod differential;
mod encryption;
mod env;
mod history;
mod identities;
mod imports;
mod journal;
mod locking;
mod prompts;
mod races;
mod remote;
mod rollouts;
mod state_json;
mod state_server;
mod terraform;
mod unreadable;
mod upgrades;
mod validate;
mod variables;
