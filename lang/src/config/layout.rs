//! What each body of the language may hold, for its JSON form: which members are blocks, and which strings are expressions.

use crate::syntax::{BlockLayout, Layout, Strings, dynamic};

use Strings::{Expressions, Literals, LiteralsExcept, Templates};

/// A configuration file.
pub static CONFIGURATION: Layout = Layout {
    blocks: &[
        block("terraform", &[], &TERRAFORM),
        block("language", &[], &LANGUAGE),
        block("variable", &["name"], &VARIABLE),
        block("locals", &[], &Layout::ARGUMENTS),
        block("output", &["name"], &OUTPUT),
        block("provider", &["name"], &PROVIDER),
        block("resource", &["type", "name"], &RESOURCE),
        block("data", &["type", "name"], &RESOURCE),
        block("ephemeral", &["type", "name"], &RESOURCE),
        block("module", &["name"], &MODULE),
        block("moved", &[], &MOVED),
        block("removed", &[], &REMOVED),
        block("import", &[], &IMPORT),
        block("check", &["name"], &CHECK),
    ],
    ..Layout::ARGUMENTS
};

/// A file of values for variables.
pub static VARIABLES: Layout = Layout::CONSTANTS;

/// A file of tests.
pub static TESTS: Layout = Layout {
    blocks: &[
        block("test", &[], &Layout::CONSTANTS),
        block("run", &["name"], &RUN),
        block("variable", &["name"], &VARIABLE),
        block("variables", &[], &Layout::ARGUMENTS),
        block("provider", &["name"], &PROVIDER),
        block("mock_provider", &["name"], &MOCK_PROVIDER),
        OVERRIDE_RESOURCE,
        OVERRIDE_DATA,
        OVERRIDE_MODULE,
    ],
    ..Layout::ARGUMENTS
};

/// A file of data for mock providers.
pub(super) static MOCKS: Layout = Layout {
    blocks: MOCK_PROVIDER.blocks,
    ..Layout::ARGUMENTS
};

const fn block(
    kind: &'static str,
    labels: &'static [&'static str],
    body: &'static Layout,
) -> BlockLayout {
    BlockLayout { kind, labels, body }
}

static TERRAFORM: Layout = Layout {
    blocks: &[
        block("backend", &["type"], &Layout::CONSTANTS),
        block(
            "cloud",
            &[],
            &Layout {
                blocks: &[block("workspaces", &[], &Layout::CONSTANTS)],
                ..Layout::CONSTANTS
            },
        ),
        block(
            "required_providers",
            &[],
            &Layout {
                other_arguments: LiteralsExcept(&["configuration_aliases"]),
                ..Layout::CONSTANTS
            },
        ),
        block("provider_meta", &["provider"], &Layout::ARGUMENTS),
        block("encryption", &[], &ENCRYPTION),
    ],
    arguments: &[("experiments", Expressions), ("language", Expressions)],
    ..Layout::CONSTANTS
};

/// The content of an `encryption` block.
pub(super) static ENCRYPTION: Layout = Layout {
    blocks: &[
        block("key_provider", &["type", "name"], &Layout::ARGUMENTS),
        block("method", &["type", "name"], &ENCRYPTION_METHOD),
        block("state", &[], &ENCRYPTION_TARGET),
        block("plan", &[], &ENCRYPTION_TARGET),
        block(
            "remote_state_data_sources",
            &[],
            &Layout {
                blocks: &[
                    block("default", &[], &ENCRYPTION_TARGET),
                    block("remote_state_data_source", &["name"], &ENCRYPTION_TARGET),
                ],
                ..Layout::ARGUMENTS
            },
        ),
    ],
    ..Layout::ARGUMENTS
};

static ENCRYPTION_METHOD: Layout = Layout {
    arguments: &[("keys", Expressions)],
    ..Layout::ARGUMENTS
};

static ENCRYPTION_TARGET: Layout = Layout {
    blocks: &[block("fallback", &[], &ENCRYPTION_TARGET)],
    arguments: &[("method", Expressions)],
    ..Layout::ARGUMENTS
};

static LANGUAGE: Layout = Layout {
    blocks: &[block("compatible_with", &[], &Layout::CONSTANTS)],
    arguments: &[("edition", Expressions), ("experiments", Expressions)],
    ..Layout::CONSTANTS
};

static VARIABLE: Layout = Layout {
    blocks: &[block("validation", &[], &Layout::ARGUMENTS)],
    arguments: &[("type", Expressions)],
    ..Layout::CONSTANTS
};

static OUTPUT: Layout = Layout {
    blocks: &[block("precondition", &[], &Layout::ARGUMENTS)],
    arguments: &[
        ("value", Templates),
        ("depends_on", Expressions),
        ("type", Expressions),
    ],
    ..Layout::CONSTANTS
};

static PROVIDER: Layout = Layout {
    blocks: &[
        dynamic(),
        block("lifecycle", &[], &Layout::ARGUMENTS),
        block("_", &[], &ESCAPE),
    ],
    arguments: &[("alias", Literals), ("version", Literals)],
    open: true,
    ..Layout::ARGUMENTS
};

static RESOURCE: Layout = Layout {
    blocks: &[
        dynamic(),
        block("lifecycle", &[], &LIFECYCLE),
        block("connection", &[], &Layout::ARGUMENTS),
        block("provisioner", &["type"], &PROVISIONER),
        block("locals", &[], &Layout::ARGUMENTS),
        block("_", &[], &ESCAPE),
    ],
    arguments: &[("provider", Expressions), ("depends_on", Expressions)],
    open: true,
    ..Layout::ARGUMENTS
};

/// What is never a meta-argument, whatever its name.
static ESCAPE: Layout = Layout {
    blocks: &[dynamic()],
    open: true,
    ..Layout::ARGUMENTS
};

static LIFECYCLE: Layout = Layout {
    blocks: &[
        block("precondition", &[], &Layout::ARGUMENTS),
        block("postcondition", &[], &Layout::ARGUMENTS),
        block("action_trigger", &[], &Layout::ARGUMENTS),
        block("rollout", &[], &ROLLOUT),
    ],
    arguments: &[
        ("ignore_changes", Expressions),
        ("replace_triggered_by", Expressions),
    ],
    ..Layout::ARGUMENTS
};

static ROLLOUT: Layout = Layout {
    blocks: &[block("health_check", &["type"], &PROVISIONER)],
    arguments: &[("on_failure", Expressions)],
    ..Layout::ARGUMENTS
};

static PROVISIONER: Layout = Layout {
    blocks: &[
        block("connection", &[], &Layout::ARGUMENTS),
        block("lifecycle", &[], &Layout::ARGUMENTS),
        block("_", &[], &Layout::ARGUMENTS),
    ],
    arguments: &[("when", Expressions), ("on_failure", Expressions)],
    ..Layout::ARGUMENTS
};

static MODULE: Layout = Layout {
    blocks: &[
        block("lifecycle", &[], &Layout::ARGUMENTS),
        block("_", &[], &Layout::ARGUMENTS),
    ],
    arguments: &[
        ("version", Templates),
        ("providers", Expressions),
        ("depends_on", Expressions),
    ],
    ..Layout::ARGUMENTS
};

static MOVED: Layout = Layout {
    other_arguments: Expressions,
    ..Layout::ARGUMENTS
};

static REMOVED: Layout = Layout {
    blocks: &[
        block("lifecycle", &[], &Layout::CONSTANTS),
        block("connection", &[], &Layout::ARGUMENTS),
        block("provisioner", &["type"], &PROVISIONER),
    ],
    arguments: &[("from", Expressions)],
    ..Layout::ARGUMENTS
};

static IMPORT: Layout = Layout {
    arguments: &[("to", Expressions), ("provider", Expressions)],
    ..Layout::ARGUMENTS
};

static CHECK: Layout = Layout {
    blocks: &[
        block("data", &["type", "name"], &RESOURCE),
        block("assert", &[], &Layout::ARGUMENTS),
    ],
    ..Layout::ARGUMENTS
};

static RUN: Layout = Layout {
    blocks: &[
        block("variables", &[], &Layout::ARGUMENTS),
        block(
            "plan_options",
            &[],
            &Layout {
                arguments: &[
                    ("mode", Expressions),
                    ("replace", Expressions),
                    ("target", Expressions),
                ],
                ..Layout::CONSTANTS
            },
        ),
        block("assert", &[], &Layout::ARGUMENTS),
        block("module", &[], &Layout::CONSTANTS),
        OVERRIDE_RESOURCE,
        OVERRIDE_DATA,
        OVERRIDE_MODULE,
    ],
    arguments: &[
        ("command", Expressions),
        ("providers", Expressions),
        ("expect_failures", Expressions),
    ],
    ..Layout::CONSTANTS
};

static MOCK_PROVIDER: Layout = Layout {
    blocks: &[
        block("mock_resource", &["type"], &MOCK),
        block("mock_data", &["type"], &MOCK),
        block("mock_ephemeral", &["type"], &MOCK),
        OVERRIDE_RESOURCE,
        OVERRIDE_DATA,
    ],
    arguments: &[("override_during", Expressions)],
    ..Layout::CONSTANTS
};

const OVERRIDE_RESOURCE: BlockLayout = block("override_resource", &[], &MOCK);
const OVERRIDE_DATA: BlockLayout = block("override_data", &[], &MOCK);
const OVERRIDE_MODULE: BlockLayout = block("override_module", &[], &MOCK);

static MOCK: Layout = Layout {
    arguments: &[("target", Expressions), ("override_during", Expressions)],
    ..Layout::ARGUMENTS
};
