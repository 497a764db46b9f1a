//! Where keys come from.

use std::fmt;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use sha2::{Sha256, Sha512};
use zeroize::Zeroizing;

use super::{Error, Metadata};

/// A key, or anything else that is wiped when it is no longer needed.
pub type Key = Zeroizing<Vec<u8>>;

/// Text that is never shown.
#[derive(Clone)]
pub struct Secret(Key);

impl Secret {
    pub fn new(bytes: impl Into<Vec<u8>>) -> Secret {
        Secret(Zeroizing::new(bytes.into()))
    }

    fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// A key to seal with, and one to open what the metadata are of. They differ where each sealing has its own salt.
#[derive(Clone)]
pub struct Keys {
    pub encryption: Key,
    /// `None` when there was nothing to open.
    pub decryption: Option<Key>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys(secret)")
    }
}

/// What the `keys` of a method, or the `chain` of a provider, name.
#[derive(Clone, Debug)]
pub enum KeySource {
    Provider(KeyProvider),
    /// Written out in the configuration.
    Literal {
        encryption: Secret,
        decryption: Option<Secret>,
    },
}

impl KeySource {
    /// The keys; what is needed to have them again goes to `made`.
    pub(super) fn provide(&self, found: &Metadata, made: &mut Metadata) -> Result<Keys, Error> {
        match self {
            KeySource::Provider(provider) => provider.provide(found, made),
            KeySource::Literal {
                encryption,
                decryption,
            } => Ok(Keys {
                encryption: encryption.0.clone(),
                decryption: decryption.as_ref().map(|s| s.0.clone()),
            }),
        }
    }
}

/// A `key_provider` block.
#[derive(Clone, Debug)]
pub struct KeyProvider {
    /// `key_provider.pbkdf2.main`, or the alias given instead.
    pub metadata_key: String,
    pub kind: ProviderKind,
}

#[derive(Clone, Debug)]
pub enum ProviderKind {
    Pbkdf2(Pbkdf2),
    Static(Secret),
    /// A command that speaks OpenTofu's protocol of external key providers.
    External(Vec<String>),
    /// Keys that a service wraps.
    Service(Arc<dyn Service>),
}

/// A key provider that lives elsewhere: it wraps and unwraps keys.
pub trait Service: fmt::Debug + Send + Sync {
    /// Keys for `metadata` (JSON; `None` when nothing is to be opened), and the metadata of what is sealed next. An error's text
    /// holds no secret.
    fn keys(&self, metadata: Option<&[u8]>) -> Result<(Keys, Vec<u8>), String>;
}

/// Keys from a passphrase.
#[derive(Clone, Debug)]
pub struct Pbkdf2 {
    pub passphrase: Passphrase,
    pub key_length: usize,
    pub iterations: u32,
    pub hash: Hash,
    pub salt_length: usize,
}

#[derive(Clone, Debug)]
pub enum Passphrase {
    Text(Secret),
    Chain(Arc<KeySource>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Hash {
    Sha256,
    Sha512,
}

/// Fewer characters are refused.
const MINIMUM_PASSPHRASE: usize = 16;
/// Fewer rounds are refused.
const MINIMUM_ITERATIONS: u32 = 200_000;

impl Pbkdf2 {
    /// With OpenTofu's defaults.
    pub fn new(passphrase: Passphrase) -> Pbkdf2 {
        Pbkdf2 {
            passphrase,
            key_length: 32,
            iterations: 600_000,
            hash: Hash::Sha512,
            salt_length: 32,
        }
    }

    /// What is wrong with the settings.
    pub fn check(&self) -> Result<(), String> {
        if let Passphrase::Text(text) = &self.passphrase {
            if text.expose().is_empty() {
                return Err("no passphrase provided and no chained provider defined".into());
            }
            if text.expose().len() < MINIMUM_PASSPHRASE {
                return Err(format!(
                    "passphrase is too short (minimum {MINIMUM_PASSPHRASE} characters)"
                ));
            }
        }
        if self.key_length == 0 {
            return Err("the key length must be larger than zero".into());
        }
        if self.iterations == 0 {
            return Err("the number of iterations must be larger than zero".into());
        }
        if self.iterations < MINIMUM_ITERATIONS {
            return Err(format!(
                "the number of iterations is dangerously low (<{MINIMUM_ITERATIONS}), refusing to generate key"
            ));
        }
        if self.salt_length == 0 {
            return Err("the salt length must be larger than zero".into());
        }
        Ok(())
    }
}

#[derive(Serialize, Deserialize)]
struct Pbkdf2Metadata {
    salt: String,
    iterations: u32,
    hash_function: Hash,
    key_length: usize,
}

#[derive(Serialize, Deserialize)]
struct StaticMetadata {
    magic: String,
}

/// Terraform's greeting to the world: OpenTofu's sign that the metadata are those of a static key.
const STATIC_MAGIC: &str = "Hello world!";

impl KeyProvider {
    fn provide(&self, found: &Metadata, made: &mut Metadata) -> Result<Keys, Error> {
        let failed = |reason: String| Error::Key {
            provider: self.metadata_key.clone(),
            reason,
        };
        let metadata = found.get(&self.metadata_key).map(Vec::as_slice);
        let (keys, next) = match &self.kind {
            ProviderKind::Pbkdf2(settings) => {
                settings.check().map_err(failed)?;
                let passphrases = match &settings.passphrase {
                    Passphrase::Text(text) => Keys {
                        encryption: text.0.clone(),
                        decryption: Some(text.0.clone()),
                    },
                    Passphrase::Chain(source) => source.provide(found, made)?,
                };
                settings.derive(&passphrases, metadata).map_err(failed)?
            }
            ProviderKind::Static(key) => fixed(key, metadata).map_err(failed)?,
            ProviderKind::External(command) => external(command, metadata).map_err(failed)?,
            ProviderKind::Service(service) => service.keys(metadata).map_err(failed)?,
        };
        if made.insert(self.metadata_key.clone(), next).is_some() {
            return Err(Error::DuplicateMetadata(self.metadata_key.clone()));
        }
        Ok(keys)
    }
}

impl Pbkdf2 {
    fn derive(&self, from: &Keys, metadata: Option<&[u8]>) -> Result<(Keys, Vec<u8>), String> {
        if from.encryption.len() < MINIMUM_PASSPHRASE {
            return Err(format!(
                "upstream key provider supplied an encryption key that is too short (minimum {MINIMUM_PASSPHRASE} characters)"
            ));
        }
        let decryption = match (metadata, &from.decryption) {
            (Some(metadata), Some(passphrase)) => {
                let found: Pbkdf2Metadata =
                    serde_json::from_slice(metadata).map_err(|e| e.to_string())?;
                let salt = BASE64.decode(&found.salt).map_err(|e| e.to_string())?;
                Some(derived(
                    passphrase,
                    &salt,
                    found.iterations,
                    found.hash_function,
                    found.key_length,
                )?)
            }
            _ => None,
        };
        let salt: Vec<u8> = (0..self.salt_length).map(|_| rand::random()).collect();
        let encryption = derived(
            &from.encryption,
            &salt,
            self.iterations,
            self.hash,
            self.key_length,
        )?;
        let next = Pbkdf2Metadata {
            salt: BASE64.encode(&salt),
            iterations: self.iterations,
            hash_function: self.hash,
            key_length: self.key_length,
        };
        let next = serde_json::to_vec(&next).map_err(|e| e.to_string())?;
        Ok((
            Keys {
                encryption,
                decryption,
            },
            next,
        ))
    }
}

/// More than anybody asks for: a damaged file must not make us count for hours.
const MAXIMUM_ITERATIONS: u32 = 100_000_000;
const MAXIMUM_KEY: usize = 1024;

fn derived(
    passphrase: &[u8],
    salt: &[u8],
    iterations: u32,
    hash: Hash,
    length: usize,
) -> Result<Key, String> {
    if iterations > MAXIMUM_ITERATIONS {
        return Err(format!("invalid number of iterations ({iterations})"));
    }
    if length > MAXIMUM_KEY {
        return Err(format!("invalid key length ({length})"));
    }
    let mut key = Zeroizing::new(vec![0; length]);
    match hash {
        Hash::Sha256 => pbkdf2::pbkdf2_hmac::<Sha256>(passphrase, salt, iterations, &mut key),
        Hash::Sha512 => pbkdf2::pbkdf2_hmac::<Sha512>(passphrase, salt, iterations, &mut key),
    }
    Ok(key)
}

fn fixed(key: &Secret, metadata: Option<&[u8]>) -> Result<(Keys, Vec<u8>), String> {
    let decryption = match metadata {
        Some(metadata) => {
            let found: StaticMetadata =
                serde_json::from_slice(metadata).map_err(|e| e.to_string())?;
            if found.magic != STATIC_MAGIC {
                return Err(format!(
                    "corrupted data received, no or invalid magic string: {}",
                    found.magic
                ));
            }
            Some(key.0.clone())
        }
        None => None,
    };
    let next = StaticMetadata {
        magic: STATIC_MAGIC.into(),
    };
    let next = serde_json::to_vec(&next).map_err(|e| e.to_string())?;
    Ok((
        Keys {
            encryption: key.0.clone(),
            decryption,
        },
        next,
    ))
}

#[derive(Deserialize)]
struct ExternalHeader {
    magic: String,
    version: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExternalAnswer {
    keys: ExternalKeys,
    #[serde(default)]
    meta: serde_json::Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExternalKeys {
    encryption_key: Option<String>,
    #[serde(default)]
    decryption_key: Option<String>,
}

const EXTERNAL_MAGIC: &str = "OpenTofu-External-Key-Provider";
const EXTERNAL_PATIENCE: Duration = Duration::from_secs(60);

/// Asks a command: the metadata go in, a header line and the keys come out.
fn external(command: &[String], metadata: Option<&[u8]>) -> Result<(Keys, Vec<u8>), String> {
    let Some((program, arguments)) = command.split_first() else {
        return Err("the command option is required".into());
    };
    let output = answer_of(program, arguments, metadata.unwrap_or(b"null"))?;
    let (header, answer) = output.split_at(
        output
            .iter()
            .position(|b| *b == b'\n')
            .ok_or("the external command gave no header line")?,
    );
    let header: ExternalHeader = serde_json::from_slice(header)
        .map_err(|e| format!("failed to unmarshal header from external binary ({e})"))?;
    if header.magic != EXTERNAL_MAGIC {
        return Err(format!(
            "invalid magic received from external key provider: {}",
            header.magic
        ));
    }
    if header.version != 1 {
        return Err(format!(
            "invalid version number received from external key provider: {}",
            header.version
        ));
    }
    // Serde's text would quote what was read.
    let answer: ExternalAnswer = serde_json::from_slice(answer).map_err(|e| {
        format!(
            "the external command returned an invalid JSON response (line {}, column {})",
            e.line(),
            e.column()
        )
    })?;
    let decoded = |text: String| {
        let text = Zeroizing::new(text);
        BASE64
            .decode(text.as_bytes())
            .map(Zeroizing::new)
            .map_err(|_| "the external command gave a key that is not base64".to_owned())
    };
    let encryption = answer
        .keys
        .encryption_key
        .ok_or("the external command gave no encryption key")?;
    let keys = Keys {
        encryption: decoded(encryption)?,
        decryption: answer.keys.decryption_key.map(decoded).transpose()?,
    };
    let next = serde_json::to_vec(&answer.meta).map_err(|e| e.to_string())?;
    Ok((keys, next))
}

fn answer_of(program: &str, arguments: &[String], input: &[u8]) -> Result<Vec<u8>, String> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| format!("the external command {program} could not be started: {e}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A command that does not read its input may have ended already.
        let _ = stdin.write_all(input);
    }
    let id = child.id();
    let (done, waiting) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let _ = done.send(child.wait_with_output());
    });
    let started = Instant::now();
    let output = waiting
        .recv_timeout(EXTERNAL_PATIENCE)
        .map_err(|_| {
            let process = nix::unistd::Pid::from_raw(i32::try_from(id).unwrap_or(i32::MAX));
            // It may just have ended.
            let _ = nix::sys::signal::kill(process, nix::sys::signal::Signal::SIGKILL);
            format!(
                "the external command {program} gave no answer within {} s",
                started.elapsed().as_secs()
            )
        })?
        .map_err(|e| format!("the external command {program}: {e}"))?;
    if output.status.success() {
        Ok(output.stdout)
    } else {
        Err(format!(
            "the external command exited with a non-zero exit code ({})\n\nStderr:\n-------\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        ))
    }
}
