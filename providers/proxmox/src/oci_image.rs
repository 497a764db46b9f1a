//! Images of application containers that a node pulls from a registry, as templates.

use std::time::Duration;

use reqwest::Method;
use stead_sdk::value::schema::Pattern;
use stead_sdk::value::{Diagnostics, Value};
use stead_sdk::{Context, Error, ErrorKind, Failure, PlanDraft, Resource, async_trait};

use crate::client::{Client, PlannedKind, number, params};
use crate::volume::Shelf;

const REFERENCE: Pattern = Pattern {
    regex: r"([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*(:\d+)?/)?[a-z0-9]+(([._]|__|-*)[a-z0-9]+)*(/[a-z0-9]+(([._]|__|-*)[a-z0-9]+)*)*:\w[\w.-]{0,127}",
    form: "the name of an image with its tag, such as docker.io/library/debian:13",
};

const ARCHIVE: Pattern = Pattern {
    regex: r".+\.tar",
    form: "a name that ends in .tar",
};

/// An image that a node pulls from a registry into one of its storages. The API has no import for it.
#[derive(Clone, Debug, Default, Resource)]
#[resource(
    name = "proxmox_oci_image",
    alias = "proxmox_virtual_environment_oci_image"
)]
pub(crate) struct OciImage {
    /// The storage.
    #[attr(required, replace)]
    datastore_id: String,
    /// The file's name; made of the reference, if not set.
    #[attr(optional, computed, replace, pattern(ARCHIVE))]
    file_name: Option<String>,
    /// The volume, `STORAGE:vztmpl/NAME`.
    #[attr(computed)]
    id: String,
    /// The node.
    #[attr(required, replace)]
    node_name: String,
    /// Accepted; stead never replaces an image because the size of its file differs.
    #[attr(optional, computed, default = true)]
    overwrite: Option<bool>,
    /// Replace a file of that name that is there already.
    #[attr(optional, computed, default = false)]
    overwrite_unmanaged: Option<bool>,
    /// The image, with its tag.
    #[attr(required, replace, pattern(REFERENCE))]
    reference: String,
    /// Bytes in the storage.
    #[attr(computed)]
    size: Option<i64>,
    /// How many seconds the node may take.
    #[attr(optional, computed, default = 600)]
    upload_timeout: Option<i64>,
}

impl OciImage {
    fn shelf(&self) -> Shelf<'_> {
        Shelf {
            node: &self.node_name,
            storage: &self.datastore_id,
            content: "vztmpl",
        }
    }

    fn limit(&self) -> Duration {
        crate::guest::seconds(self.upload_timeout.unwrap_or(600))
    }
}

/// `docker.io/library/debian:13` is kept as `debian_13.tar`.
fn name_of(reference: &str) -> String {
    let last = reference.rsplit('/').next().unwrap_or(reference);
    format!("{}.tar", last.replace(':', "_"))
}

#[async_trait]
impl Resource for OciImage {
    type Client = Client;

    /// A storage that does not take templates is found before anything is pulled.
    async fn plan(
        client: Option<&Client>,
        plan: &mut PlanDraft,
        cx: &Context,
    ) -> Result<(), Diagnostics> {
        let text = |name: &str| Some(plan.attribute(name)?.as_str()?.to_owned());
        let place = text("node_name").zip(text("datastore_id"));
        if let (true, Some(client), Some((node, storage))) = (plan.is_create(), client, place) {
            let shelf = Shelf {
                node: &node,
                storage: &storage,
                content: "vztmpl",
            };
            client.planned.note(PlannedKind::FilesIn, &storage);
            let check = shelf.check(client, cx).await;
            check.map_err(|e| e.attribute("datastore_id"))?;
        }
        Ok(())
    }

    async fn create(
        client: &Client,
        planned: Self,
        _config: &Value,
        cx: &Context,
    ) -> Result<Self, Failure<Self>> {
        let mut image = planned;
        let given = image.file_name.clone().filter(|name| !name.is_empty());
        let name = given.unwrap_or_else(|| name_of(&image.reference));
        let volume = image.shelf().volume(&name);
        if image.overwrite_unmanaged == Some(true)
            && image.shelf().find(client, cx, &volume).await?.is_some()
        {
            let limit = image.limit();
            image.shelf().remove(client, cx, &volume, limit).await?;
        }
        // The server adds the ending itself.
        let form = params([
            ("reference", image.reference.clone()),
            ("filename", name.trim_end_matches(".tar").to_owned()),
        ]);
        image.id = volume.clone();
        image.file_name = Some(name);
        cx.identified(&image).await?;
        let what = format!("pull {} to {volume}", image.reference);
        let path = image.shelf().path("oci-registry-pull");
        let done = client.run(cx, Method::POST, &what, &path, &form, image.limit());
        match done.await {
            Ok(()) => {}
            // Nobody waited for the end, but the node may go on: the next plan looks.
            Err(e) if e.is_cancelled() || e.is_transient() || e.kind() == ErrorKind::TimedOut => {
                return Err(Failure::partial(e, image));
            }
            Err(e) if e.said().contains("refusing to override existing file") => {
                let remedy = "Delete the file, or set overwrite_unmanaged = true.";
                return Err(e.remedy(remedy).into());
            }
            Err(e) => return Err(e.into()),
        }
        match image.shelf().find(client, cx, &volume).await {
            Ok(row) => image.size = row.and_then(|row| number(&row, "size")),
            Err(error) => return Err(Failure::partial(error, image)),
        }
        Ok(image)
    }

    async fn read(client: &Client, prior: Self, cx: &Context) -> Result<Option<Self>, Error> {
        let row = prior.shelf().look(client, cx, &prior.id).await?;
        Ok(row.map(|row| OciImage {
            size: number(&row, "size"),
            ..prior
        }))
    }

    /// Only what steers stead can change in place.
    async fn update(
        _client: &Client,
        prior: Self,
        planned: Self,
        _config: &Value,
        _cx: &Context,
    ) -> Result<Self, Failure<Self>> {
        Ok(OciImage {
            size: prior.size,
            ..planned
        })
    }

    async fn delete(client: &Client, prior: Self, cx: &Context) -> Result<(), Error> {
        let limit = prior.limit();
        prior.shelf().remove(client, cx, &prior.id, limit).await
    }
}
