//! What the API does to objects: create, update, patch, apply, delete, with the server's own rules in order.

mod delete;

use std::sync::Arc;

use serde_json::{Value, json};

use crate::admission;
use crate::error::{ApiError, Cause};
use crate::object::{
    at, entry, finalizers, integer, is_deleting, name, namespace, now, random_suffix, remove, set,
    text, uid,
};
use crate::ownership::{self, Writer};
use crate::patch::{json_patch, merge_patch};
use crate::resources::Resource;
use crate::schema::{decode_builtin, prune_custom};
use crate::state::{Id, State};
use crate::strategic::strategic_patch;

/// What to do about fields that the type does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FieldValidation {
    Ignore,
    Warn,
    Strict,
}

#[derive(Clone, Debug)]
pub(crate) struct WriteOptions {
    pub(crate) manager: String,
    pub(crate) dry_run: bool,
    pub(crate) force: bool,
    pub(crate) validation: FieldValidation,
    /// `""` for the main resource, else `status`, ….
    pub(crate) subresource: &'static str,
}

impl WriteOptions {
    /// As a component of the cluster writes.
    pub(crate) fn component(manager: &str) -> WriteOptions {
        WriteOptions {
            manager: manager.to_owned(),
            dry_run: false,
            force: false,
            validation: FieldValidation::Ignore,
            subresource: "",
        }
    }

    pub(crate) fn status(mut self) -> WriteOptions {
        self.subresource = "status";
        self
    }
}

#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) object: Arc<Value>,
    pub(crate) created: bool,
    pub(crate) warnings: Vec<String>,
}

#[derive(Debug)]
pub(crate) enum PatchBody {
    Json(Value),
    Merge(Value),
    Strategic(Value),
    Apply(Value),
}

#[derive(Clone, Debug, Default)]
pub(crate) struct DeleteOptions {
    /// `Background` (also when empty), `Foreground`, `Orphan`.
    pub(crate) propagation: String,
    pub(crate) uid: Option<String>,
    pub(crate) resource_version: Option<String>,
    pub(crate) grace_seconds: Option<i64>,
    pub(crate) dry_run: bool,
}

/// The body as the type has it, and warnings about the rest.
fn decode(
    resource: &Resource,
    body: Value,
    validation: FieldValidation,
) -> Result<(Value, Vec<String>), ApiError> {
    let decoded = if resource.custom.is_some() {
        prune_custom(resource.schema(), body)
    } else {
        decode_builtin(resource.schema(), body)
    };
    let decoded = decoded.map_err(|why| {
        ApiError::bad_request(format!(
            "{} in version {:?} cannot be handled as a {}: {why}",
            resource.kind, resource.version, resource.kind
        ))
    })?;
    let mut value = decoded.value;
    if resource.custom.is_some()
        && let Some(metadata) = value.get("metadata").cloned()
    {
        let meta = decode_builtin(crate::schema::builtin("meta.v1.ObjectMeta"), metadata)
            .map_err(|why| ApiError::bad_request(format!("failed to decode metadata: {why}")))?;
        set(&mut value, &["metadata"], meta.value);
    }
    let unknown: Vec<String> = decoded
        .unknown
        .iter()
        .map(|path| format!("unknown field {path:?}"))
        .collect();
    match validation {
        FieldValidation::Strict if !unknown.is_empty() => Err(ApiError::bad_request(format!(
            "{} in version {:?} cannot be handled as a {}: strict decoding error: {}",
            resource.kind,
            resource.version,
            resource.kind,
            unknown.join(", ")
        ))),
        FieldValidation::Warn => Ok((value, unknown)),
        _ => Ok((value, Vec::new())),
    }
}

/// Kind and version of a body must be the endpoint's.
fn check_type(resource: &Resource, body: &Value) -> Result<(), ApiError> {
    if !body.is_object() {
        return Err(ApiError::bad_request(format!(
            "the object provided is unrecognized (must be of type {}): couldn't get version/kind; json parse error",
            resource.kind
        )));
    }
    let (version, kind) = (text(body, &["apiVersion"]), text(body, &["kind"]));
    if resource.custom.is_none() && version.is_empty() && kind.is_empty() {
        // Built-in kinds are decoded with the endpoint's own type as the default.
        return Ok(());
    }
    if kind.is_empty() {
        return Err(ApiError::bad_request(
            "Object 'Kind' is missing in the body",
        ));
    }
    if version != resource.api_version() {
        return Err(ApiError::bad_request(format!(
            "the API version in the data ({version}) does not match the expected API version ({})",
            resource.api_version()
        )));
    }
    if kind != resource.kind {
        return Err(ApiError::bad_request(format!(
            "{kind} in version {:?} cannot be handled as a {}: no kind {kind:?} is registered for this endpoint",
            resource.version, resource.kind
        )));
    }
    Ok(())
}

fn set_type(resource: &Resource, body: Value) -> Value {
    let mut out = serde_json::Map::new();
    out.insert("apiVersion".into(), resource.api_version().into());
    out.insert("kind".into(), resource.kind.as_str().into());
    out.insert("metadata".into(), json!({}));
    if let Value::Object(map) = body {
        out.extend(
            map.into_iter()
                .filter(|(k, _)| !matches!(k.as_str(), "apiVersion" | "kind")),
        );
    }
    Value::Object(out)
}

/// As of this version of its kind.
pub(crate) fn in_version(resource: &Resource, object: &Arc<Value>) -> Arc<Value> {
    let wanted = resource.api_version();
    if text(object, &["apiVersion"]) == wanted {
        return object.clone();
    }
    let mut converted = Value::clone(object);
    entry(&mut converted).insert("apiVersion".into(), wanted.into());
    Arc::new(converted)
}

impl State {
    pub(crate) fn read(
        &self,
        resource: &Resource,
        namespace: &str,
        name: &str,
    ) -> Result<Arc<Value>, ApiError> {
        let found = self.find(&resource.key, namespace, name);
        let found =
            found.ok_or_else(|| ApiError::not_found(&resource.group, &resource.plural, name))?;
        Ok(in_version(resource, found))
    }

    fn check_namespace(
        &self,
        resource: &Resource,
        namespace: &str,
        name: &str,
    ) -> Result<(), ApiError> {
        if !resource.namespaced {
            return Ok(());
        }
        let Some(found) = self.find("namespaces", "", namespace) else {
            return Err(ApiError::not_found("", "namespaces", namespace));
        };
        if is_deleting(found) {
            let why = format!(
                "unable to create new content in namespace {namespace} because it is being terminated"
            );
            return Err(
                ApiError::forbidden(&resource.group, &resource.plural, name, &why).with_causes(
                    vec![json!({
                        "reason": "NamespaceTerminating",
                        "message": format!("namespace {namespace} is being terminated"),
                        "field": "metadata.namespace",
                    })],
                ),
            );
        }
        Ok(())
    }

    pub(crate) fn create(
        &mut self,
        resource: &Resource,
        ns: &str,
        body: Value,
        options: &WriteOptions,
    ) -> Result<Written, ApiError> {
        check_type(resource, &body)?;
        let (body, warnings) = decode(resource, body, options.validation)?;
        let mut new = set_type(resource, body);
        if !text(&new, &["metadata", "resourceVersion"]).is_empty() {
            return Err(ApiError::internal(
                "resourceVersion should not be set on objects to be created",
            ));
        }
        settle_namespace(resource, &mut new, ns)?;
        if name(&new).is_empty() {
            let prefix = text(&new, &["metadata", "generateName"]).to_owned();
            if prefix.is_empty() {
                let causes = [Cause::required(
                    "metadata.name",
                    "name or generateName is required",
                )];
                return Err(ApiError::invalid(
                    &resource.group,
                    &resource.kind,
                    "",
                    &causes,
                ));
            }
            let prefix: String = prefix.chars().take(58).collect();
            set(
                &mut new,
                &["metadata", "name"],
                format!("{prefix}{}", random_suffix(5)).into(),
            );
        }
        let new_name = name(&new).to_owned();
        if self.find(&resource.key, ns, &new_name).is_some() {
            return Err(ApiError::already_exists(
                &resource.group,
                &resource.plural,
                &new_name,
            ));
        }
        for owned in [
            "uid",
            "creationTimestamp",
            "generation",
            "selfLink",
            "deletionTimestamp",
            "deletionGracePeriodSeconds",
        ] {
            remove(&mut new, &["metadata", owned]);
        }
        if resource.has("status") {
            remove(&mut new, &["status"]);
        }
        self.finish_create(resource, new, options, warnings, false)
    }

    fn finish_create(
        &mut self,
        resource: &Resource,
        mut new: Value,
        options: &WriteOptions,
        warnings: Vec<String>,
        applied: bool,
    ) -> Result<Written, ApiError> {
        let (ns, new_name) = (namespace(&new).to_owned(), name(&new).to_owned());
        self.check_namespace(resource, &ns, &new_name)?;
        let time = now();
        set(
            &mut new,
            &["metadata", "uid"],
            uuid::Uuid::new_v4().to_string().into(),
        );
        set(
            &mut new,
            &["metadata", "creationTimestamp"],
            time.clone().into(),
        );
        if admission::has_generation(resource) {
            set(&mut new, &["metadata", "generation"], 1.into());
        }
        resource.schema().fill_defaults(&mut new);
        admission::default_object(self, resource, &mut new)?;
        if !applied {
            let version = resource.api_version();
            let writer = Writer {
                manager: &options.manager,
                api_version: &version,
                subresource: "",
                now: &time,
                ignored: ignored_fields(resource, ""),
            };
            remove(&mut new, &["metadata", "managedFields"]);
            ownership::track_update(resource.schema(), None, &mut new, &writer);
        }
        admission::prepare_create(self, resource, &mut new)?;
        let causes = admission::validate(resource, &new, None);
        if !causes.is_empty() {
            return Err(ApiError::invalid(
                &resource.group,
                &resource.kind,
                &new_name,
                &causes,
            ));
        }
        let object = if options.dry_run {
            Arc::new(new)
        } else {
            self.put(resource, new)
        };
        Ok(Written {
            object,
            created: true,
            warnings,
        })
    }

    pub(crate) fn update(
        &mut self,
        resource: &Resource,
        ns: &str,
        target: &str,
        body: Value,
        options: &WriteOptions,
    ) -> Result<Written, ApiError> {
        check_type(resource, &body)?;
        let (body, warnings) = decode(resource, body, options.validation)?;
        let mut new = set_type(resource, body);
        settle_namespace(resource, &mut new, ns)?;
        let body_name = name(&new);
        if body_name.is_empty() {
            set(&mut new, &["metadata", "name"], target.into());
        } else if body_name != target {
            return Err(ApiError::bad_request(format!(
                "the name of the object ({body_name}) does not match the name on the URL ({target})"
            )));
        }
        let old = self.read(resource, ns, target)?;
        if resource.custom.is_some() && text(&new, &["metadata", "resourceVersion"]).is_empty() {
            let causes = [Cause {
                reason: "FieldValueInvalid",
                message: "Invalid value: 0x0: must be specified for an update".to_owned(),
                field: "metadata.resourceVersion".to_owned(),
            }];
            return Err(ApiError::invalid(
                &resource.group,
                &resource.kind,
                target,
                &causes,
            ));
        }
        self.replace(resource, &old, new, options, warnings, false)
    }

    /// The common end of update, patch and apply.
    fn replace(
        &mut self,
        resource: &Resource,
        old: &Arc<Value>,
        mut new: Value,
        options: &WriteOptions,
        warnings: Vec<String>,
        applied: bool,
    ) -> Result<Written, ApiError> {
        let target = name(old).to_owned();
        check_preconditions(resource, old, &new)?;
        for kept in [
            "uid",
            "creationTimestamp",
            "deletionTimestamp",
            "deletionGracePeriodSeconds",
            "generation",
            "selfLink",
            "generateName",
        ] {
            keep(&mut new, old, &["metadata", kept]);
        }
        keep_other_half(resource, &mut new, old, options.subresource);
        resource.schema().fill_defaults(&mut new);
        if options.subresource.is_empty() {
            admission::default_object(self, resource, &mut new)?;
        }
        admission::prepare_update(resource, &mut new, old, options.subresource);
        let time = now();
        if !applied {
            let version = resource.api_version();
            let writer = Writer {
                manager: &options.manager,
                api_version: &version,
                subresource: options.subresource,
                now: &time,
                ignored: ignored_fields(resource, options.subresource),
            };
            ownership::track_update(resource.schema(), Some(old), &mut new, &writer);
        }
        if admission::has_generation(resource) && admission::spec_changed(resource, old, &new) {
            let generation = integer(old, &["metadata", "generation"]).unwrap_or(0) + 1;
            set(&mut new, &["metadata", "generation"], generation.into());
        }
        let causes = admission::validate(resource, &new, Some(old));
        if !causes.is_empty() {
            return Err(ApiError::invalid(
                &resource.group,
                &resource.kind,
                &target,
                &causes,
            ));
        }
        set(
            &mut new,
            &["metadata", "resourceVersion"],
            at(old, &["metadata", "resourceVersion"]).clone(),
        );
        if same(old, &new) {
            return Ok(Written {
                object: old.clone(),
                created: false,
                warnings,
            });
        }
        if options.dry_run {
            return Ok(Written {
                object: Arc::new(new),
                created: false,
                warnings,
            });
        }
        let object = self.put(resource, new);
        self.remove_when_finalized(resource, &object);
        Ok(Written {
            object,
            created: false,
            warnings,
        })
    }

    /// An object that waits for its deletion goes with its last finalizer.
    fn remove_when_finalized(&mut self, resource: &Resource, object: &Value) {
        let namespace_waits = resource.key == "namespaces"
            && !crate::object::list(object, &["spec", "finalizers"]).is_empty();
        let pod_waits = resource.key == "pods"
            && integer(object, &["metadata", "deletionGracePeriodSeconds"]).unwrap_or(0) > 0;
        if is_deleting(object) && finalizers(object).is_empty() && !namespace_waits && !pod_waits {
            self.remove(&Id::of(&resource.key, object));
        }
    }

    pub(crate) fn patch(
        &mut self,
        resource: &Resource,
        ns: &str,
        target: &str,
        patch: PatchBody,
        options: &WriteOptions,
    ) -> Result<Written, ApiError> {
        if let PatchBody::Apply(config) = patch {
            return self.apply(resource, ns, target, config, options);
        }
        let old = self.read(resource, ns, target)?;
        let patched = match &patch {
            PatchBody::Json(operations) => json_patch(&old, operations).map_err(|why| {
                let causes = [Cause {
                    reason: "FieldValueInvalid",
                    message: format!("Invalid value: {why}"),
                    field: "patch".to_owned(),
                }];
                let mut error = ApiError::invalid(&resource.group, &resource.kind, target, &causes);
                error.message =
                    "the server rejected our request due to an error in our request".to_owned();
                error
            })?,
            PatchBody::Merge(changes) => merge_patch(&old, changes),
            PatchBody::Strategic(changes) => {
                strategic_patch(resource.schema(), &old, changes).map_err(ApiError::bad_request)?
            }
            PatchBody::Apply(_) => Value::Null,
        };
        check_type(resource, &patched)?;
        let (patched, warnings) = decode(resource, patched, options.validation)?;
        let mut new = set_type(resource, patched);
        if name(&new) != target {
            let detail = "field is immutable";
            let causes = [Cause::invalid(
                "metadata.name",
                &at(&new, &["metadata", "name"]).clone(),
                detail,
            )];
            return Err(ApiError::invalid(
                &resource.group,
                &resource.kind,
                target,
                &causes,
            ));
        }
        settle_namespace(resource, &mut new, ns)?;
        self.replace(resource, &old, new, options, warnings, false)
    }

    fn apply(
        &mut self,
        resource: &Resource,
        ns: &str,
        target: &str,
        config: Value,
        options: &WriteOptions,
    ) -> Result<Written, ApiError> {
        if text(&config, &["apiVersion"]).is_empty() || text(&config, &["kind"]).is_empty() {
            return Err(ApiError::bad_request("invalid object type: /, Kind="));
        }
        check_type(resource, &config)?;
        if !at(&config, &["metadata", "managedFields"]).is_null() {
            return Err(ApiError::bad_request("metadata.managedFields must be nil"));
        }
        let mut config = config;
        settle_namespace(resource, &mut config, ns)?;
        match name(&config) {
            "" => set(&mut config, &["metadata", "name"], target.into()),
            given if given != target => {
                return Err(ApiError::bad_request(format!(
                    "the name of the object ({given}) does not match the name on the URL ({target})"
                )));
            }
            _ => {}
        }
        // Fields that the type lacks are an error of apply itself, whatever the field validation.
        let (decoded, unknown) = decode(resource, config, FieldValidation::Warn)?;
        if let Some(first) = unknown.first() {
            let path = first.trim_start_matches("unknown field ").trim_matches('"');
            let of = format!(
                "{ns}/{target}; {}, Kind={}",
                resource.api_version(),
                resource.kind
            );
            return Err(ApiError::internal(format!(
                "failed to create typed patch object ({of}): .{path}: field not declared in schema"
            )));
        }
        let config = set_type(resource, decoded);
        let (version, time) = (resource.api_version(), now());
        let writer = Writer {
            manager: &options.manager,
            api_version: &version,
            subresource: options.subresource,
            now: &time,
            ignored: ignored_fields(resource, options.subresource),
        };
        match self
            .find(&resource.key, ns, target)
            .map(|found| in_version(resource, found))
        {
            None if options.subresource.is_empty() => {
                let base = set_type(resource, Value::Null);
                let mut new =
                    ownership::apply(resource.schema(), &base, &config, &writer, options.force)?;
                for owned in ["uid", "resourceVersion", "creationTimestamp", "generation"] {
                    remove(&mut new, &["metadata", owned]);
                }
                self.finish_create(resource, new, options, Vec::new(), true)
            }
            None => Err(ApiError::not_found(
                &resource.group,
                &resource.plural,
                target,
            )),
            Some(old) => {
                let mut wanted = config;
                let precondition = remove(&mut wanted, &["metadata", "resourceVersion"]);
                let mut new =
                    ownership::apply(resource.schema(), &old, &wanted, &writer, options.force)?;
                match precondition {
                    Some(version) => set(&mut new, &["metadata", "resourceVersion"], version),
                    None => drop(remove(&mut new, &["metadata", "resourceVersion"])),
                }
                self.replace(resource, &old, new, options, Vec::new(), true)
            }
        }
    }
}

fn settle_namespace(resource: &Resource, new: &mut Value, ns: &str) -> Result<(), ApiError> {
    let given = namespace(new);
    if !resource.namespaced {
        remove(new, &["metadata", "namespace"]);
    } else if given.is_empty() {
        set(new, &["metadata", "namespace"], ns.into());
    } else if given != ns {
        return Err(ApiError::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    Ok(())
}

/// Fields that nobody comes to own by writing at this endpoint, because it leaves them alone.
fn ignored_fields(resource: &Resource, subresource: &str) -> &'static [&'static str] {
    match (subresource, resource.has("status")) {
        ("status", _) => &["spec", "metadata", "data", "stringData"],
        (_, true) => &["status"],
        _ => &[],
    }
}

fn keep(new: &mut Value, old: &Value, path: &[&str]) {
    match at(old, path) {
        Value::Null => drop(remove(new, path)),
        value => set(new, path, value.clone()),
    }
}

/// The main endpoint keeps the status, the status endpoint keeps everything else.
fn keep_other_half(resource: &Resource, new: &mut Value, old: &Arc<Value>, subresource: &str) {
    if subresource == "status" {
        let status = new.get("status").cloned();
        let managed = at(new, &["metadata", "managedFields"]).clone();
        *new = Value::clone(old);
        match status {
            Some(status) => set(new, &["status"], status),
            None => drop(remove(new, &["status"])),
        }
        if managed.is_array() {
            set(new, &["metadata", "managedFields"], managed);
        }
    } else if resource.has("status") && subresource.is_empty() {
        keep(new, old, &["status"]);
    }
}

fn check_preconditions(resource: &Resource, old: &Value, new: &Value) -> Result<(), ApiError> {
    let (given_uid, given_version) = (uid(new), text(new, &["metadata", "resourceVersion"]));
    if !given_uid.is_empty() && given_uid != uid(old) {
        let why = format!(
            "Precondition failed: UID in precondition: {given_uid}, UID in object meta: {}",
            uid(old)
        );
        return Err(ApiError::conflict(
            &resource.group,
            &resource.plural,
            name(old),
            &why,
        ));
    }
    if !given_version.is_empty() && given_version != text(old, &["metadata", "resourceVersion"]) {
        let why = "the object has been modified; please apply your changes to the latest version and try again";
        return Err(ApiError::conflict(
            &resource.group,
            &resource.plural,
            name(old),
            why,
        ));
    }
    Ok(())
}

/// Equal but for the times in `managedFields`.
fn same(old: &Value, new: &Value) -> bool {
    if old == new {
        return true;
    }
    let strip = |object: &Value| {
        let mut copy = object.clone();
        if let Some(Value::Array(entries)) = copy.pointer_mut("/metadata/managedFields") {
            for e in entries.iter_mut() {
                remove(e, &["time"]);
            }
            entries.sort_by_key(Value::to_string);
        }
        copy
    };
    strip(old) == strip(new)
}
