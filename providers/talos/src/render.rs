//! Machine configurations as text: patched, compared, identified.

use sha2::{Digest, Sha256};
use stead_sdk::Error;
use stead_sdk::value::{Diagnostic, Path};

use crate::machinery::{
    PatchError, Quirk, Release, apply_patches, apply_patches_watched, canonical,
};

/// Applies patches as the release that the configuration is written for does.
pub(crate) fn patched(config: &str, patches: &[String]) -> Result<String, Diagnostic> {
    patched_watched(config, patches, &mut Vec::new())
}

/// The same, and what the patches do beyond what they say.
pub(crate) fn patched_watched(
    config: &str,
    patches: &[String],
    quirks: &mut Vec<Quirk>,
) -> Result<String, Diagnostic> {
    // A release is recognised by what it understands; the newer one understands all of the older one.
    let mut attempt = |release| {
        quirks.clear();
        apply_patches_watched(config, patches, release, quirks)
    };
    let result = attempt(Release::V1_13).or_else(|_| attempt(Release::V1_14));
    result.map_err(|error| {
        let culprit = culprit(patches.len(), |n| {
            apply_patches(config, patches.get(..n).unwrap_or(patches), Release::V1_14).is_ok()
        });
        patch_diagnostic(&error.to_string(), culprit)
    })
}

/// The first patch that cannot be applied, when those before it can.
pub(crate) fn culprit(count: usize, works: impl Fn(usize) -> bool) -> Option<usize> {
    (1..=count)
        .find(|n| !works(*n))
        .map(|n| n - 1)
        .filter(|_| works(0))
}

/// The diagnostic for a patch that was refused.
pub(crate) fn patch_diagnostic(said: &str, index: Option<usize>) -> Diagnostic {
    let place = Path::root().attr("config_patches");
    let (asked, place) = match index {
        Some(index) => (
            format!("apply config_patches[{index}]"),
            place.index_number(index),
        ),
        None => ("apply the configuration patches".to_owned(), place),
    };
    Error::new(asked, said).at(place).into()
}

/// Whether two configurations mean the same to Talos, however they are written.
pub(crate) fn same(one: &str, other: &str) -> bool {
    if one == other {
        return true;
    }
    let read = |text: &str| -> Result<String, PatchError> { canonical(text, Release::V1_14) };
    matches!((read(one), read(other)), (Ok(one), Ok(other)) if one == other)
}

/// SHA-256 of a configuration, in hex.
pub(crate) fn hash(config: &str) -> String {
    let digest = Sha256::digest(config.as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
