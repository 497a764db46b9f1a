//! What people are told when something cannot be sealed or opened, and what they can do about it.

use stead_state::encryption::Error;
use stead_value::Diagnostic;

/// The failure as a diagnostic. `what` is the state or the plan file with its place.
pub(crate) fn explain(what: &str, error: &Error) -> Diagnostic {
    let (summary, remedy) = match error {
        Error::NotConfigured => (
            "Encryption configuration missing",
            "Add the encryption block that it was sealed with to the configuration's terraform block, or give that block's content in the environment variable TF_ENCRYPTION.",
        ),
        Error::Plain => (
            "Unencrypted content where encryption is configured",
            "If it is a state that is to be sealed from now on, run `stead state encrypt`. If it should have been sealed, somebody has replaced it: restore it from a backup.",
        ),
        Error::NoMethod(_) => (
            "Decryption failed",
            "Either the key is another one (look at the passphrase, and at the names or encrypted_metadata_alias of the key providers: they must be those it was sealed with; an older key goes into a fallback), or the content was changed after it was sealed: then restore it from a backup.",
        ),
        Error::Mismatch { .. } => (
            "Encrypted content was tampered with",
            "What the file says of itself outside is not what was sealed: somebody has edited it. Restore it from a backup.",
        ),
        Error::Version(_) => (
            "Encrypted content of another version",
            "It was sealed by a newer release, which can open it.",
        ),
        Error::Key { .. } | Error::NoDecryptionKey => (
            "Unable to fetch encryption key data",
            "Look at the key provider's arguments, and at whether what it asks can be reached.",
        ),
        Error::DuplicateMetadata(_) => ("Duplicate metadata key", ""),
        Error::Method(_) => ("Invalid method configuration", ""),
        Error::Unrecognised(_) => (
            "Encrypted content can't be read",
            "It is damaged: restore it from a backup.",
        ),
    };
    let said = error.to_string();
    let said = said.trim_end_matches('.');
    let remedy = match remedy {
        "" => String::new(),
        remedy => format!("{remedy} "),
    };
    Diagnostic::error(
        summary,
        format!("{what}: {said}.\n\n{remedy}Nothing has been changed."),
    )
}
