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

/// What a key is for.
pub enum Purpose<'a> {
    /// To open what these metadata were written with.
    Open(&'a Metadata),
    /// To seal; what is needed to have the key again goes in here.
    Seal(&'a mut Metadata),
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
    pub(super) fn key(&self, purpose: Purpose<'_>) -> Result<Key, Error> {
        match self {
            KeySource::Provider(provider) => provider.key(purpose),
            KeySource::Literal {
                encryption,
                decryption,
            } => match (purpose, decryption) {
                (Purpose::Seal(_), _) => Ok(encryption.0.clone()),
                (Purpose::Open(_), Some(key)) => Ok(key.0.clone()),
                (Purpose::Open(_), None) => Err(Error::NoDecryptionKey),
            },
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
    Service(Arc<dyn KeyService>),
}

/// A service that keeps a key of its own, with which it wraps those that seal.
pub trait KeyService: fmt::Debug + Send + Sync {
    /// A new key, and what [`KeyService::again`] needs to give it once more, as JSON.
    ///
    /// # Errors
    /// What was asked, what the service said and what to do, without secrets.
    fn new_key(&self) -> Result<(Key, Vec<u8>), String>;

    /// The key that these metadata were made with.
    ///
    /// # Errors
    /// As for [`KeyService::new_key`]; also when the metadata are none of its own.
    fn again(&self, metadata: &[u8]) -> Result<Key, String>;
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
    fn key(&self, purpose: Purpose<'_>) -> Result<Key, Error> {
        let failed = |reason: String| Error::Key {
            provider: self.metadata_key.clone(),
            reason,
        };
        match purpose {
            Purpose::Open(found) => {
                let metadata = found.get(&self.metadata_key);
                let metadata = metadata.ok_or(Error::NoDecryptionKey)?;
                let key = match &self.kind {
                    ProviderKind::Pbkdf2(settings) => {
                        let passphrase = match &settings.passphrase {
                            Passphrase::Text(text) => text.0.clone(),
                            Passphrase::Chain(source) => source.key(Purpose::Open(found))?,
                        };
                        again(&passphrase, metadata)
                    }
                    ProviderKind::Static(key) => fixed_again(key, metadata),
                    ProviderKind::Service(service) => service.again(metadata),
                    ProviderKind::External(command) => {
                        external(command, metadata).and_then(|(keys, _)| {
                            keys.decryption
                                .ok_or("the external command gave no decryption key".into())
                        })
                    }
                };
                key.map_err(failed)
            }
            Purpose::Seal(made) => {
                let (key, metadata) = match &self.kind {
                    ProviderKind::Pbkdf2(settings) => {
                        let passphrase = match &settings.passphrase {
                            Passphrase::Text(text) => text.0.clone(),
                            Passphrase::Chain(source) => source.key(Purpose::Seal(made))?,
                        };
                        settings.derive(&passphrase)
                    }
                    ProviderKind::Static(key) => fixed(key),
                    ProviderKind::Service(service) => service.new_key(),
                    ProviderKind::External(command) => {
                        external(command, b"null").and_then(|(keys, metadata)| {
                            let key = keys.encryption;
                            let key = key.ok_or("the external command gave no encryption key")?;
                            Ok((key, metadata))
                        })
                    }
                }
                .map_err(failed)?;
                match made.insert(self.metadata_key.clone(), metadata) {
                    None => Ok(key),
                    Some(_) => Err(Error::DuplicateMetadata(self.metadata_key.clone())),
                }
            }
        }
    }
}

impl Pbkdf2 {
    fn derive(&self, passphrase: &[u8]) -> Result<(Key, Vec<u8>), String> {
        if passphrase.len() < MINIMUM_PASSPHRASE {
            return Err(format!(
                "upstream key provider supplied an encryption key that is too short (minimum {MINIMUM_PASSPHRASE} characters)"
            ));
        }
        let salt: Vec<u8> = (0..self.salt_length).map(|_| rand::random()).collect();
        let key = derived(
            passphrase,
            &salt,
            self.iterations,
            self.hash,
            self.key_length,
        )?;
        let metadata = Pbkdf2Metadata {
            salt: BASE64.encode(&salt),
            iterations: self.iterations,
            hash_function: self.hash,
            key_length: self.key_length,
        };
        let metadata = serde_json::to_vec(&metadata).map_err(|e| e.to_string())?;
        Ok((key, metadata))
    }
}

/// The key that was derived before.
fn again(passphrase: &[u8], metadata: &[u8]) -> Result<Key, String> {
    let found: Pbkdf2Metadata = serde_json::from_slice(metadata).map_err(|e| e.to_string())?;
    let salt = BASE64.decode(&found.salt).map_err(|e| e.to_string())?;
    derived(
        passphrase,
        &salt,
        found.iterations,
        found.hash_function,
        found.key_length,
    )
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

fn fixed(key: &Secret) -> Result<(Key, Vec<u8>), String> {
    let metadata = StaticMetadata {
        magic: STATIC_MAGIC.into(),
    };
    let metadata = serde_json::to_vec(&metadata).map_err(|e| e.to_string())?;
    Ok((key.0.clone(), metadata))
}

fn fixed_again(key: &Secret, metadata: &[u8]) -> Result<Key, String> {
    let found: StaticMetadata = serde_json::from_slice(metadata).map_err(|e| e.to_string())?;
    if found.magic != STATIC_MAGIC {
        return Err(format!(
            "corrupted data received, no or invalid magic string: {}",
            found.magic
        ));
    }
    Ok(key.0.clone())
}

/// What an external command gave.
struct ExternalPair {
    encryption: Option<Key>,
    decryption: Option<Key>,
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
fn external(command: &[String], metadata: &[u8]) -> Result<(ExternalPair, Vec<u8>), String> {
    let Some((program, arguments)) = command.split_first() else {
        return Err("the command option is required".into());
    };
    let output = answer_of(program, arguments, metadata)?;
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
    let keys = ExternalPair {
        encryption: answer.keys.encryption_key.map(decoded).transpose()?,
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
