//! The table of functions, sorted by name.

use stead_value::Type;

use super::ParameterType::{Any, ListOfAny, ListOfBool, ListOfString, MapOfListOfString, SetOfAny};
use super::spec::Returns::{self, By, Fixed};
use super::{
    Call, Function, FunctionError, Outcome, Parameter, collections as c, encoding as e, files,
    format, hashes as h, network as net, numbers as n, regexes as re, sets, strings as s,
    structures as st, text_encoding as te, time, types, yaml,
};

const fn p(name: &'static str, ty: super::ParameterType) -> Parameter {
    Parameter::new(name, ty)
}

const fn string(name: &'static str) -> Parameter {
    p(name, super::ParameterType::String)
}

const fn number(name: &'static str) -> Parameter {
    p(name, super::ParameterType::Number)
}

const fn any(name: &'static str) -> Parameter {
    p(name, Any)
}

/// Takes whatever there is: null, unknown, of a type that is still open.
const fn anything(name: &'static str) -> Parameter {
    any(name).null().unknown().open()
}

const BOOL: Returns = Fixed(|| Type::Bool);
const NUMBER: Returns = Fixed(|| Type::Number);
const STRING: Returns = Fixed(|| Type::String);
const STRINGS: Returns = Fixed(|| Type::list(Type::String));
const DYNAMIC: Returns = Fixed(|| Type::Dynamic);

const ONE_STRING: &[Parameter] = &[string("str")];
const PATH: &[Parameter] = &[string("path")];
const MARKED_VALUE: &[Parameter] = &[anything("v").marked()];
const MARKED_PATH: &[Parameter] = &[string("path").marked().unknown()];

/// A function from string to string.
const fn of_string(name: &'static str, run: fn(&Call<'_>) -> Outcome) -> Function {
    Function::new(name, ONE_STRING, STRING, run)
}

const fn of_path(name: &'static str, run: fn(&Call<'_>) -> Outcome) -> Function {
    Function::new(name, PATH, STRING, run)
}

const fn conversion(
    name: &'static str,
    returns: Returns,
    run: fn(&Call<'_>) -> Outcome,
) -> Function {
    Function::new(name, MARKED_VALUE, returns, run).nullable()
}

/// `can` and `try` decide what errors mean, so they need expressions, not values.
fn evaluators(_: &Call<'_>) -> Outcome {
    Err(FunctionError::new(
        "this function can be called only in an expression",
    ))
}

/// All functions.
pub static FUNCTIONS: &[Function] = &[
    Function::new("abs", &[number("num").marked()], NUMBER, n::abs),
    of_path("abspath", files::abspath),
    Function::new("alltrue", &[p("list", ListOfBool)], BOOL, c::alltrue),
    Function::new("anytrue", &[p("list", ListOfBool)], BOOL, c::anytrue),
    Function::new(
        "base64decode",
        &[string("str").marked().unknown()],
        STRING,
        e::base64decode,
    ),
    of_string("base64encode", e::base64encode),
    of_string("base64gunzip", e::base64gunzip),
    of_string("base64gzip", e::base64gzip),
    of_string("base64sha256", h::base64sha256),
    of_string("base64sha512", h::base64sha512),
    of_path("basename", files::basename),
    Function::new("bcrypt", ONE_STRING, STRING, h::bcrypt).variadic(number("cost")),
    Function::new(
        "can",
        &[any("expression").unknown().open()],
        BOOL,
        evaluators,
    ),
    Function::new("ceil", &[number("num")], NUMBER, n::ceil),
    of_string("chomp", s::chomp),
    Function::new(
        "chunklist",
        &[p("list", ListOfAny).marked(), number("size").marked()],
        By(c::chunklist_type),
        c::chunklist,
    ),
    Function::new(
        "cidrcontains",
        &[
            string("containing_prefix"),
            string("contained_ip_or_prefix"),
        ],
        BOOL,
        net::cidrcontains,
    )
    .nullable(),
    Function::new(
        "cidrhost",
        &[string("prefix"), number("hostnum")],
        STRING,
        net::cidrhost,
    ),
    Function::new("cidrnetmask", &[string("prefix")], STRING, net::cidrnetmask),
    Function::new(
        "cidrsubnet",
        &[string("prefix"), number("newbits"), number("netnum")],
        STRING,
        net::cidrsubnet,
    ),
    Function::new(
        "cidrsubnets",
        &[string("prefix")],
        STRINGS,
        net::cidrsubnets,
    )
    .variadic(number("newbits")),
    Function::new("coalesce", &[], DYNAMIC, c::coalesce).variadic(anything("vals")),
    Function::new("coalescelist", &[], DYNAMIC, c::coalescelist).variadic(anything("vals")),
    Function::new("compact", &[p("list", ListOfString)], STRINGS, c::compact),
    Function::new("concat", &[], By(c::concat_type), c::concat).variadic(any("seqs").marked()),
    Function::new("contains", &[any("list"), any("value")], BOOL, c::contains),
    Function::new(
        "convert",
        &[any("value").null().unknown().open(), any("type")],
        DYNAMIC,
        evaluators,
    )
    .nullable(),
    Function::new("csvdecode", ONE_STRING, DYNAMIC, e::csvdecode),
    of_path("dirname", files::dirname),
    Function::new(
        "distinct",
        &[p("list", ListOfAny)],
        By(|args| c::type_of(args, 0)),
        c::distinct,
    ),
    Function::new(
        "element",
        &[any("list").marked(), number("index")],
        By(c::element_type),
        c::element,
    )
    .nullable(),
    Function::new(
        "endswith",
        &[string("str"), string("suffix")],
        BOOL,
        s::endswith,
    ),
    Function::new(
        "ephemeralasnull",
        &[anything("value").marked()],
        DYNAMIC,
        types::ephemeralasnull,
    )
    .nullable(),
    Function::new("file", MARKED_PATH, STRING, files::file),
    Function::new("filebase64", MARKED_PATH, STRING, files::filebase64),
    of_path("filebase64sha256", files::filebase64sha256),
    of_path("filebase64sha512", files::filebase64sha512),
    Function::new("fileexists", MARKED_PATH, BOOL, files::fileexists),
    of_path("filemd5", files::filemd5),
    Function::new(
        "fileset",
        &[
            string("path").marked().unknown(),
            string("pattern").marked().unknown(),
        ],
        Fixed(|| Type::set(Type::String)),
        files::fileset,
    ),
    of_path("filesha1", files::filesha1),
    of_path("filesha256", files::filesha256),
    of_path("filesha512", files::filesha512),
    Function::new("flatten", &[any("list").marked()], DYNAMIC, c::flatten),
    Function::new("floor", &[number("num")], NUMBER, n::floor),
    Function::new("format", &[string("format")], STRING, format::format)
        .variadic(any("args").null().unknown()),
    Function::new(
        "formatdate",
        &[string("format"), string("time")],
        STRING,
        time::formatdate,
    ),
    Function::new(
        "formatlist",
        &[string("format")],
        STRINGS,
        format::formatlist,
    )
    .variadic(any("args").null().unknown()),
    Function::new(
        "indent",
        &[number("spaces"), string("str")],
        STRING,
        s::indent,
    ),
    Function::new("index", &[any("list"), any("value")], NUMBER, c::index),
    Function::new(
        "issensitive",
        &[anything("value").marked()],
        BOOL,
        types::issensitive,
    )
    .nullable(),
    Function::new("join", &[string("separator")], STRING, s::join)
        .variadic(p("lists", ListOfString)),
    Function::new(
        "jsondecode",
        ONE_STRING,
        By(e::jsondecode_type),
        e::jsondecode,
    )
    .nullable(),
    Function::new("jsonencode", &[anything("val")], STRING, e::jsonencode),
    Function::new(
        "keys",
        &[any("inputMap").marked().unknown()],
        DYNAMIC,
        st::keys,
    ),
    Function::new(
        "length",
        &[any("value").open().unknown().marked()],
        NUMBER,
        c::length,
    ),
    Function::new("list", &[], DYNAMIC, types::list).variadic(anything("vals")),
    Function::new("log", &[number("num"), number("base")], NUMBER, n::log),
    Function::new(
        "lookup",
        &[
            any("inputMap").marked().unknown(),
            string("key").marked().unknown(),
        ],
        DYNAMIC,
        st::lookup,
    )
    .variadic(anything("default").marked())
    .nullable(),
    of_string("lower", s::lower),
    Function::new("map", &[], DYNAMIC, types::map).variadic(anything("vals")),
    Function::new(
        "matchkeys",
        &[
            p("values", ListOfAny),
            p("keys", ListOfAny),
            p("searchset", ListOfAny),
        ],
        By(st::matchkeys_type),
        st::matchkeys,
    ),
    Function::new("max", &[], NUMBER, n::max).variadic(number("numbers")),
    of_string("md5", h::md5),
    Function::new("merge", &[], By(st::merge_type), st::merge)
        .variadic(any("maps").open().null().marked()),
    Function::new("min", &[], NUMBER, n::min).variadic(number("numbers")),
    Function::new(
        "nonsensitive",
        &[anything("value").marked()],
        DYNAMIC,
        types::nonsensitive,
    )
    .nullable(),
    Function::new("one", &[any("list")], By(c::one_type), c::one).nullable(),
    Function::new(
        "parseint",
        &[any("number"), number("base")],
        By(n::parseint_type),
        n::parseint,
    ),
    of_path("pathexpand", files::pathexpand),
    Function::new("plantimestamp", &[], STRING, time::plantimestamp).nullable(),
    Function::new("pow", &[number("num"), number("power")], NUMBER, n::pow),
    Function::new("range", &[], Fixed(|| Type::list(Type::Number)), n::range)
        .variadic(number("params")),
    Function::new(
        "regex",
        &[string("pattern"), string("string")],
        By(re::regex_type),
        re::regex,
    ),
    Function::new(
        "regexall",
        &[string("pattern"), string("string")],
        By(re::regexall_type),
        re::regexall,
    ),
    Function::new(
        "replace",
        &[string("str"), string("substr"), string("replace")],
        STRING,
        re::replace,
    ),
    Function::new(
        "reverse",
        &[any("list").marked()],
        By(c::reverse_type),
        c::reverse,
    ),
    Function::new(
        "rsadecrypt",
        &[string("ciphertext"), string("privatekey")],
        STRING,
        h::rsadecrypt,
    ),
    Function::new(
        "sensitive",
        &[anything("value").marked()],
        DYNAMIC,
        types::sensitive,
    )
    .nullable(),
    Function::new(
        "setintersection",
        &[p("first_set", SetOfAny)],
        By(sets::result_type),
        sets::setintersection,
    )
    .variadic(p("other_sets", SetOfAny)),
    Function::new("setproduct", &[], DYNAMIC, sets::setproduct)
        .variadic(any("sets").marked().unknown()),
    Function::new(
        "setsubtract",
        &[p("a", SetOfAny), p("b", SetOfAny)],
        By(sets::result_type),
        sets::setsubtract,
    ),
    Function::new(
        "setunion",
        &[p("first_set", SetOfAny)],
        By(sets::result_type),
        sets::setunion,
    )
    .variadic(p("other_sets", SetOfAny)),
    of_string("sha1", h::sha1),
    of_string("sha256", h::sha256),
    of_string("sha512", h::sha512),
    Function::new("signum", &[number("num")], NUMBER, n::signum),
    Function::new(
        "slice",
        &[
            any("list").marked(),
            number("start_index"),
            number("end_index"),
        ],
        By(c::slice_type),
        c::slice,
    ),
    Function::new(
        "sort",
        &[p("list", ListOfString).unknown()],
        STRINGS,
        c::sort,
    ),
    Function::new(
        "split",
        &[string("separator"), string("str")],
        STRINGS,
        s::split,
    ),
    Function::new(
        "startswith",
        &[string("str").unknown(), string("prefix")],
        BOOL,
        s::startswith,
    ),
    Function::new(
        "strcontains",
        &[string("str"), string("substr")],
        BOOL,
        s::strcontains,
    )
    .nullable(),
    of_string("strrev", s::strrev),
    Function::new(
        "substr",
        &[string("str"), number("offset"), number("length")],
        STRING,
        s::substr,
    ),
    Function::new("sum", &[any("list")], NUMBER, n::sum),
    Function::new(
        "templatefile",
        &[
            string("path").marked().unknown(),
            any("vars").marked().unknown(),
        ],
        DYNAMIC,
        files::templatefile,
    )
    .nullable(),
    Function::new(
        "templatestring",
        &[
            string("template").marked().unknown(),
            any("vars").marked().unknown().open(),
        ],
        STRING,
        files::templatestring,
    ),
    Function::new(
        "textdecodebase64",
        &[string("source"), string("encoding")],
        STRING,
        te::textdecodebase64,
    ),
    Function::new(
        "textencodebase64",
        &[string("string"), string("encoding")],
        STRING,
        te::textencodebase64,
    ),
    Function::new(
        "timeadd",
        &[string("timestamp"), string("duration")],
        STRING,
        time::timeadd,
    )
    .nullable(),
    Function::new(
        "timecmp",
        &[string("timestamp_a"), string("timestamp_b")],
        NUMBER,
        time::timecmp,
    ),
    Function::new("timestamp", &[], STRING, time::timestamp),
    of_string("title", s::title),
    conversion("tobool", BOOL, types::tobool),
    conversion("tolist", Fixed(|| Type::list(Type::Dynamic)), types::tolist),
    conversion("tomap", Fixed(|| Type::map(Type::Dynamic)), types::tomap),
    conversion("tonumber", NUMBER, types::tonumber),
    conversion("toset", Fixed(|| Type::set(Type::Dynamic)), types::toset),
    conversion("tostring", STRING, types::tostring),
    Function::new(
        "transpose",
        &[p("values", MapOfListOfString)],
        Fixed(|| Type::map(Type::list(Type::String))),
        st::transpose,
    ),
    Function::new("trim", &[string("str"), string("cutset")], STRING, s::trim),
    Function::new(
        "trimprefix",
        &[string("str"), string("prefix")],
        STRING,
        s::trimprefix,
    ),
    of_string("trimspace", s::trimspace),
    Function::new(
        "trimsuffix",
        &[string("str"), string("suffix")],
        STRING,
        s::trimsuffix,
    ),
    Function::new("try", &[], DYNAMIC, evaluators).variadic(any("expressions").unknown().open()),
    of_string("upper", s::upper),
    of_string("urldecode", e::urldecode),
    of_string("urlencode", e::urlencode),
    Function::new("uuid", &[], STRING, h::uuid),
    Function::new(
        "uuidv5",
        &[string("namespace"), string("name")],
        STRING,
        h::uuidv5,
    ),
    Function::new(
        "values",
        &[any("mapping").marked()],
        By(st::values_type),
        st::values,
    ),
    Function::new("yamldecode", &[string("src")], DYNAMIC, yaml::yamldecode).nullable(),
    Function::new(
        "yamlencode",
        &[any("value").null().open()],
        STRING,
        yaml::yamlencode,
    )
    .nullable(),
    Function::new(
        "zipmap",
        &[p("keys", ListOfString).marked(), any("values").marked()],
        By(st::zipmap_type),
        st::zipmap,
    ),
];
