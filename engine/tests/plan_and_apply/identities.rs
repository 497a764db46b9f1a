//! Identities: recorded with their objects, kept, brought to today's form, and imported by.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde_json::{Value as Json, json};
use stead_engine::{Action, Plan, PlanMode, ResourceChange};
use stead_sdk::{
    Block, Context, Dialer, Error, Failure, Identity, ImportBy, Native, NoConfig, ProviderFactory,
    Resource, async_trait,
};
use stead_value::{Diagnostics, Severity, Value};

use crate::support::{Stand, address};

/// The notes that there are, by name: on which board each hangs.
#[derive(Clone, Default)]
pub(crate) struct Boards(Arc<Mutex<BTreeMap<String, String>>>);

impl Boards {
    fn hang(&self, name: &str, board: &str) {
        let mut notes = self.0.lock().expect("the notes");
        notes.insert(name.into(), board.into());
    }

    fn board(&self, name: &str) -> Option<String> {
        self.0.lock().expect("the notes").get(name).cloned()
    }
}

pub(crate) fn factory(boards: &Boards) -> Arc<dyn ProviderFactory> {
    let boards = boards.clone();
    let provider = Native::<Boards>::provider::<NoConfig>("board")
        .configure(move |_, _, _| {
            let boards = boards.clone();
            async move { Ok::<_, Diagnostics>(boards) }
        })
        .resource::<Note>()
        .build(&Dialer::direct());
    Arc::new(provider)
}

#[derive(Clone, Debug, Resource)]
#[resource(name = "board_note", identity = NoteIdentity)]
struct Note {
    #[attr(computed)]
    id: String,
    #[attr(required, replace)]
    name: String,
    /// `fail` makes every write fail.
    #[attr(optional)]
    text: Option<String>,
}

#[derive(Clone, Debug, Block)]
struct NoteIdentity {
    #[attr(required)]
    name: String,
    #[attr(optional)]
    board: Option<String>,
}

impl Identity<Note> for NoteIdentity {
    const VERSION: u64 = 1;

    fn of(note: &Note) -> Option<Self> {
        let (board, name) = note.id.split_once('/')?;
        Some(NoteIdentity {
            name: name.to_owned(),
            board: Some(board.to_owned()),
        })
    }

    fn import_id(&self) -> Result<String, Error> {
        let board = self.board.as_deref().unwrap_or("main");
        Ok(format!("{board}/{}", self.name))
    }

    /// The first version knew one board only.
    fn upgrade(_version: u64, identity: Json) -> Result<Json, Error> {
        Ok(json!({ "name": identity["title"], "board": "main" }))
    }
}

impl Note {
    fn hung(self, boards: &Boards) -> Result<Self, Failure<Self>> {
        let board = boards.board(&self.name).unwrap_or("main".to_owned());
        boards.hang(&self.name, &board);
        let note = Note {
            id: format!("{board}/{}", self.name),
            ..self
        };
        match note.text.as_deref() {
            Some("fail") => Err(Failure::partial(
                Error::new("write the note", "no ink"),
                note,
            )),
            _ => Ok(note),
        }
    }
}

#[async_trait]
impl Resource for Note {
    type Client = Boards;

    async fn create(
        boards: &Boards,
        planned: Self,
        _: &Value,
        _: &Context,
    ) -> Result<Self, Failure<Self>> {
        planned.hung(boards)
    }

    async fn read(boards: &Boards, prior: Self, _: &Context) -> Result<Option<Self>, Error> {
        let board = boards.board(&prior.name);
        Ok(board.map(|board| Note {
            id: format!("{board}/{}", prior.name),
            ..prior
        }))
    }

    async fn update(
        boards: &Boards,
        _: Self,
        planned: Self,
        _: &Value,
        _: &Context,
    ) -> Result<Self, Failure<Self>> {
        planned.hung(boards)
    }

    async fn delete(boards: &Boards, prior: Self, _: &Context) -> Result<(), Error> {
        if prior.text.as_deref() == Some("stays") {
            return Err(Error::new("take the note down", "it is glued"));
        }
        boards.0.lock().expect("the notes").remove(&prior.name);
        Ok(())
    }

    async fn import(boards: &Boards, id: &str, _: &Context) -> Result<Self, Error> {
        let (board, name) = id.split_once('/').unwrap_or(("main", id));
        if boards.board(name).is_none_or(|b| b != board) {
            return Err(Error::not_found(
                "import the note",
                format!("there is no {id}"),
            ));
        }
        Ok(Note {
            id: id.to_owned(),
            name: name.to_owned(),
            text: None,
        })
    }
}

fn note(name: &str, text: &str) -> String {
    format!("resource \"board_note\" \"n\" {{\n  name = \"{name}\"\n  text = \"{text}\"\n}}\n")
}

fn import(identity: &str) -> String {
    format!(
        "{}import {{\n  to       = board_note.n\n  identity = {identity}\n}}\n",
        note("a", "x")
    )
}

/// What is recorded of an object: the version of its identity, and that.
fn recorded(state: &stead_state::State, at: &str) -> Option<(u64, Json)> {
    let (object, _) = state.current(&address(at))?;
    let identity = object.identity.as_deref()?;
    Some((identity.schema_version, identity.attributes.clone().into()))
}

fn identity(board: &str, name: &str) -> Json {
    json!({ "board": board, "name": name })
}

fn shown(value: Option<&Value>) -> Option<Json> {
    let value = value?;
    Some(stead_value::json::to_json(value, &value.ty()).expect("JSON"))
}

/// A change's action, and the identity before and after it.
fn change(plan: &Plan) -> (Action, Option<Json>, Option<Json>) {
    let change: &ResourceChange = plan.changes.first().expect("a change");
    let after = shown(change.identity_after());
    (change.action, shown(change.identity.as_ref()), after)
}

async fn planned(stand: &Stand, stack: &str) -> Plan {
    let planned = stand.plan(stack, PlanMode::Normal).await;
    planned.expect("a plan").plan
}

async fn applied(stand: &mut Stand, stack: &str) {
    let applied = stand.apply(stack, PlanMode::Normal).await;
    assert!(
        !applied.diagnostics.has_errors(),
        "{:?}",
        applied.diagnostics
    );
}

/// The errors of a plan that cannot be made.
async fn refused(stand: &Stand, stack: &str) -> String {
    let refused = stand.plan(stack, PlanMode::Normal).await;
    let errors = refused.err().expect("no plan");
    errors
        .iter()
        .map(|d| format!("{}: {}\n", d.summary, d.detail))
        .collect()
}

async fn with_a_note() -> Stand {
    let mut stand = Stand::new();
    applied(&mut stand, &note("a", "x")).await;
    stand
}

/// Replaces what is recorded of the note's identity.
fn record(stand: &mut Stand, identity: Option<(u64, Json)>) {
    stand
        .state
        .edit_object(&address("board_note.n"), None, |object| {
            object.identity = identity.map(|(schema_version, attributes)| {
                Box::new(stead_state::Identity {
                    schema_version,
                    attributes: attributes.as_object().cloned().expect("an object"),
                })
            });
        });
}

#[tokio::test]
async fn a_created_object_has_its_identity_recorded_and_keeps_it() {
    let mut stand = Stand::new();
    let plan = planned(&stand, &note("a", "x")).await;
    assert_eq!(change(&plan), (Action::Create, None, None));
    applied(&mut stand, &note("a", "x")).await;
    let main_a = Some(identity("main", "a"));
    assert_eq!(
        recorded(&stand.state, "board_note.n"),
        Some((1, identity("main", "a")))
    );

    for (text, action) in [("x", Action::NoOp), ("y", Action::Update)] {
        let plan = planned(&stand, &note("a", text)).await;
        assert_eq!(change(&plan), (action, main_a.clone(), main_a.clone()));
    }
    applied(&mut stand, &note("a", "y")).await;
    assert_eq!(
        recorded(&stand.state, "board_note.n"),
        Some((1, identity("main", "a")))
    );

    // What replaces it is another object, whose identity nobody knows yet.
    let plan = planned(&stand, &note("b", "y")).await;
    assert_eq!(
        change(&plan),
        (Action::DeleteThenCreate, main_a.clone(), None)
    );
    let plan = planned(&stand, "").await;
    assert_eq!(change(&plan), (Action::Delete, main_a, None));
    applied(&mut stand, &note("b", "y")).await;
    assert_eq!(
        recorded(&stand.state, "board_note.n"),
        Some((1, identity("main", "b")))
    );
}

#[tokio::test]
async fn what_fails_keeps_its_identity() {
    let mut stand = Stand::new();
    // A create that made something, an update, a delete.
    for stack in [
        note("a", "fail"),
        note("a", "stays"),
        note("a", "fail"),
        String::new(),
    ] {
        let fails = !stack.contains("stays");
        let applied = stand.apply(&stack, PlanMode::Normal).await;
        assert_eq!(applied.diagnostics.has_errors(), fails, "{stack}");
        assert_eq!(
            recorded(&stand.state, "board_note.n"),
            Some((1, identity("main", "a"))),
            "{stack}"
        );
        if stack.contains("fail") {
            // The next try changes it in place, and its deletion is refused.
            stand
                .state
                .edit_object(&address("board_note.n"), None, |object| {
                    object.status = stead_state::ObjectStatus::Ready;
                    let kept = r#"{"id":"main/a","name":"a","text":"stays"}"#.to_owned();
                    object.attributes = serde_json::value::RawValue::from_string(kept)
                        .expect("JSON")
                        .into();
                });
        }
    }
}

#[tokio::test]
async fn what_is_set_aside_keeps_its_identity() {
    let first = |name: &str, text: &str| {
        note(name, text).replace(
            "}\n",
            "  lifecycle {\n    create_before_destroy = true\n  }\n}\n",
        )
    };
    let mut stand = Stand::new();
    applied(&mut stand, &first("a", "stays")).await;
    let failed = stand.apply(&first("b", "x"), PlanMode::Normal).await;
    assert!(failed.diagnostics.has_errors());
    assert_eq!(
        recorded(&stand.state, "board_note.n"),
        Some((1, identity("main", "b")))
    );
    let deposed: Vec<Json> = stand
        .state
        .deposed_objects()
        .map(|(_, _, object, _)| {
            object
                .identity
                .clone()
                .expect("an identity")
                .attributes
                .into()
        })
        .collect();
    assert_eq!(deposed, [identity("main", "a")]);
    let plan = planned(&stand, &first("b", "x")).await;
    let change = plan
        .changes
        .iter()
        .find(|c| c.deposed.is_some())
        .expect("a change");
    assert_eq!(shown(change.identity.as_ref()), Some(identity("main", "a")));
    assert_eq!(change.identity_after(), None);
}

#[tokio::test]
async fn a_move_keeps_the_identity() {
    let mut stand = with_a_note().await;
    let moved = note("a", "x").replace("\"n\"", "\"m\"")
        + "moved {\n  from = board_note.n\n  to   = board_note.m\n}\n";
    applied(&mut stand, &moved).await;
    assert_eq!(
        recorded(&stand.state, "board_note.m"),
        Some((1, identity("main", "a")))
    );
}

#[tokio::test]
async fn a_refresh_finds_a_missing_identity_and_renews_an_old_one() {
    let mut stand = with_a_note().await;
    for older in [
        None,
        Some((0, json!({ "title": "a" }))),
        Some((1, json!({ "name": "a", "board": "main", "gone": 1 }))),
    ] {
        record(&mut stand, older.clone());
        let plan = planned(&stand, &note("a", "x")).await;
        assert!(!plan.has_changes() && plan.drift.is_empty(), "{older:?}");
        let found = Some((1, identity("main", "a")));
        assert_eq!(
            recorded(&plan.prior_state, "board_note.n"),
            found,
            "{older:?}"
        );
    }
}

#[tokio::test]
async fn an_identity_of_a_newer_provider_is_refused() {
    let mut stand = with_a_note().await;
    record(&mut stand, Some((2, identity("main", "a"))));
    let errors = refused(&stand, &note("a", "x")).await;
    assert!(
        errors.contains("managed by newer provider version"),
        "{errors}"
    );
    assert!(
        errors.contains("its identity has schema version 2"),
        "{errors}"
    );
}

/// Terraform leaves this check to the providers' kits since 1.12; theirs say the same.
#[tokio::test]
async fn an_object_does_not_become_another_one() {
    let mut stand = with_a_note().await;
    stand.boards.hang("a", "other");
    let errors = refused(&stand, &note("a", "x")).await;
    assert!(
        errors.starts_with("Unexpected Identity Change: "),
        "{errors}"
    );
    assert!(
        errors.contains("Recorded identity: board=main,name=a\nNew identity: board=other,name=a"),
        "{errors}"
    );

    // While it is changed: what was recorded stays.
    stand.boards.hang("a", "main");
    let stack = note("a", "y");
    let planned = stand.plan(&stack, PlanMode::Normal).await.expect("a plan");
    stand.boards.hang("a", "other");
    let applied = stand.apply_planned(&stack, planned).await;
    let errors: Vec<_> = applied
        .diagnostics
        .iter()
        .map(|d| d.summary.as_str())
        .collect();
    assert_eq!(errors, ["Unexpected Identity Change"]);
    assert_eq!(
        recorded(&stand.state, "board_note.n"),
        Some((1, identity("main", "a")))
    );
}

/// Another release of a provider may have given the type identities.
#[tokio::test]
async fn an_identity_of_a_type_that_has_none_is_left_alone() {
    let stack = |token: &str| {
        format!(
            "resource \"inside_thing\" \"n\" {{\n  name     = \"{token}\"\n}}\nprovider \"inside\" {{\n  endpoint = \"e\"\n}}\n"
        )
    };
    let mut stand = Stand::new();
    applied(&mut stand, &stack("a")).await;
    let at = address("inside_thing.n");
    let foreign = json!({ "arn": "x" });
    stand.state.edit_object(&at, None, |object| {
        object.identity = Some(Box::new(stead_state::Identity {
            schema_version: 7,
            attributes: foreign.as_object().cloned().expect("an object"),
        }));
    });
    applied(&mut stand, &stack("b")).await;
    assert_eq!(recorded(&stand.state, "inside_thing.n"), Some((7, foreign)));
}

#[tokio::test]
async fn an_object_is_imported_by_its_identity() {
    let mut stand = Stand::new();
    stand.boards.hang("a", "main");
    // What it may leave out is completed by the provider.
    let plan = planned(&stand, &import("{ name = \"a\" }")).await;
    let whole = Some(identity("main", "a"));
    assert_eq!(
        change(&plan),
        (Action::Update, whole.clone(), whole.clone())
    );
    let importing = plan.changes[0].importing.as_ref().expect("an import");
    let ImportBy::Identity(by) = &importing.by else {
        panic!("by an id: {importing:?}");
    };
    assert_eq!(shown(Some(by)), whole);
    applied(&mut stand, &import("{ name = \"a\" }")).await;
    assert_eq!(
        recorded(&stand.state, "board_note.n"),
        Some((1, identity("main", "a")))
    );
    // The block may stay.
    assert!(
        !planned(&stand, &import("{ name = \"a\" }"))
            .await
            .has_changes()
    );
}

#[tokio::test]
async fn an_import_by_id_records_the_identity_too() {
    let mut stand = Stand::new();
    stand.boards.hang("a", "side");
    let stack = import("x").replace("identity = x", "id = \"side/a\"");
    applied(&mut stand, &stack).await;
    assert_eq!(
        recorded(&stand.state, "board_note.n"),
        Some((1, identity("side", "a")))
    );
}

#[tokio::test]
async fn imports_by_identity_repeat() {
    let mut stand = Stand::new();
    for (name, board) in [("a", "main"), ("b", "side")] {
        stand.boards.hang(name, board);
    }
    let stack = r#"
locals {
  notes = { a = "main", b = "side" }
}
resource "board_note" "n" {
  for_each = local.notes
  name     = each.key
}
import {
  for_each = local.notes
  to       = board_note.n[each.key]
  identity = { name = each.key, board = each.value }
}
"#;
    let plan = planned(&stand, stack).await;
    let actions: Vec<Action> = plan.changes.iter().map(|c| c.action).collect();
    assert_eq!(
        (actions.as_slice(), plan.imports()),
        ([Action::NoOp; 2].as_slice(), 2)
    );
    applied(&mut stand, stack).await;
    assert_eq!(
        recorded(&stand.state, "board_note.n[\"b\"]"),
        Some((1, identity("side", "b")))
    );
}

#[tokio::test]
async fn imports_by_a_wrong_identity_are_refused() {
    let stand = Stand::new();
    stand.boards.hang("a", "main");
    for (given, expected) in [
        (
            "{ name = \"b\" }",
            "Could not import the note: there is no main/b",
        ),
        (
            "{ board = \"main\" }",
            "Incorrect value type: Invalid expression value: attribute \"name\" is required.",
        ),
        (
            "{ name = [] }",
            "Incorrect value type: Invalid expression value: attribute \"name\": string required.",
        ),
        ("\"main/a\"", "Incorrect value type: "),
        (
            "null",
            "Invalid import identity argument: The import identity cannot be null.",
        ),
        (
            "{ name = null }",
            "Invalid import identity argument: The attribute \"name\" is required to import by identity, and cannot be null.",
        ),
        (
            "{ name = sensitive(\"a\") }",
            "Invalid import identity argument: The import identity must not contain sensitive or ephemeral values",
        ),
        (
            "{ name = local.nope }",
            "Reference to undeclared local value",
        ),
        (
            "{ name = cloud_cluster.c.id }",
            "Invalid import identity argument: The import block \"identity\" argument depends on resource attributes that cannot be determined until apply",
        ),
    ] {
        let cluster = "resource \"cloud_cluster\" \"c\" {\n  name = \"c\"\n}\n";
        let errors = refused(&stand, &format!("{}{cluster}", import(given))).await;
        assert!(errors.contains(expected), "{given}: {errors}");
    }
    let stack = "resource \"cloud_cluster\" \"c\" {\n  name = \"c\"\n}\nimport {\n  to = cloud_cluster.c\n  identity = {}\n}\n";
    let errors = refused(&stand, stack).await;
    assert!(errors.contains("The provider \"registry.terraform.io/hashicorp/cloud\" gives objects of the type \"cloud_cluster\" no identity"), "{errors}");
}

/// Terraform ignores it silently, which would import another object than was meant.
#[tokio::test]
async fn an_attribute_that_the_identity_does_not_have_is_warned_of() {
    let stand = Stand::new();
    stand.boards.hang("a", "main");
    let plan = planned(&stand, &import("{ name = \"a\", bord = \"side\" }")).await;
    let warnings: Vec<_> = plan
        .warnings
        .iter()
        .map(|d| (d.severity, d.detail.as_str()))
        .collect();
    assert_eq!(
        warnings,
        [(
            Severity::Warning,
            "The identity has no attribute \"bord\", and what is given for it is ignored. Did you mean \"board\"?"
        )]
    );
}
