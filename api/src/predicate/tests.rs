use proptest::prelude::*;

use super::*;

/// The expression with every bracket that its structure implies.
fn shape(expr: &Expr) -> String {
    match &expr.kind {
        ExprKind::Number { value, unsigned, long } => {
            format!("{value}{}{}", if *unsigned { "u" } else { "" }, if *long { "l" } else { "" })
        }
        ExprKind::Character(byte) => format!("'{}'", char::from(*byte)),
        ExprKind::Text(text) => format!("{:?}", String::from_utf8_lossy(text)),
        ExprKind::Name(name) => name.clone(),
        ExprKind::Unary(op, of) => format!("{op:?}({})", shape(of)),
        ExprKind::Binary(op, left, right) => format!("{op:?}({}, {})", shape(left), shape(right)),
        ExprKind::Conditional(condition, then, otherwise) => {
            format!("If({}, {}, {})", shape(condition), shape(then), shape(otherwise))
        }
        ExprKind::Member { of, arrow, name, .. } => {
            format!("{}{}{name}", shape(of), if *arrow { "->" } else { "." })
        }
        ExprKind::Index(of, index) => format!("{}[{}]", shape(of), shape(index)),
        ExprKind::Cast(to, of) => format!("({}){}", type_shape(to), shape(of)),
        ExprKind::SizeOfType(of) => format!("sizeof<{}>", type_shape(of)),
        ExprKind::SizeOf(of) => format!("sizeof({})", shape(of)),
        ExprKind::Call { name, arguments, .. } => {
            format!("{name}({})", arguments.iter().map(shape).collect::<Vec<_>>().join(", "))
        }
    }
}

fn type_shape(of: &TypeName) -> String {
    format!("{:?}{}", of.base, "*".repeat(of.pointers.into()))
}

fn parsed(text: &str) -> String {
    shape(&parse(text).unwrap_or_else(|problems| panic!("{text}: {problems:#?}")))
}

/// Each problem as the text that it underlines and its words.
fn problems(text: &str) -> Vec<(String, String)> {
    let problems = parse(text).expect_err(text);
    problems.into_iter().map(|p| (text[p.span.start..p.span.end].to_owned(), p.message)).collect()
}

#[test]
fn operators_bind_as_in_c() {
    assert_eq!(parsed("a + b * c - d"), "Sub(Add(a, Mul(b, c)), d)");
    assert_eq!(parsed("a & b == c"), "BitAnd(a, Eq(b, c))");
    assert_eq!(parsed("a || b && c | d ^ e"), "Or(a, And(b, BitOr(c, BitXor(d, e))))");
    assert_eq!(parsed("a < b << 2 != !c"), "Ne(Lt(a, Shl(b, 2)), Not(c))");
    assert_eq!(parsed("a ? b : c ? d : e"), "If(a, b, If(c, d, e))");
    assert_eq!(parsed("-a.b[1]->c"), "Negate(a.b[1]->c)");
    assert_eq!(parsed("*&a"), "Dereference(AddressOf(a))");
    assert_eq!(parsed("(a - b) - c /* why */"), "Sub(Sub(a, b), c)");
    assert_eq!(problems("a // b")[0].1, "a comment to the end of the line");
    assert_eq!(problems("a /* b")[0].1, "a comment without its end");
}

#[test]
fn numbers_are_those_of_c() {
    assert_eq!(parsed("0x10 + 010 + 0b11 + 0"), "Add(Add(Add(16, 8), 3), 0)");
    assert_eq!(parsed("10UL"), "10ul");
    assert_eq!(parsed("4294967296"), "4294967296l");
    assert_eq!(parsed("18446744073709551615"), "18446744073709551615ul");
    assert_eq!(parsed("'a' == '\\n'"), "Eq('a', '\n')");
    assert_eq!(parsed("'\\x41' == '\\101'"), "Eq('A', 'A')");
}

#[test]
fn what_manifests_have_is_read() {
    assert_eq!(parsed("(true)"), "true");
    assert_eq!(parsed("s->size > 4096"), "Gt(s->size, 4096)");
    assert_eq!(parsed("(order == 1)"), "Eq(order, 1)");
    assert_eq!(parsed("STRNCMP(name->name, \"bananas\", 8)"), "STRNCMP(name->name, \"bananas\", 8)");
    assert_eq!(parsed("bio->bi_bdev->bd_dev == MKDEV(254,16)"), "Eq(bio->bi_bdev->bd_dev, MKDEV(254, 16))");
}

#[test]
fn a_text_to_compare_with_may_be_quoted_either_way_or_not_at_all() {
    for text in
        ["STRCMP(name->name, bananas)", "STRCMP(name->name,'bananas')", "STRCMP(name->name , \"bananas\" )"]
    {
        assert_eq!(parsed(text), "STRCMP(name->name, \"bananas\")");
    }
    assert_eq!(parsed("!STRCMP(p, /dev/sd a.b )"), "Not(STRCMP(p, \"/dev/sd a.b\"))");
    assert_eq!(
        problems("STRCMP(p, )"),
        [(")".to_owned(), "`)`, where the text to compare with is expected".to_owned())]
    );
}

#[test]
fn a_cast_is_told_from_a_value_in_brackets() {
    assert_eq!(parsed("(struct gendisk *)p"), "(Struct(\"gendisk\")*)p");
    assert_eq!(parsed("(unsigned long) p->x & 1"), "BitAnd((Int { bytes: 8, signed: false })p->x, 1)");
    assert_eq!(
        parsed("(void *)tbl + sizeof(struct disk_part_tbl)"),
        "Add((Void*)tbl, sizeof<Struct(\"disk_part_tbl\")>)"
    );
    assert_eq!(parsed("(dev_t)-1"), "(Alias(\"dev_t\"))Negate(1)");
    assert_eq!(parsed("(a)-1"), "Sub(a, 1)");
    assert_eq!(parsed("(a)*b"), "Mul(a, b)");
    assert_eq!(parsed("(my_t)x"), "(Alias(\"my_t\"))x");
    assert_eq!(parsed("(my_t **)x"), "(Alias(\"my_t\")**)x");
    assert_eq!(parsed("sizeof(my_t *) + sizeof(a)"), "Add(sizeof<Alias(\"my_t\")*>, sizeof(a))");
    assert_eq!(parsed("sizeof(a->b) + sizeof(u64)"), "Add(sizeof(a->b), sizeof<Alias(\"u64\")>)");
    assert_eq!(parsed("(const char __user *)p"), "(Char*)p");
}

#[test]
fn what_would_change_something_is_refused_with_what_was_meant() {
    let problem = parse("order = 1").unwrap_err().remove(0);
    assert_eq!(
        (problem.message.as_str(), problem.help.as_deref()),
        ("a predicate changes nothing", Some("to compare, write =="))
    );
    assert_eq!(problem.span, crate::Span { start: 6, end: 7 });
    for text in ["a += 1", "++a", "a++", "(a = 1) == 2"] {
        assert_eq!(problems(text)[0].1, "a predicate changes nothing", "{text}");
    }
}

#[test]
fn what_no_kernel_would_take_is_refused_without_one() {
    let told = |text: &str| {
        let problems = parse(text).expect_err(text).into_iter();
        let told = |p: Problem| {
            format!("{}: {} ({})", &text[p.span.start..p.span.end], p.message, p.help.unwrap_or_default())
        };
        problems.map(told).collect::<Vec<_>>()
    };
    let known = "a predicate calls nothing; known are STRCMP, STRNCMP, MKDEV, MAJOR, MINOR, IS_ERR";
    assert_eq!(told("printk(name)"), [format!("printk: no macro `printk` is known ({known})")]);
    assert_eq!(told("strcmp(p, 1)"), ["strcmp: no macro `strcmp` is known (did you mean `STRCMP`?)"]);
    assert_eq!(
        told("MKDEV(1) == IS_ERR() && STRNCMP(p, \"a\")"),
        [
            "MKDEV(1): MKDEV takes 2 arguments, and this has 1 ()",
            "IS_ERR(): IS_ERR takes 1 argument, and this has 0 ()",
            "STRNCMP(p, \"a\"): STRNCMP takes 3 arguments, and this has 2 ()",
        ]
    );
    assert_eq!(
        told("name == \"x\" || 'ab'"),
        ["\"x\"", "'ab'"].map(|text| format!(
            "{text}: a text is no value (compare it with STRCMP(pointer, \"text\") or STRNCMP(pointer, \"text\", length))"
        ))
    );
}

#[test]
fn words_that_decide_a_predicate_whatever_the_kernel_are_seen() {
    for (text, decided) in [
        ("(true)", Some(true)),
        ("!0", Some(true)),
        ("NULL", Some(false)),
        ("a && 0", Some(false)),
        ("1 || a", Some(true)),
        ("1 && a", None),
        ("0 || a", None),
        ("'a' ? 0 : a", Some(false)),
        ("a", None),
        ("1 + 1", None),
    ] {
        assert_eq!(parse(text).unwrap().decided(), decided, "{text}");
    }
}

#[test]
fn statements_in_an_expression_are_underlined_whole_and_what_follows_is_read_all_the_same() {
    let found = problems("({struct gendisk *d = bio->bi_disk; d->x == (1);}) && bio->y = 128");
    assert_eq!(
        found[0],
        (
            "({struct gendisk *d = bio->bi_disk; d->x == (1);})".to_owned(),
            "statements inside an expression".to_owned()
        )
    );
    let help = parse("({int x; x;})").unwrap_err().remove(0).help.unwrap();
    assert!(help.contains("((struct hd_struct *)p)->start == 0"), "{help}");
}

#[test]
fn each_operand_has_its_own_problem() {
    let found = problems("a == @ && b. == 1 || c->d");
    assert_eq!(
        found,
        [
            ("@".to_owned(), "`@` has no meaning here".to_owned()),
            ("==".to_owned(), "`==`, where the name of a member is expected".to_owned()),
        ]
    );
    let found = problems("a == 08 && (b == ) && c ==");
    assert_eq!(
        found,
        [
            ("08".to_owned(), "`08` is no number".to_owned()),
            (")".to_owned(), "`)`, where a value is expected".to_owned()),
            (String::new(), "the text ends here, where a value is expected".to_owned()),
        ]
    );
}

#[test]
fn what_is_cut_short_or_too_much_is_said() {
    assert_eq!(problems("")[0].1, "the text ends here, where a value is expected");
    assert_eq!(
        problems("a b")[0],
        ("b".to_owned(), "`b`, where an operator or the end is expected".to_owned())
    );
    assert_eq!(problems("STRCMP(a, \"b")[0].1, "the closing \" is missing");
    assert_eq!(problems("(a")[0].1, "the text ends here, where `)` is expected");
    assert_eq!(problems("18446744073709551616")[0].1, "`18446744073709551616` does not fit into 64 bits");
    assert_eq!(problems("1.5")[0].1, "a fraction");
    let deep = format!("{}a{}", "(".repeat(100), ")".repeat(100));
    assert!(problems(&deep).iter().any(|(_, message)| message.contains("deeper than 64")));
    assert!(problems(&"!".repeat(900)).iter().any(|(_, message)| message.contains("deeper than 64")));
    assert_eq!(problems(&"!".repeat(4000))[0].1, "more than 1000 words and signs");
    assert_eq!(problems(&"a".repeat(MAX_BYTES + 1))[0].1, "more than 4096 bytes");
}

#[test]
fn parameters_are_read_with_their_types() {
    let shapes = |text: &str| -> Vec<String> {
        let parameters = parse_parameters(text).unwrap();
        parameters
            .iter()
            .map(|parameter| format!("{} {}", type_shape(&parameter.of), parameter.name))
            .collect()
    };
    assert_eq!(
        shapes("struct dentry *parent, const struct qstr *name"),
        ["Struct(\"dentry\")* parent", "Struct(\"qstr\")* name"]
    );
    assert_eq!(
        shapes("gfp_t gfp_mask, unsigned int order"),
        ["Alias(\"gfp_t\") gfp_mask", "Int { bytes: 4, signed: false } order",]
    );
    assert_eq!(shapes("char*p"), ["Char* p"]);
    assert_eq!(shapes("int, char buf[16]"), ["Int { bytes: 4, signed: true } ", "Char* buf"]);
    assert_eq!(shapes("  "), [""; 0]);
    assert_eq!(shapes("void"), [""; 0]);
    assert_eq!(shapes("void *p"), ["Void* p"]);
    let problem = parse_parameters("void (*f)(int)").unwrap_err().remove(0);
    assert_eq!(problem.message, "a pointer to a function");
    assert!(parse_parameters("long char x").is_err() && parse_parameters("int a,").is_err());
}

proptest! {
    #[test]
    fn whatever_is_written_is_read_or_has_a_problem_with_a_place(text in "[ -~é\\n]{0,60}") {
        if let Err(problems) = parse(&text) {
            prop_assert!(!problems.is_empty());
            for problem in problems {
                prop_assert!(text.get(problem.span.start..problem.span.end).is_some(), "{problem:?}");
            }
        }
        if let Err(problems) = parse_parameters(&text) {
            prop_assert!(!problems.is_empty());
        }
    }

    #[test]
    fn words_in_any_order_are_read_or_have_a_problem(
        words in prop::collection::vec(prop::sample::select(vec![
            "a", "(", ")", "&&", "||", "==", "->", ".", "[", "]", "1", "STRCMP(", ",", "\"x\"", "(int)", "*", "-", "!",
            "sizeof", "struct", "?", ":", "{", "}", "=", "'c'", "@",
        ]), 0..24),
    ) {
        let text = words.join(" ");
        let answer = parse(&text);
        prop_assert!(answer.is_ok() || answer.is_err_and(|problems| !problems.is_empty()));
    }
}
