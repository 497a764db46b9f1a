//! Encryption of what holds secrets: states and plan files, in OpenTofu's form, so that both tools open what either has sealed.
//!
//! ```text
//! {"serial":3,"lineage":"…","meta":{"key_provider.pbkdf2.main":"…"},"encrypted_data":"…","encryption_version":"v0"}
//! ```
//!
//! `meta` holds what each key provider needs to give the same key again (a salt, say), as JSON in base64. `encrypted_data` is a
//! 12-byte nonce and what AES-GCM makes of the content. Serial and lineage stand outside as well, and must be those inside.

mod keys;
mod method;
mod pieces;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};

pub use keys::{
    Hash, Key, KeyProvider, KeyService, KeySource, Passphrase, Pbkdf2, ProviderKind, Purpose,
    Secret,
};
pub use method::Method;
pub(crate) use pieces::{Pieces, SealedWith};

/// The version of the form.
const VERSION: &str = "v0";

/// Metadata of key providers by their names, as JSON.
pub type Metadata = BTreeMap<String, Vec<u8>>;

/// Why something could not be sealed or opened. No text holds a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("encountered unencrypted payload without unencrypted method configured")]
    Plain,
    #[error("it is encrypted and can not be read without an encryption configuration")]
    NotConfigured,
    #[error("invalid encrypted payload version: {0} != {VERSION}")]
    Version(String),
    #[error("unable to determine data structure during decryption: {0}")]
    Unrecognised(String),
    #[error("decryption failed for all provided methods: {}", .0.join("; "))]
    NoMethod(Vec<String>),
    #[error("{provider} failed with error: {reason}")]
    Key { provider: String, reason: String },
    #[error("the key provider gave no key for decryption")]
    NoDecryptionKey,
    #[error("{0}")]
    Method(String),
    #[error("invalid state metadata, {field} field mismatch {outside} vs {inside}")]
    Mismatch {
        field: &'static str,
        outside: String,
        inside: String,
    },
    #[error(
        "The metadata key {0} is duplicated across multiple key providers for the same method; use the encrypted_metadata_alias option to specify unique metadata keys for each key provider in an encryption method"
    )]
    DuplicateMetadata(String),
}

/// How one kind of content is encrypted: the first method seals, each opens.
#[derive(Debug, Default)]
pub struct Encryption {
    /// `state`, `plan`: for messages.
    name: String,
    methods: Vec<Method>,
    /// The first method's key, made once a run: deriving them takes a while, and sealing must not need the outside at the end.
    sealing: Mutex<Option<(Key, Metadata)>>,
    /// Keys that opened something, by the method's position: what was sealed together needs no second derivation.
    opening: Mutex<Vec<(usize, Metadata, Key)>>,
}

/// What was opened.
#[derive(Debug, PartialEq, Eq)]
pub struct Opened {
    pub content: Vec<u8>,
    /// It is not as the first method would have it: the next write changes that.
    pub outdated: bool,
    /// It was in the clear.
    pub plain: bool,
}

#[derive(Serialize, Deserialize)]
struct Payload {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    serial: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lineage: Option<String>,
    #[serde(default)]
    meta: BTreeMap<String, String>,
    #[serde(default)]
    encrypted_data: String,
    encryption_version: String,
}

/// What a state says of itself.
#[derive(Deserialize)]
struct About {
    serial: Option<u64>,
    lineage: Option<String>,
}

/// Whether something has been sealed.
pub fn is_sealed(bytes: &[u8]) -> bool {
    payload(bytes).is_some()
}

/// Whether something is a sealed plan file: unlike a state, it says nothing of itself outside.
pub fn is_sealed_plan(bytes: &[u8]) -> bool {
    payload(bytes).is_some_and(|p| p.serial.is_none() && p.lineage.is_none())
}

fn payload(bytes: &[u8]) -> Option<Payload> {
    // A large state in the clear is not read whole for this: its own beginning says that it is one.
    if !contains(bytes.get(..4096).unwrap_or(bytes), b"\"encrypted_data\"")
        && !contains(tail(bytes, 256), b"\"encryption_version\"")
    {
        return None;
    }
    let payload: Payload = serde_json::from_slice(bytes).ok()?;
    (!payload.encryption_version.is_empty()).then_some(payload)
}

fn about(bytes: &[u8]) -> Result<About, Error> {
    serde_json::from_slice(bytes).map_err(|e| Error::Unrecognised(e.to_string()))
}

fn decoded(text: &str) -> Result<Vec<u8>, Error> {
    BASE64
        .decode(text)
        .map_err(|e| Error::Unrecognised(e.to_string()))
}

/// Metadata as they are written.
fn written(metadata: &Metadata) -> BTreeMap<String, String> {
    let text = |(name, json): (&String, &Vec<u8>)| (name.clone(), BASE64.encode(json));
    metadata.iter().map(text).collect()
}

fn read_metadata(written: &BTreeMap<String, String>) -> Result<Metadata, Error> {
    let read = |(name, text): (&String, &String)| Ok((name.clone(), decoded(text)?));
    written.iter().map(read).collect()
}

fn tail(bytes: &[u8], length: usize) -> &[u8] {
    bytes
        .get(bytes.len().saturating_sub(length)..)
        .unwrap_or(bytes)
}

fn contains(bytes: &[u8], word: &[u8]) -> bool {
    bytes.windows(word.len()).any(|w| w == word)
}

impl Encryption {
    /// Without methods nothing is sealed, and nothing that is sealed opens.
    pub fn new(name: impl Into<String>, methods: Vec<Method>) -> Encryption {
        Encryption {
            name: name.into(),
            methods,
            sealing: Mutex::new(None),
            opening: Mutex::new(Vec::new()),
        }
    }

    /// The same for somebody who knows that what is there may be in the clear.
    #[must_use]
    pub fn taking_plain(&self) -> Encryption {
        let mut methods = self.methods.clone();
        methods.push(Method::Unencrypted);
        Encryption::new(self.name.clone(), methods)
    }

    /// Whether somebody has said how to seal, or that nothing is to be.
    pub fn is_chosen(&self) -> bool {
        !self.methods.is_empty()
    }

    /// Whether what is written will be readable by anyone.
    pub fn is_plain(&self) -> bool {
        !matches!(self.methods.first(), Some(Method::AesGcm { .. }))
    }

    /// Seals a state; its serial and lineage stay readable.
    pub fn seal_state(&self, state: &[u8]) -> Result<Vec<u8>, Error> {
        if self.is_plain() {
            return Ok(state.to_vec());
        }
        let about: About =
            serde_json::from_slice(state).map_err(|e| Error::Unrecognised(e.to_string()))?;
        self.seal(state, Some(about))
    }

    /// Seals anything else.
    pub fn seal_other(&self, content: &[u8]) -> Result<Vec<u8>, Error> {
        if self.is_plain() {
            return Ok(content.to_vec());
        }
        self.seal(content, None)
    }

    fn seal(&self, content: &[u8], about: Option<About>) -> Result<Vec<u8>, Error> {
        self.with_sealing(|key, metadata| {
            let method = self.methods.first().ok_or(Error::NotConfigured)?;
            let sealed = method.seal(key, content)?;
            let (serial, lineage) = about.map_or((None, None), |a| (a.serial, a.lineage));
            let payload = Payload {
                serial,
                lineage,
                meta: written(metadata),
                encrypted_data: BASE64.encode(sealed),
                encryption_version: VERSION.into(),
            };
            serde_json::to_vec(&payload).map_err(|e| Error::Method(e.to_string()))
        })
    }

    fn with_sealing<T>(
        &self,
        act: impl FnOnce(&Key, &Metadata) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut sealing = lock(&self.sealing);
        let (key, metadata) = match sealing.take() {
            Some(ready) => ready,
            None => {
                let mut made = Metadata::new();
                let key = match self.methods.first() {
                    Some(Method::AesGcm { keys, .. }) => keys.key(Purpose::Seal(&mut made))?,
                    Some(Method::Unencrypted) | None => return Err(Error::NotConfigured),
                };
                (key, made)
            }
        };
        let done = act(&key, &metadata);
        *sealing = Some((key, metadata));
        done
    }

    /// Opens a state, sealed or not. What is in the clear and given away is not copied.
    pub fn open_state<'b>(&self, bytes: impl Into<Cow<'b, [u8]>>) -> Result<Opened, Error> {
        let bytes = bytes.into();
        // What stands outside of a sealed state, and is compared with what stands inside.
        let outside = match is_sealed(&bytes) {
            true => Some(about(&bytes)?),
            false => None,
        };
        let opened = self.open(bytes, |plain| {
            #[derive(Deserialize)]
            struct Version {
                #[serde(default)]
                terraform_version: String,
            }
            match serde_json::from_slice::<Version>(plain) {
                Ok(state) if !state.terraform_version.is_empty() => Ok(()),
                Ok(_) => Err("the given payload is not a state file".into()),
                Err(e) => Err(e.to_string()),
            }
        })?;
        let Some(outside) = outside else {
            return Ok(opened);
        };
        let inside = about(&opened.content)?;
        let mismatch = |field, outside: String, inside: String| Error::Mismatch {
            field,
            outside,
            inside,
        };
        match (outside.serial, inside.serial) {
            (Some(a), Some(b)) if a != b => {
                return Err(mismatch("serial", a.to_string(), b.to_string()));
            }
            _ => {}
        }
        match (outside.lineage, inside.lineage) {
            (Some(a), b) if !a.is_empty() && Some(&a) != b.as_ref() => {
                Err(mismatch("lineage", a, b.unwrap_or_default()))
            }
            _ => Ok(opened),
        }
    }

    /// Opens a plan file, sealed or not.
    pub fn open_plan<'b>(&self, bytes: impl Into<Cow<'b, [u8]>>) -> Result<Opened, Error> {
        self.open(bytes.into(), |plain| match plain.starts_with(b"PK") {
            true => Ok(()),
            false => Err("the given payload is not a plan file".into()),
        })
    }

    /// Opens what [`Encryption::seal_other`] has sealed and is JSON.
    pub fn open_other<'b>(&self, bytes: impl Into<Cow<'b, [u8]>>) -> Result<Vec<u8>, Error> {
        let opened = self.open(bytes.into(), |plain| {
            let json = serde_json::from_slice::<serde::de::IgnoredAny>(plain);
            json.map(drop).map_err(|e| e.to_string())
        })?;
        Ok(opened.content)
    }

    fn open(
        &self,
        bytes: Cow<'_, [u8]>,
        is_plain: impl Fn(&[u8]) -> Result<(), String>,
    ) -> Result<Opened, Error> {
        let payload = payload(&bytes);
        if self.methods.is_empty() {
            return match payload {
                Some(_) => Err(Error::NotConfigured),
                None => Ok(Opened {
                    content: bytes.into_owned(),
                    outdated: false,
                    plain: true,
                }),
            };
        }
        let Some(payload) = payload else {
            is_plain(&bytes).map_err(Error::Unrecognised)?;
            if !self.takes_plain() {
                return Err(Error::Plain);
            }
            return Ok(Opened {
                content: bytes.into_owned(),
                outdated: !self.is_plain(),
                plain: true,
            });
        };
        if payload.encryption_version != VERSION {
            return Err(Error::Version(payload.encryption_version));
        }
        let data = decoded(&payload.encrypted_data)?;
        let metadata = read_metadata(&payload.meta)?;
        let (position, content) =
            self.first_that_opens(&metadata, |method, key| method.open(key, &data))?;
        Ok(Opened {
            content,
            outdated: position > 0,
            plain: false,
        })
    }

    /// Tries the methods, one after the other, with the keys that these metadata lead to; which one it was and what it gave.
    fn first_that_opens<T>(
        &self,
        metadata: &Metadata,
        open: impl Fn(&Method, &Key) -> Result<T, Error>,
    ) -> Result<(usize, T), Error> {
        let mut failures = Vec::new();
        for (position, method) in self.methods.iter().enumerate() {
            let Method::AesGcm { keys, .. } = method else {
                continue;
            };
            let opened = match self.opening_key(position, keys, metadata) {
                Ok(key) => open(method, &key).inspect(|_| self.remember(position, metadata, key)),
                // Another method's provider may know these metadata.
                Err(e @ Error::NoDecryptionKey) => Err(e),
                Err(e) => return Err(e),
            };
            match opened {
                Ok(found) => return Ok((position, found)),
                Err(e) => failures.push(format!("{}: {e}", self.name)),
            }
        }
        Err(Error::NoMethod(failures))
    }

    fn opening_key(
        &self,
        position: usize,
        keys: &KeySource,
        metadata: &Metadata,
    ) -> Result<Key, Error> {
        let known = lock(&self.opening);
        let found = known
            .iter()
            .find(|(at, of, _)| *at == position && of == metadata);
        if let Some((_, _, key)) = found {
            return Ok(key.clone());
        }
        drop(known);
        keys.key(Purpose::Open(metadata))
    }

    fn remember(&self, position: usize, metadata: &Metadata, key: Key) {
        let mut known = lock(&self.opening);
        if !known
            .iter()
            .any(|(at, of, _)| *at == position && of == metadata)
        {
            known.push((position, metadata.clone(), key));
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
