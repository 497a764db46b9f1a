//! The evaluator's behaviour, expression by expression. The expected values are those of Terraform 1.11's console.

use stead_value::addr::{InstanceKey, Resource, ResourceMode};
use stead_value::{Type, Value};

use super::{Resolved, Target, evaluate, references};
use crate::testing::{TestScope, expression, show, show_diagnostics};

fn scope() -> TestScope {
    let mut scope = TestScope::with_vars(&[
        ("s", Value::string("str")),
        ("secret", Value::string("hunter2").sensitive()),
        ("u", Value::unknown(Type::String)),
        ("n", Value::unknown(Type::Number)),
        ("b", Value::unknown(Type::Bool)),
        (
            "l",
            Value::list(Type::String, vec![Value::string("a"), Value::string("b")]),
        ),
        ("ul", Value::unknown(Type::list(Type::String))),
        (
            "set",
            Value::set(Type::String, vec![Value::string("y"), Value::string("x")]),
        ),
        (
            "m",
            Value::map(Type::Number, [("k".into(), Value::number(1))].into()),
        ),
        (
            "objs",
            Value::list(
                Type::object([("id", Type::Number)]),
                vec![Value::object_from([("id", Value::number(7))])],
            ),
        ),
        ("nul", Value::null(Type::String)),
    ]);
    scope
        .answers
        .insert(Target::Local("later".into()), Resolved::Pending);
    scope
        .answers
        .insert(Target::Local("broken".into()), Resolved::Failed);
    scope
}

fn eval(text: &str) -> String {
    let outcome = evaluate(&expression(text), &scope());
    let mut shown = if outcome.diagnostics.has_errors() {
        show_diagnostics(&outcome.diagnostics).trim_end().to_owned()
    } else {
        show(&outcome.value)
    };
    if outcome.pending {
        shown.push_str(" (pending)");
    }
    if outcome.failed {
        shown.push_str(" (failed)");
    }
    shown
}

/// `expression => value`, one per line.
#[track_caller]
fn check(cases: &str) {
    let mut wrong = String::new();
    for line in cases.lines().map(str::trim).filter(|l| !l.is_empty()) {
        let (text, expected) = line.rsplit_once(" ==> ").unwrap();
        let got = eval(text);
        if got != expected {
            wrong.push_str(&format!(
                "{text}\n  expected {expected}\n  got      {got}\n"
            ));
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn operators() {
    check(
        r#"
        1 + 2 * 3 ==> 7
        (1 + 2) * 3 ==> 9
        10 - 2 - 3 ==> 5
        7 % 4 ==> 3
        1 / 4 ==> 0.25
        0.1 + 0.2 == 0.3 ==> true
        "1" == 1 ==> false
        "1" + 1 ==> 2
        -46+5 ==> -41
        !true || true ==> true
        1 < 2 && 2 <= 2 ==> true
        null == null ==> true
        null + 1 ==> 1:1-1:9 Operation failed: Error during operation: argument must not be null.
        1 + "a" ==> 1:5-1:8 Invalid operand: Unsuitable value for right operand: a number is required.
        0/0 ==> 1:1-1:4 Operation failed: Error during operation: can't divide zero by zero or infinity by infinity.
        var.n + 1 ==> unknown(number not-null)
        var.b || true ==> unknown(bool not-null)
        var.b && false ==> unknown(bool not-null)
        false && var.undeclared ==> false
        var.secret == "x" ==> sensitive(false)
        false && var.secret == "x" ==> sensitive(false)
        true || var.secret == "x" ==> sensitive(true)
        "${var.secret}-x" ==> sensitive("hunter2-x")
        "#,
    );
}

#[test]
fn conditionals() {
    check(
        r#"
        true ? 1 : "a" ==> "1"
        true ? [1] : ["a"] ==> ["1"]
        true ? {a=1} : {b=2} ==> map(a = 1)
        false ? null : 3 ==> 3
        true ? null : 3 ==> null(number)
        var.b ? 1 : 2 ==> unknown(number not-null 1..2)
        var.b ? "x" : null ==> unknown(string)
        null ? 1 : 2 ==> 1:1-1:5 Null condition: The condition value is null. Conditions must either be true or false.
        true ? 1 : var.l[7] ==> 1
        true ? 1 : [] ==> 1:8-1:14 Inconsistent conditional result types: The true and false result expressions must have consistent types. The 'true' value is number, but the 'false' value is tuple.
        var.secret == "" ? 1 : 2 ==> sensitive(2)
        true ? "p" : var.secret ==> sensitive("p")
        false ? var.secret : "p" ==> sensitive("p")
        true ? null : var.secret ==> sensitive(null(string))
        true ? ["p"] : [var.secret] ==> ["p"]
        true ? ["p"] : sensitive(["q"]) ==> sensitive(["p"])
        var.b ? "p" : var.secret ==> sensitive(unknown(string not-null))
        local.later ? 1 : 2 ==> unknown(number not-null 1..2) (pending)
        "#,
    );
}

#[test]
fn access() {
    check(
        r#"
        var.m.k ==> 1
        var.m["k"] ==> 1
        var.m.z ==> 1:6-1:8 Missing map element: This map does not have an element with the key "z".
        var.l[1] ==> "b"
        var.l.0 ==> "a"
        var.l[2] ==> 1:6-1:9 Invalid index: The given key does not identify an element in this collection value: the given index is greater than or equal to the length of the collection.
        var.l[-1] ==> 1:6-1:10 Invalid index: The given key does not identify an element in this collection value: a negative number is not a valid index for a sequence.
        [][0] ==> 1:3-1:6 Invalid index: The given key does not identify an element in this collection value: the collection has no elements.
        {alpha=1}.alhpa ==> 1:10-1:16 Unsupported attribute: This object does not have an attribute named "alhpa". Did you mean "alpha"?
        var.nul.x ==> 1:8-1:10 Attempt to get attribute from null value: This value is null, so it does not have any attributes.
        var.objs[*].id ==> list(7)
        var.objs.*.id ==> list(7)
        var.objs[*].id[0] ==> 1:15-1:18 Invalid index: This value does not have any indices.
        var.objs.*.id[0] ==> 7
        var.s[*] ==> ["str"]
        var.nul[*] ==> []
        var.u[*] ==> unknown(any)
        var.ul[*] ==> unknown(list(string) not-null)
        var.ul[0] ==> unknown(string)
        var.set[0] ==> 1:8-1:11 Invalid index: Elements of a set are identified only by their value and don't have any separate index or key to select with, so it's only possible to perform operations across all elements of the set.
        {a=var.secret, b=1}.b ==> 1
        {(var.secret)=1} ==> sensitive({hunter2 = 1})
        {a={b=[1,2]}}.a.b[1] ==> 2
        {true=1, null=2} ==> {null = 2, true = 1}
        {a=1, a=2} ==> {a = 2}
        "#,
    );
}

#[test]
fn comprehensions() {
    check(
        r#"
        [for x in [1,2,3] : x * 2 if x != 2] ==> [2, 6]
        {for k, v in {b=2, a=1} : v => k} ==> {1 = "a", 2 = "b"}
        {for v in ["a","b","a"] : v => v...} ==> {a = ["a", "a"], b = ["b"]}
        {for v in ["a","a"] : v => v} ==> 1:23-1:24 Duplicate object key: Two different items produced the key "a" in this 'for' expression. If duplicates are expected, use the ellipsis (...) after the value expression to enable grouping by key.
        [for i, x in var.set : [i, x]] ==> [["x", "x"], ["y", "y"]]
        [for x in var.ul : x] ==> unknown(any)
        [for x in null : x] ==> 1:11-1:15 Iteration over null value: A null value cannot be used as the collection in a 'for' expression.
        [for x in "abc" : x] ==> 1:11-1:16 Iteration over non-iterable value: A value of type string cannot be used as the collection in a 'for' expression.
        [for x in [1] : x if var.b] ==> unknown(any)
        [for a in [1,2] : [for b in [3] : a + b]] ==> [[4], [5]]
        "#,
    );
}

#[test]
fn templates() {
    check(
        r#"
        "a${1 + 1}b" ==> "a2b"
        "${[1]}" ==> [1]
        "${null}" ==> null(any)
        "a${null}" ==> 1:5-1:9 Invalid template interpolation value: The expression result is null. Cannot include a null value in a string template.
        "a${[]}" ==> 1:5-1:7 Invalid template interpolation value: Cannot include the given value in a string template: string required.
        "$${x} %%{y}" ==> "${x} %{y}"
        "\u00e9\n\t\"\\" ==> "é\n\t\"\\"
        "%{ for x in [1,2] }<${x}>%{ endfor }" ==> "<1><2>"
        "%{ if true }yes%{ else }no%{ endif }" ==> "yes"
        "a  %{~ if false ~}  b%{ endif ~}  c" ==> "ac"
        "x-${var.u}" ==> unknown(string not-null "x-"…)
        "x${var.u}" ==> unknown(string not-null)
        "#,
    );
}

#[test]
fn heredocs() {
    let text = "<<-EOT\n    a\n      b ${1}\n\n    c\n  EOT\n";
    assert_eq!(eval(text), r#""a\n  b 1\n\nc\n""#);
    assert_eq!(eval("<<EOT\n  a\nEOT\n"), r#""  a\n""#);
    assert_eq!(
        eval("<<-EOT\n  %{ for x in [1, 2] ~}\n  - ${x}\n  %{ endfor ~}\n  EOT\n"),
        r#""  - 1\n  - 2\n""#
    );
    assert_eq!(eval("<<-EOT\n${1}\n    a\n  EOT\n"), r#""1\n    a\n""#);
}

#[test]
fn try_and_can() {
    check(
        r#"
        try(var.l[7], "x") ==> "x"
        try(var.u, "x") ==> unknown(any)
        can(var.l[7]) ==> false
        can(var.l[0]) ==> true
        can(local.later) ==> unknown(bool) (pending)
        try(local.broken, 1) ==> unknown(any) (failed)
        "#,
    );
    assert!(eval("try([1][1])").contains("- Invalid index (at test.tf:1,8-11)"));
}

#[test]
fn references_ask_for_the_longest_target() {
    let resource = Resource {
        mode: ResourceMode::Managed,
        type_name: "null_resource".into(),
        name: "a".into(),
    };
    let mut scope = scope();
    let one = |key| Target::Resource {
        resource: resource.clone(),
        key,
    };
    scope.answers.insert(
        one(Some(InstanceKey::String("str".into()))),
        Resolved::Value(Value::object_from([("id", Value::string("i"))])),
    );
    scope
        .answers
        .insert(one(Some(InstanceKey::Int(3))), Resolved::NoInstance);
    scope.answers.insert(one(None), Resolved::Pending);
    let output = |key, output: Option<&str>| Target::Module {
        name: "m".into(),
        key,
        output: output.map(Into::into),
    };
    scope
        .answers
        .insert(output(None, Some("out")), Resolved::Whole);
    scope.answers.insert(
        output(None, None),
        Resolved::Value(Value::object_from([("out", Value::number(5))])),
    );
    scope.answers.insert(
        output(Some(InstanceKey::Int(0)), Some("out")),
        Resolved::Value(Value::number(6)),
    );

    let eval = |text: &str| evaluate(&expression(text), &scope);
    let settled = |text: &str| {
        let outcome = eval(text);
        assert!(outcome.is_settled(), "{text}: {:?}", outcome.diagnostics);
        show(&outcome.value)
    };
    assert_eq!(settled("null_resource.a[var.s].id"), r#""i""#);
    assert_eq!(settled("resource.null_resource.a[\"str\"].id"), r#""i""#);
    assert_eq!(settled("module.m.out"), "5");
    assert_eq!(settled("module.m[0].out"), "6");
    assert!(eval("null_resource.a[var.u].id").pending);
    assert!(eval("null_resource.a[*].id").pending);
    assert_eq!(
        show_diagnostics(&eval("null_resource.a[3].id").diagnostics),
        "1:16-1:19 Invalid index: The given key does not identify an element in this collection value.\n"
    );
}

#[test]
fn wrong_references() {
    check(
        r#"
        var ==> 1:1-1:4 Invalid reference: The "var" object cannot be accessed directly. Instead, access one of its attributes.
        each.foo ==> 1:1-1:9 Invalid "each" attribute: The "each" object does not have an attribute named "foo". The supported attributes are each.key and each.value, the current key and value pair of the "for_each" attribute set.
        foo ==> 1:1-1:4 Invalid reference: A reference to a resource type must be followed by at least one attribute access, specifying the resource name.
        data.x ==> 1:1-1:7 Invalid reference: The "data" object must be followed by two attribute names: the data source type and the resource name.
        "#,
    );
}

#[test]
fn references_are_found_without_evaluating() {
    let found = |text: &str| {
        let (found, diagnostics) = references(&expression(text));
        assert!(diagnostics.is_empty());
        found
            .iter()
            .map(|r| format!("{:?} {}", r.target, r.rest))
            .collect::<Vec<_>>()
            .join("\n")
    };
    insta::assert_snapshot!(found(r#"[for x in var.l : "${x.y} ${local.z.w[0]} ${data.http.u["k"].body}"]"#), @r#"
    Variable("l") 
    Local("z") w[0]
    Resource { resource: Resource { mode: Data, type_name: "http", name: "u" }, key: Some(String("k")) } body
    "#);
    insta::assert_snapshot!(found("module.m[each.key].out + f(self.id)"), @r#"
    Module { name: "m", key: None, output: None } 
    EachKey 
    SelfObject id
    "#);
}

#[test]
fn functions() {
    check(
        r#"
        upper("a") ==> "A"
        core::upper("a") ==> "A"
        max([1, 3, 2]...) ==> 3
        max([]...) ==> 1:1-1:5 Error in function call: Call to function "max" failed: must pass at least one number.
        upper(var.u) ==> unknown(string not-null)
        length(local.later) ==> unknown(number not-null) (pending)
        upper(var.secret) ==> sensitive("HUNTER2")
        uper("a") ==> 1:1-1:5 Call to unknown function: There is no function named "uper". Did you mean "upper"?
        upper([]) ==> 1:7-1:8 Invalid function argument: Invalid value for "str" parameter: string required.
        upper() ==> 1:7-1:8 Not enough function arguments: Function "upper" expects 1 argument(s). Missing value for "str".
        upper("a", "b", "c") ==> 1:13-1:14 Too many function arguments: Function "upper" expects only 1 argument(s).
        upper(null) ==> 1:7-1:11 Invalid function argument: Invalid value for "str" parameter: argument must not be null.
        try(upper(var.l[9]), "z") ==> "z"
        jsondecode("{") ==> 1:1-1:12 Error in function call: Call to function "jsondecode" failed: unexpected end of JSON input.
        upper("a"...) ==> 1:7-1:10 Invalid expanding argument value: The expanding argument (indicated by ...) must be of a tuple, list, or set type.
        provider::x::f(1) ==> 1:1-1:15 Unknown provider function: There is no function named "provider::x::f". Ensure that provider name "x" is declared in this module's required_providers block, and that this provider offers a function named "f".
        x::f(1) ==> 1:1-1:5 Unknown provider function: The function namespace "x" is not valid. Provider function calls must use the "provider::" namespace prefix.
        "#,
    );
}

#[test]
fn template_files() {
    let mut scope = scope();
    scope.files = crate::testing::MemoryFiles::parse(
        "-- a.tpl\n%{ for n in names ~}\n- ${upper(n)}\n%{ endfor ~}\n-- recursive.tpl\n${templatefile(\"a.tpl\", {})}x\n-- bad.tpl\n${1 +}\n",
    );
    scope.answers.insert(
        Target::Local("t".into()),
        Resolved::Value(Value::string("<${x}>")),
    );
    let eval = |text: &str| {
        let outcome = evaluate(&expression(text), &scope);
        if outcome.diagnostics.has_errors() {
            show_diagnostics(&outcome.diagnostics)
        } else {
            show(&outcome.value)
        }
    };
    insta::assert_snapshot!(eval(r#"templatefile("a.tpl", { names = ["x", "y"] })"#), @r#""- X\n- Y\n""#);
    insta::assert_snapshot!(eval(r#"templatefile("a.tpl", { names = [var.secret] })"#), @r#"sensitive("- HUNTER2\n")"#);
    insta::assert_snapshot!(eval(r#"templatefile("a.tpl", {})"#), @r#"1:23-1:24 Invalid function argument: Invalid value for "vars" parameter: vars map does not contain key "names", referenced at a.tpl:1,13-18."#);
    insta::assert_snapshot!(eval(r#"templatefile("recursive.tpl", {})"#), @r#"1:1-1:14 Error in function call: Call to function "templatefile" failed: recursive.tpl:1,3-16: Error in function call; Call to function "templatefile" failed: cannot recursively call templatefile from inside another template function.."#);
    insta::assert_snapshot!(eval(r#"templatefile("bad.tpl", {})"#), @r#"1:1-1:14 Error in function call: Call to function "templatefile" failed: bad.tpl:1,6-7: Invalid expression; Expected the start of an expression, but found an invalid expression token.."#);
    insta::assert_snapshot!(eval(r#"templatestring(local.t, { x = 5 })"#), @r#""<5>""#);
    insta::assert_snapshot!(eval(r#"templatestring("a", {})"#), @r#"1:16-1:19 Invalid function argument: Invalid value for "template" parameter: must be a direct reference to a single string from elsewhere, containing valid template syntax."#);
}

#[test]
fn errors_tell_the_values_around_them() {
    let outcome = evaluate(
        &expression(
            "[var.l[5], var.s,\n var.m[\"z\"], upper([var.secret, var.u, var.objs[0].no])]",
        ),
        &scope(),
    );
    let shown: Vec<String> = outcome
        .diagnostics
        .iter()
        .map(|d| {
            format!(
                "{}: {}",
                d.summary,
                d.values
                    .iter()
                    .map(|(t, s)| format!("{t} {s}"))
                    .collect::<Vec<_>>()
                    .join(", ")
            )
        })
        .collect();
    insta::assert_snapshot!(shown.join("\n"), @r#"
    Invalid index: var.l is list of string with 2 elements, var.s is "str"
    Invalid index: var.m is map of number with 1 element, var.u is a string, var.objs[0] is object with 1 attribute
    Unsupported attribute: var.m is map of number with 1 element, var.u is a string, var.objs[0] is object with 1 attribute
    Invalid function argument: var.m is map of number with 1 element, var.u is a string, var.objs[0] is object with 1 attribute
    "#);
}
