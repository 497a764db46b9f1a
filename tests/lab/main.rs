//! The main job, end to end in the lab: from an empty homelab to a cluster that Git owns, and back to empty.

mod bad_input;
mod discover;
mod env;
mod identities;
mod interrupted;
mod killed;
mod published;
mod recover;
mod stacks;
mod sweep;
mod tests_of_stacks;
mod upgrade;
mod versions;
