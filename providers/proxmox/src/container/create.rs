//! Making a container: of a template, or as a clone; its volumes, its first start.

use std::sync::atomic::{AtomicI64, Ordering};

use reqwest::Method;
use stead_sdk::{Context, Cut, Error, ErrorKind, Failure, Resource as _, Resumed};

use crate::client::{Client, params};
use crate::container::schema::{CloneFrom, Container};
use crate::container::{addresses, encode, id_map, reread, update};
use crate::guest::{Copy, Guest, Kind, copy, resumed, seconds, with_identifier};

pub(crate) async fn create(
    client: &Client,
    planned: Container,
    cx: &Context,
) -> Result<Container, Failure<Container>> {
    let mut container = planned;
    // Who cannot log in is told so before there is a container that lacks something.
    if !container.idmap.is_empty() {
        client.shell(cx, &container.node_name).await?;
    }
    let asked_for = AtomicI64::new(0);
    let made = match &container.clone {
        Some(from) => clone(client, cx, &container, from, &asked_for).await,
        None => make(client, cx, &container, &asked_for).await,
    };
    let id = match (made, asked_for.into_inner()) {
        (Ok(id), _) => id,
        // Nobody waited for the end, but the container may come to be under the identifier that was asked for.
        (Err(error), id @ 1..) if error.is_cancelled() || error.kind() == ErrorKind::TimedOut => {
            container.id = id.to_string();
            container.vm_id = Some(id);
            container.started = false;
            return Err(Failure::partial(error, container));
        }
        (Err(error), _) => return Err(error.into()),
    };
    container.id = id.to_string();
    container.vm_id = Some(id);
    client.guests_changed().await;
    let guest = Guest::new(client, cx, Kind::Container, &container.node_name, id);
    // From here on the container exists: whatever fails, it is handed over.
    if let Err(error) = finish(&guest, &mut container).await {
        container.started = false;
        return Err(Failure::partial(error, container));
    }
    let mut container = reread(&guest, container).await?;
    if let Err(error) = addresses::wait(&guest, &mut container).await {
        return Err(Failure::partial(error, container));
    }
    Ok(container)
}

async fn finish(guest: &Guest<'_>, container: &mut Container) -> Result<(), Error> {
    if container.clone.is_some() {
        update::adapt_clone(guest, container).await?;
    }
    if !container.idmap.is_empty() {
        id_map::write(guest, container, guest.cx).await?;
    }
    if container.template {
        // One that is made as a template is one already.
        let is_template = guest
            .present()
            .await?
            .get("template")
            .is_some_and(|t| t == "1");
        return match is_template {
            true => Ok(()),
            false => guest.make_template(seconds(container.timeout_create)).await,
        };
    }
    if container.started {
        guest.start(seconds(container.timeout_create)).await?;
    }
    Ok(())
}

async fn make(
    client: &Client,
    cx: &Context,
    container: &Container,
    asked_for: &AtomicI64,
) -> Result<i64, Error> {
    let Some(os) = &container.operating_system else {
        let error = Error::new("create a container", "there is no `operating_system` block");
        return Err(error.attribute("operating_system"));
    };
    let mut settings = encode::settings(container);
    let mut set = |key: &str, value: String| {
        if !value.is_empty() {
            settings.insert(key.to_owned(), value);
        }
    };
    // The published provider takes a container whose configuration does not mention this for one with a console block.
    if container.console.is_none() {
        set("console", "1".to_owned());
    }
    set("ostemplate", os.template_file_id.clone());
    set("pool", container.pool_id.clone());
    if let Some(disk) = container
        .disk
        .as_ref()
        .filter(|d| !d.datastore_id.is_empty())
    {
        set("rootfs", disk.allocation());
    }
    for (i, point) in container.mount_point.iter().enumerate() {
        set(&format!("mp{i}"), point.allocation());
    }
    let init = container.initialization.as_ref();
    if let Some(account) = init.and_then(|init| init.user_account.as_ref()) {
        let password = account.password.as_ref();
        set(
            "password",
            password.map_or_else(String::new, |p| p.expose_secret().clone()),
        );
        let keys: Vec<_> = account.keys.iter().map(|k| k.trim()).collect();
        set("ssh-public-keys", keys.join("\n"));
    }
    let path = format!("/nodes/{}/lxc", container.node_name);
    let (settings, path) = (&settings, &path);
    with_identifier(client, cx, container.vm_id, |id| async move {
        identified(cx, container, id).await?;
        asked_for.store(id, Ordering::Relaxed);
        let mut form = params([("vmid", id.to_string())]);
        form.extend(settings.clone());
        let what = format!("create container {id}");
        let timeout = seconds(container.timeout_create);
        client
            .run(cx, Method::POST, &what, path, &form, timeout)
            .await
    })
    .await
}

/// Says under which identifier the container is about to be made.
async fn identified(cx: &Context, container: &Container, id: i64) -> Result<(), Error> {
    let known = Container {
        id: id.to_string(),
        vm_id: Some(id),
        ..container.clone()
    };
    cx.identified(&known).await
}

async fn clone(
    client: &Client,
    cx: &Context,
    container: &Container,
    from: &CloneFrom,
    asked_for: &AtomicI64,
) -> Result<i64, Error> {
    let init = container.initialization.as_ref();
    let order = Copy {
        kind: Kind::Container,
        source: from.vm_id,
        wanted: container.vm_id,
        full: from.full,
        node: &container.node_name,
        storage: &from.datastore_id,
        more: vec![
            ("hostname", init.map_or("", |init| &init.hostname)),
            ("description", &container.description),
            ("pool", &container.pool_id),
        ],
        attempts: 1,
        timeout: seconds(container.timeout_clone),
    };
    copy(client, cx, &order, |id| async move {
        identified(cx, container, id).await?;
        asked_for.store(id, Ordering::Relaxed);
        Ok(())
    })
    .await
}

/// What has become of a container whose making was cut off. The task that makes it goes on without us: its end is awaited.
pub(crate) async fn resume(
    client: &Client,
    cut: Cut<Container>,
    cx: &Context,
) -> Result<Resumed<Container>, Error> {
    let Some(known) = &cut.known else {
        return Ok(Resumed::Unknown);
    };
    let id = known.identifier()?;
    client.guests_changed().await;
    if let Some((guest, _)) = Guest::find(client, cx, Kind::Container, id).await? {
        guest.made(seconds(known.timeout_create)).await?;
    }
    let found = Container::read(client, known.clone(), cx).await?;
    Ok(resumed(&cut, found, |container| {
        let init = container.initialization.as_ref();
        init.map(|init| init.hostname.clone())
    }))
}
