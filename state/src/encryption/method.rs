//! What is done with a key.

use std::sync::Arc;

use aes_gcm::aead::consts::U12;
use aes_gcm::aead::{Aead as _, KeyInit as _, Payload};
use aes_gcm::{Aes128Gcm, Aes256Gcm, AesGcm, aes::Aes192};

use super::{Error, Key, KeySource};

type Aes192Gcm = AesGcm<Aes192, U12>;

/// The length of the nonce that stands before the encrypted content.
const NONCE: usize = 12;

#[derive(Clone, Debug)]
pub enum Method {
    AesGcm {
        keys: Arc<KeySource>,
        /// Authenticated, not encrypted: must be the same when it is opened.
        aad: Vec<u8>,
    },
    Unencrypted,
}

impl Method {
    pub(super) fn seal(&self, key: &Key, content: &[u8]) -> Result<Vec<u8>, Error> {
        self.seal_at(key, content, &[])
    }

    /// As [`Method::seal`], bound to a place: it opens nowhere else.
    pub(super) fn seal_at(
        &self,
        key: &Key,
        content: &[u8],
        place: &[u8],
    ) -> Result<Vec<u8>, Error> {
        let Method::AesGcm { aad, .. } = self else {
            return Ok(content.to_vec());
        };
        let mut sealed = rand::random::<[u8; NONCE]>().to_vec();
        let aad = [aad, place].concat();
        let encrypted = with_cipher(key, "encryption", |cipher| {
            cipher.seal(&sealed, content, &aad)
        })?;
        sealed.extend(encrypted);
        Ok(sealed)
    }

    pub(super) fn open(&self, key: &Key, sealed: &[u8]) -> Result<Vec<u8>, Error> {
        self.open_at(key, sealed, &[])
    }

    pub(super) fn open_at(&self, key: &Key, sealed: &[u8], place: &[u8]) -> Result<Vec<u8>, Error> {
        let Method::AesGcm { aad, .. } = self else {
            return Ok(sealed.to_vec());
        };
        let Some((nonce, encrypted)) = sealed.split_at_checked(NONCE) else {
            return Err(Error::Method(
                "cannot decrypt data because it is too small (likely data corruption)".into(),
            ));
        };
        let aad = [aad, place].concat();
        with_cipher(key, "decryption", |cipher| {
            cipher.open(nonce, encrypted, &aad)
        })
    }
}

/// AES-GCM with a key of one of three lengths.
enum Cipher {
    Short(Box<Aes128Gcm>),
    Middle(Box<Aes192Gcm>),
    Long(Box<Aes256Gcm>),
}

fn with_cipher<T>(
    key: &Key,
    what: &str,
    act: impl FnOnce(&Cipher) -> Result<T, Error>,
) -> Result<T, Error> {
    let wrong = |_| {
        Error::Method(format!(
            "AES-GCM requires the key length to be one of: 16, 24, 32, received {} bytes in the {what} key",
            key.len()
        ))
    };
    let cipher = match key.len() {
        16 => Cipher::Short(Box::new(Aes128Gcm::new_from_slice(key).map_err(wrong)?)),
        24 => Cipher::Middle(Box::new(Aes192Gcm::new_from_slice(key).map_err(wrong)?)),
        _ => Cipher::Long(Box::new(Aes256Gcm::new_from_slice(key).map_err(wrong)?)),
    };
    act(&cipher)
}

impl Cipher {
    fn seal(&self, nonce: &[u8], msg: &[u8], aad: &[u8]) -> Result<Vec<u8>, Error> {
        let failed = |_| Error::Method("encryption failed".into());
        let payload = Payload { msg, aad };
        let nonce = nonce
            .try_into()
            .map_err(|_| Error::Method("the nonce is too short".into()))?;
        match self {
            Cipher::Short(cipher) => cipher.encrypt(nonce, payload),
            Cipher::Middle(cipher) => cipher.encrypt(nonce, payload),
            Cipher::Long(cipher) => cipher.encrypt(nonce, payload),
        }
        .map_err(failed)
    }

    fn open(&self, nonce: &[u8], msg: &[u8], aad: &[u8]) -> Result<Vec<u8>, Error> {
        let failed = |_| {
            Error::Method(
                "decryption failed: the key is another one, or the content was changed".into(),
            )
        };
        let payload = Payload { msg, aad };
        let nonce = nonce
            .try_into()
            .map_err(|_| Error::Method("the nonce is too short".into()))?;
        match self {
            Cipher::Short(cipher) => cipher.decrypt(nonce, payload),
            Cipher::Middle(cipher) => cipher.decrypt(nonce, payload),
            Cipher::Long(cipher) => cipher.decrypt(nonce, payload),
        }
        .map_err(failed)
    }
}
