//! What is done to blobs, by Azure's own client over the dialer.

use std::collections::HashMap;
use std::num::NonZero;
use std::sync::Arc;

use azure_core::credentials::TokenCredential;
use azure_core::error::ErrorKind;
use azure_core::http::{ClientOptions, ExponentialRetryOptions, RetryOptions, Url};
use azure_core::time::Duration;
use azure_storage_blob::models::{
    BlobClientAcquireLeaseOptions, BlobClientCreateSnapshotOptions, BlobClientDeleteOptions,
    BlobClientDownloadOptions, BlobClientGetPropertiesOptions,
    BlobClientGetPropertiesResultHeaders as _, BlobClientSetMetadataOptions,
    BlobClientUploadOptions, BlobContainerClientListBlobsOptions, DeleteSnapshotsOptionType,
    LeaseStatus,
};
use azure_storage_blob::{
    BlobClient, BlobClientOptions, BlobContainerClient, BlobContainerClientOptions,
};
use futures::TryStreamExt as _;

use crate::{Error, chain};

/// What goes in one request: each has the time of one request, also on a slow line, so they go one after the other. What was put in
/// several becomes the blob all at once.
pub(super) const PORTION: usize = 4 * 1024 * 1024;

/// What must not be lost is tried for longer than what only looks: a wrong name or address is told soon.
fn patient() -> RetryOptions {
    RetryOptions::exponential(ExponentialRetryOptions {
        initial_delay: Duration::milliseconds(200),
        max_retries: 9,
        max_total_elapsed: Duration::seconds(90),
        max_delay: Duration::seconds(10),
    })
}

/// The container's blobs, and how they are reached.
pub struct Blobs {
    container: BlobContainerClient,
    credential: Option<Arc<dyn TokenCredential>>,
    options: ClientOptions,
}

/// The address without its query, which may be a signature.
impl std::fmt::Debug for Blobs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Blobs")
            .field("container", &self.container.url().path())
            .finish_non_exhaustive()
    }
}

/// What is known of a blob without reading it.
#[derive(Debug)]
pub struct Properties {
    pub leased: bool,
    /// Bytes.
    pub size: u64,
    /// By names in lower case.
    pub metadata: HashMap<String, String>,
}

/// Why the service did not do something.
#[derive(Debug)]
pub struct Refusal {
    /// The service's word for it, such as `LeaseIdMissing`; empty when there was no answer.
    pub code: String,
    error: Error,
}

impl Refusal {
    /// Whether the lease is in the way, or is not the one that was named.
    pub fn is_about_the_lease(&self) -> bool {
        self.code.starts_with("Lease")
    }
}

/// What failed before the service was asked.
impl From<Error> for Refusal {
    fn from(error: Error) -> Refusal {
        Refusal {
            code: String::new(),
            error,
        }
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Error {
        refusal.error
    }
}

pub(super) type Result<T> = std::result::Result<T, Refusal>;

impl Blobs {
    pub(super) fn new(
        container: Url,
        credential: Option<Arc<dyn TokenCredential>>,
        options: ClientOptions,
    ) -> std::result::Result<Blobs, Error> {
        let container_options = BlobContainerClientOptions {
            client_options: options.clone(),
            ..BlobContainerClientOptions::default()
        };
        let client =
            BlobContainerClient::new(container, credential.clone(), Some(container_options))
                .map_err(|e| refusal("set up the client of the container", &e).error)?;
        Ok(Blobs {
            container: client,
            credential,
            options,
        })
    }

    pub(super) fn container(&self) -> &Url {
        self.container.url()
    }

    pub(super) fn blob(&self, name: &str) -> Result<BlobClient> {
        self.client(name, self.options.clone())
    }

    /// For changes.
    pub(super) fn blob_to_change(&self, name: &str) -> Result<BlobClient> {
        let options = ClientOptions {
            retry: patient(),
            ..self.options.clone()
        };
        self.client(name, options)
    }

    /// The container's own way to a blob escapes the slashes in its name.
    fn client(&self, name: &str, options: ClientOptions) -> Result<BlobClient> {
        let mut url = self.container.url().clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.extend(name.split('/'));
        }
        let options = BlobClientOptions {
            client_options: options,
            ..BlobClientOptions::default()
        };
        BlobClient::new(url, self.credential.clone(), Some(options))
            .map_err(|e| refusal("set up the client of a blob", &e))
    }

    pub(super) fn asked(&self, verb: &str, method: &str, name: &str) -> String {
        let url = self.container.url();
        let host = url.host_str().unwrap_or_default();
        format!("{verb} ({method} https://{host}{}/{name})", url.path())
    }

    /// # Errors
    /// When the service does not do it, or cannot be asked.
    pub async fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let options = BlobClientDownloadOptions {
            parallel: NonZero::new(1),
            partition_size: NonZero::new(PORTION),
            ..BlobClientDownloadOptions::default()
        };
        let found = match self.blob(name)?.download(Some(options)).await {
            Ok(found) => found.body.collect().await,
            Err(error) => Err(error),
        };
        let found = found.map_err(|e| refusal(self.asked("read the blob", "GET", name), &e));
        Ok(present(found)?.map(|bytes| bytes.to_vec()))
    }

    /// # Errors
    /// When the service does not do it, or cannot be asked.
    pub async fn properties(&self, name: &str, lease: Option<&str>) -> Result<Option<Properties>> {
        let options = BlobClientGetPropertiesOptions {
            lease_id: lease.map(str::to_owned),
            ..BlobClientGetPropertiesOptions::default()
        };
        let found = self.blob(name)?.get_properties(Some(options)).await;
        let found = found.and_then(|answer| {
            let metadata = answer.metadata()?;
            let metadata = metadata.into_iter();
            Ok(Properties {
                size: answer.content_length()?.unwrap_or_default(),
                leased: answer.lease_status()? == Some(LeaseStatus::Locked),
                metadata: metadata.map(|(k, v)| (k.to_lowercase(), v)).collect(),
            })
        });
        present(found.map_err(|e| refusal(self.asked("look at the blob", "HEAD", name), &e)))
    }

    /// # Errors
    /// When the service does not do it, or cannot be asked.
    pub async fn write(
        &self,
        name: &str,
        content: &[u8],
        content_type: &str,
        metadata: HashMap<String, String>,
        lease: Option<&str>,
    ) -> Result<()> {
        let options = BlobClientUploadOptions {
            blob_content_type: Some(content_type.to_owned()),
            metadata: (!metadata.is_empty()).then_some(metadata),
            lease_id: lease.map(str::to_owned),
            parallel: NonZero::new(1),
            partition_size: NonZero::new(PORTION as u64),
            ..BlobClientUploadOptions::default()
        };
        self.put(name, content, options).await
    }

    /// Makes an empty blob, unless there is one.
    ///
    /// # Errors
    /// When the service does not do it, or cannot be asked.
    pub async fn make(&self, name: &str, content_type: &str) -> Result<()> {
        let options = BlobClientUploadOptions {
            blob_content_type: Some(content_type.to_owned()),
            ..BlobClientUploadOptions::default()
        };
        match self.put(name, b"", options.if_not_exists()).await {
            // The second: somebody has put a lease on it already.
            Err(e) if matches!(e.code.as_str(), "BlobAlreadyExists" | "LeaseIdMissing") => Ok(()),
            done => done,
        }
    }

    async fn put(
        &self,
        name: &str,
        content: &[u8],
        options: BlobClientUploadOptions<'_>,
    ) -> Result<()> {
        let content = azure_core::Bytes::copy_from_slice(content);
        let done = self
            .blob_to_change(name)?
            .upload(content.into(), Some(options))
            .await;
        let done = done.map(|_| ());
        done.map_err(|e| refusal(self.asked("write the blob", "PUT", name), &e))
    }

    /// # Errors
    /// When the service does not do it, or cannot be asked.
    pub async fn set_metadata(
        &self,
        name: &str,
        metadata: &HashMap<String, String>,
        lease: &str,
    ) -> Result<()> {
        let options = BlobClientSetMetadataOptions {
            lease_id: Some(lease.to_owned()),
            ..BlobClientSetMetadataOptions::default()
        };
        let done = self
            .blob_to_change(name)?
            .set_metadata(metadata, Some(options))
            .await;
        let asked = || self.asked("write the blob's metadata", "PUT", name);
        done.map(|_| ()).map_err(|e| refusal(asked(), &e))
    }

    /// Takes a lease of this id for so many seconds, of 15 to 60, or for ever when that is -1. Who has it can take it anew.
    ///
    /// # Errors
    /// When the service does not do it, or cannot be asked.
    pub async fn acquire(&self, name: &str, id: &str, seconds: i32) -> Result<()> {
        let options = BlobClientAcquireLeaseOptions {
            proposed_lease_id: Some(id.to_owned()),
            ..BlobClientAcquireLeaseOptions::default()
        };
        let done = self
            .blob_to_change(name)?
            .acquire_lease(seconds, Some(options))
            .await;
        let asked = || self.asked("take a lease on the blob", "PUT", name);
        done.map(|_| ()).map_err(|e| refusal(asked(), &e))
    }

    /// # Errors
    /// When the service does not do it, or cannot be asked.
    pub async fn release(&self, name: &str, id: &str) -> Result<()> {
        let done = self
            .blob_to_change(name)?
            .release_lease(id.to_owned(), None)
            .await;
        let asked = || self.asked("give the lease on the blob back", "PUT", name);
        done.map(|_| ()).map_err(|e| refusal(asked(), &e))
    }

    /// A snapshot of the blob, if there is one.
    ///
    /// # Errors
    /// When the service does not do it, or cannot be asked.
    pub async fn snapshot(&self, name: &str, lease: Option<&str>) -> Result<()> {
        let options = BlobClientCreateSnapshotOptions {
            lease_id: lease.map(str::to_owned),
            ..BlobClientCreateSnapshotOptions::default()
        };
        let done = self
            .blob_to_change(name)?
            .create_snapshot(Some(options))
            .await;
        let asked = || self.asked("take a snapshot of the blob", "PUT", name);
        let done = done.map(|_| ()).map_err(|e| refusal(asked(), &e));
        present(done).map(|_| ())
    }

    /// Removes the blob with its snapshots; one that is not there is removed already.
    ///
    /// # Errors
    /// When the service does not do it, or cannot be asked.
    pub async fn delete(&self, name: &str, lease: Option<&str>) -> Result<()> {
        let options = BlobClientDeleteOptions {
            lease_id: lease.map(str::to_owned),
            delete_snapshots: Some(DeleteSnapshotsOptionType::Include),
            ..BlobClientDeleteOptions::default()
        };
        let done = self.blob_to_change(name)?.delete(Some(options)).await;
        let asked = || self.asked("delete the blob", "DELETE", name);
        let done = done.map(|_| ()).map_err(|e| refusal(asked(), &e));
        present(done).map(|_| ())
    }

    /// The names of the blobs that begin so, on however many pages.
    ///
    /// # Errors
    /// When the service does not do it, or cannot be asked.
    pub async fn list(&self, prefix: &str) -> Result<Vec<String>> {
        let options = BlobContainerClientListBlobsOptions {
            prefix: Some(prefix.to_owned()),
            ..BlobContainerClientListBlobsOptions::default()
        };
        let found = async {
            let mut items = self.container.list_blobs(Some(options))?;
            let mut names = Vec::new();
            while let Some(item) = items.try_next().await? {
                names.extend(item.name);
            }
            Ok(names)
        };
        let asked = || self.asked("list the blobs", "GET", "");
        found
            .await
            .map_err(|e: azure_core::Error| refusal(asked(), &e))
    }
}

/// `None` for a blob that is not there. A container that is not there is a failure.
pub(super) fn present<T>(found: Result<T>) -> Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(refusal) if refusal.code == "BlobNotFound" => Ok(None),
        Err(refusal) => Err(refusal),
    }
}

pub(super) fn refusal(asked: impl Into<String>, error: &azure_core::Error) -> Refusal {
    let ErrorKind::HttpResponse {
        status, error_code, ..
    } = error.kind()
    else {
        let failed = Error::new(asked, causes(error));
        return Refusal {
            code: String::new(),
            error: match found_beneath::<reqwest::Error>(error) {
                true => failed.remedy("Check the name of the storage account, and the network."),
                false => failed,
            },
        };
    };
    let (status, code) = (u16::from(*status), error_code.clone().unwrap_or_default());
    let failed = Error::new(asked, format!("{status} {code}").trim_end());
    let hint = match code.as_str() {
        "ContainerNotFound" => {
            "Create the container: `az storage container create --account-name ACCOUNT --name CONTAINER`."
        }
        "AuthenticationFailed" => {
            "Check the access key or the shared access signature, and this machine's clock."
        }
        "AuthorizationPermissionMismatch" => {
            "Give this identity the role Storage Blob Data Contributor on the container; a shared access signature needs the rights racwdl."
        }
        "KeyBasedAuthenticationNotPermitted" => {
            "The account takes no keys: set `use_azuread_auth` and sign in."
        }
        "AuthorizationFailure" => {
            "Check the access key, or the signature and its rights, and whether the account's firewall lets this machine in."
        }
        _ => {
            return Refusal {
                code,
                error: failed,
            };
        }
    };
    Refusal {
        code,
        error: failed.remedy(hint),
    }
}

fn found_beneath<E: std::error::Error + 'static>(error: &azure_core::Error) -> bool {
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        if error.is::<E>() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// What is beneath the layers of the client, which only say that there was an error. The HTTP client's own words quote the address, and
/// there the signature.
fn causes(error: &azure_core::Error) -> String {
    let mut text = error.to_string();
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        let layer = error.is::<azure_core::Error>() || error.is::<reqwest::Error>();
        match error.downcast_ref::<reqwest::Error>() {
            Some(error) if error.is_timeout() => return "no answer in time".to_owned(),
            _ if !layer => return chain(error),
            _ => {}
        }
        // A layer with nothing beneath it says what there is to say.
        if !error.is::<reqwest::Error>() {
            text = error.to_string();
        }
        cause = error.source();
    }
    text
}
