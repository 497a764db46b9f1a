//! Forms of texts that several types have.

use stead_sdk::value::schema::Pattern;

/// An address with the length of its network's prefix.
pub(crate) const CIDR: Pattern = Pattern {
    regex: r"(\d{1,3}(\.\d{1,3}){3}/([12]?\d|3[0-2])|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*/(\d\d?|1[01]\d|12[0-8]))",
    form: "an address with a prefix length, such as 10.0.0.1/24",
};

/// An address.
pub(crate) const ADDRESS: Pattern = Pattern {
    regex: r"(\d{1,3}(\.\d{1,3}){3}|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*)",
    form: "an IP address",
};

/// A name of software-defined networking.
pub(crate) const SDN_ID: Pattern = Pattern {
    regex: "[A-Za-z][A-Za-z0-9]{0,6}[A-Za-z0-9]",
    form: "a name of two to eight letters and digits that starts with a letter",
};

/// What the API takes as a name in its configuration files.
pub(crate) const CONFIG_ID: Pattern = Pattern {
    regex: "[A-Za-z][A-Za-z0-9_.-]*[A-Za-z0-9]",
    form: "a name of at least two letters, digits, `-`, `_` and `.` that starts with a letter and ends with a letter or digit",
};

/// A name of a node.
pub(crate) const NODE: Pattern = Pattern {
    regex: "[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?",
    form: "a node's name",
};

/// A remark.
pub(crate) const COMMENT: Pattern = Pattern {
    regex: r"\S(.*\S)?",
    form: "a text without blanks at its ends",
};

/// A moment.
pub(crate) const DATE: Pattern = Pattern {
    regex: r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)",
    form: "a date and time as in RFC 3339, such as 2030-01-31T00:00:00Z",
};
