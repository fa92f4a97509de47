use faultline_api::predicate::{parse, parse_parameters};

use super::*;
use crate::btf::BtfBuilder;

/// A kernel that has just what the documented examples are about.
fn kernel() -> Btf {
    let mut builder = BtfBuilder::new();
    let char = builder.signed_int("char", 1);
    let u8 = builder.int("unsigned char", 1);
    let u16 = builder.int("unsigned short", 2);
    let u32 = builder.int("unsigned int", 4);
    let s32 = builder.signed_int("int", 4);
    let u64 = builder.int("unsigned long", 8);
    let sector = builder.typedef("sector_t", u64);
    let gfp = builder.typedef("gfp_t", u32);
    let device = builder.typedef("dev_t", u32);
    let text = builder.pointer(u8);
    let length = builder.structure("", 8, &[("hash", u32, 0), ("len", u32, 32)]);
    let qstr = builder.structure("qstr", 16, &[("", length, 0), ("name", text, 64)]);
    let comm = builder.array(char, u32, 16);
    let task = builder.structure("task_struct", 64, &[("pid", s32, 0), ("comm", comm, 64)]);
    let task_pointer = builder.pointer(task);
    let cache = builder.structure("kmem_cache", 64, &[("size", u32, 128), ("owner", task_pointer, 256)]);
    let block_device = builder.structure("block_device", 64, &[("bd_dev", device, 320)]);
    let block_device_pointer = builder.pointer(block_device);
    let iter = builder.structure("bvec_iter", 24, &[("bi_sector", sector, 0)]);
    let bio = builder.structure("bio", 112, &[("bi_bdev", block_device_pointer, 64), ("bi_iter", iter, 256)]);
    let flags =
        builder.packed("page_flags", 8, &[("low", u32, 0, 3), ("high", s32, 30, 5), ("short", u16, 48, 0)]);
    let registers =
        builder.structure("pt_regs", 168, &[("di", u64, 896), ("si", u64, 832), ("dx", u64, 768)]);
    let [cache, bio, qstr, flags, registers] =
        [cache, bio, qstr, flags, registers].map(|aggregate| builder.pointer(aggregate));
    builder.enumeration("zone_type", &[("ZONE_DMA", 0), ("ZONE_NORMAL", 2), ("BELOW", -1)]);
    builder.function("should_failslab", &[("s", cache), ("gfpflags", gfp)]);
    builder.function("should_fail_bio", &[("bio", bio)]);
    builder.function("lookup", &[("name", qstr), ("small", u8), ("flags", flags)]);
    builder.function("__x64_sys_mount", &[("regs", registers)]);
    Btf::parse(builder.build()).unwrap()
}

fn checked(function: &str, parameters: Option<&str>, text: &str) -> Result<Ir, Problems> {
    let btf = kernel();
    let id = btf.functions(function).next().unwrap();
    let function = Function { btf: &btf, id, is_syscall: function.starts_with("__x64_sys_") };
    let declared = parameters.map(|text| parse_parameters(text).unwrap());
    check(function, declared.as_deref(), &parse(text).unwrap())
}

fn value(function: &str, text: &str) -> Ir {
    checked(function, None, text).unwrap_or_else(|problems| panic!("{text}: {problems:#?}"))
}

/// The places and words of what is wrong with a predicate of `lookup`.
fn wrong(text: &str) -> Vec<String> {
    match checked("lookup", None, text) {
        Err(Problems::Predicate(problems)) => problems
            .into_iter()
            .map(|p| {
                let help = p.help.map(|help| format!("; {help}")).unwrap_or_default();
                format!("{}: {}{help}", &text[p.span.start..p.span.end], p.message)
            })
            .collect(),
        other => panic!("{text}: {other:?}"),
    }
}

fn load(address: Ir, offset: i64, bytes: u8, signed: bool) -> Ir {
    Ir::Load { address: Box::new(address), offset, bytes, signed, space: Space::Kernel }
}

#[test]
fn members_are_read_through_pointers_and_within_structs() {
    let size = value("should_failslab", "s->size > 4096");
    assert_eq!(size, Ir::binary(Op::Lt, Ir::Const(4096), load(Ir::Argument(0), 16, 4, false)));
    let sector = value("should_fail_bio", "bio->bi_iter.bi_sector == 128");
    assert_eq!(sector, Ir::binary(Op::Eq, load(Ir::Argument(0), 32, 8, false), Ir::Const(128)));
    let device = value("should_fail_bio", "bio->bi_bdev->bd_dev == MKDEV(254, 16)");
    let bdev = load(Ir::Argument(0), 8, 8, false);
    assert_eq!(device, Ir::binary(Op::Eq, load(bdev, 40, 4, false), Ir::Const(254 << 20 | 16)));
}

#[test]
fn an_argument_is_cut_to_its_width_and_promoted() {
    let small = Ir::Argument(1).narrow(8, false);
    assert_eq!(value("lookup", "small < -1"), Ir::binary(Op::SignedLt, small, Ir::Const(-1)));
    // Unsigned wins where both have the same width.
    let flags = Ir::Argument(1).narrow(32, false);
    assert_eq!(value("should_failslab", "gfpflags < -1"), Ir::binary(Op::Lt, flags, Ir::Const(0xffff_ffff)));
}

#[test]
fn texts_are_compared_whole_or_in_part() {
    let name = || Box::new(load(Ir::Argument(0), 8, 8, false));
    let same = |bytes: &[u8]| Ir::SameBytes { address: name(), bytes: bytes.to_vec(), space: Space::Kernel };
    assert_eq!(value("lookup", "STRCMP(name->name, bananas)"), same(b"bananas\0"));
    assert_eq!(value("lookup", "STRNCMP(name->name, \"bananas\", 8)"), same(b"bananas\0"));
    assert_eq!(value("lookup", "STRNCMP(name->name, \"bananas\", 3)"), same(b"ban"));
    assert_eq!(wrong("STRNCMP(name->name, \"b\", small)"), ["small: the length must be a constant"]);
    assert_eq!(wrong("STRCMP(small, \"b\")"), ["small: s32 is no pointer to a text"]);
}

#[test]
fn an_array_is_the_address_of_its_first_element() {
    let comm = value("lookup", "STRCMP(current->comm, \"mount\")");
    let address = Ir::binary(Op::Add, Ir::Current, Ir::Const(8));
    let bytes = b"mount\0".to_vec();
    assert_eq!(comm, Ir::SameBytes { address: Box::new(address.clone()), bytes, space: Space::Kernel });
    let third = value("lookup", "current->comm[2] == 'u'");
    assert_eq!(
        third,
        Ir::binary(Op::Eq, load(Ir::binary(Op::Add, address, Ir::Const(2)), 0, 1, true), Ir::Const(117))
    );
}

#[test]
fn a_bit_field_is_cut_out_of_the_bytes_that_it_touches() {
    let low = value("lookup", "flags->low");
    let whole = load(Ir::Argument(2), 0, 1, false);
    assert_eq!(low, whole.narrow(3, false).truth());
    // Its four bytes do not hold all of it; the eight of the struct do.
    let high = value("lookup", "flags->high == -1");
    let whole = load(Ir::Argument(2), 0, 8, false);
    let moved = Ir::binary(Op::Shr, whole, Ir::Const(30)).narrow(5, true);
    assert_eq!(high, Ir::binary(Op::Eq, moved, Ir::Const(-1)));
    assert_eq!(wrong("&flags->low == 0"), ["&flags->low: a bit field has no address"]);
}

#[test]
fn what_is_known_is_computed() {
    assert_eq!(value("lookup", "(true)"), Ir::Const(1));
    assert_eq!(value("lookup", "ZONE_NORMAL + 3 == 5 && BELOW < 0"), Ir::Const(1));
    assert_eq!(value("lookup", "sizeof(struct qstr) == 16 && sizeof(name->len) == 4"), Ir::Const(1));
    assert_eq!(value("lookup", "1 ? 0 : name->len"), Ir::Const(0));
    // In hexadecimal it has no sign, in decimal it is long.
    assert_eq!(value("lookup", "0xffffffff == -1 && ~0 == 0xffffffff && 1 << 3 == 8"), Ir::Const(1));
    assert_eq!(value("lookup", "4294967295 == -1"), Ir::Const(0));
    assert_eq!(value("lookup", "MAJOR(MKDEV(8, 1)) == 8 && MINOR(MKDEV(8, 1)) == 1"), Ir::Const(1));
    assert_eq!(value("lookup", "-7 / 2 == -3 && -7 % 2 == -1"), Ir::Const(1));
}

#[test]
fn casts_and_pointers_are_computed_with_as_in_c() {
    let behind = value("lookup", "*(u32 *)((void *)name + 4) == 7");
    let address = Ir::binary(Op::Add, Ir::Argument(0), Ir::Const(4));
    assert_eq!(behind, Ir::binary(Op::Eq, load(address, 0, 4, false), Ir::Const(7)));
    let next = value("lookup", "(name + 2)->len == 1");
    let address = Ir::binary(Op::Add, Ir::Argument(0), Ir::Const(32));
    assert_eq!(next, Ir::binary(Op::Eq, load(address, 4, 4, false), Ir::Const(1)));
    assert_eq!(value("lookup", "(u8)300 == 44 && (s8)200 == -56"), Ir::Const(1));
    assert_eq!(value("lookup", "IS_ERR(name)"), Ir::binary(Op::Le, Ir::Const(-4095), Ir::Argument(0)));
}

#[test]
fn what_does_not_fit_is_said_where_it_stands_all_of_it_at_once() {
    assert_eq!(
        wrong("name->nmae == 0 && smal == 1 && name.len"),
        [
            "nmae: struct qstr has no member `nmae` in this kernel; did you mean `name`?",
            "smal: nothing here is called `smal`; did you mean `small`?",
            "len: this is a pointer; write ->len",
        ]
    );
    assert_eq!(wrong("small->x"), ["small: s32 is no pointer"]);
    assert_eq!(
        wrong("*name == 1"),
        ["*name: struct qstr is not a value that can be compared; name one of its members"]
    );
    assert_eq!(wrong("(struct nosuch *)name"), ["struct nosuch *: this kernel has no type `struct nosuch`"]);
    assert_eq!(wrong("small / 0"), ["0: division by zero"]);
    assert_eq!(wrong("small << 32"), ["32: a value of 32 bits is shifted by 32"]);
    assert_eq!(
        wrong("name * 2"),
        [
            "name * 2: struct qstr * and s32 do not go together here; cast a pointer to compute with it: (unsigned long)p"
        ]
    );
    assert_eq!(
        wrong("*(void *)name"),
        ["(void *)name: what this points to is not known; cast it first, as in ((struct page *)p)->flags"]
    );
}

#[test]
fn flags_of_allocations_are_known_though_they_are_macros() {
    let flags = || Ir::Argument(1).narrow(32, false);
    let both = value("should_failslab", "(gfpflags & GFP_KERNEL) == GFP_KERNEL");
    let masked = Ir::binary(Op::And, flags(), Ir::Const(0xcc0)).narrow(32, false);
    assert_eq!(both, Ir::binary(Op::Eq, masked, Ir::Const(0xcc0)));
    let without = value("should_failslab", "gfpflags & ~__GFP_ZERO");
    assert_eq!(without, Ir::binary(Op::And, flags(), Ir::Const(0xffff_feff)).narrow(32, false).truth());
    assert_eq!(
        wrong("small == GFP_HIGHUSER_MOVABLE"),
        [
            "GFP_HIGHUSER_MOVABLE: the types of this kernel do not tell what `GFP_HIGHUSER_MOVABLE` is in its release; \
             test single flags, such as gfpflags & __GFP_DIRECT_RECLAIM"
        ]
    );
}

#[test]
fn declared_parameters_rename_the_kernels_and_must_be_what_they_are() {
    let renamed =
        checked("should_failslab", Some("struct kmem_cache *cache, gfp_t mask"), "cache->size == mask");
    assert_eq!(renamed.unwrap(), value("should_failslab", "s->size == gfpflags"));
    let problems = |declared| match checked("should_failslab", Some(declared), "1") {
        Err(Problems::Parameters(problems)) => problems.into_iter().map(|p| p.message).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    assert_eq!(problems("struct qstr *s"), ["in this kernel this parameter is struct kmem_cache *"]);
    assert_eq!(problems("struct gone *s"), ["this kernel has no type `struct gone`"]);
    assert_eq!(problems("void *s, u64 f"), ["in this kernel this parameter is u32"]);
    assert_eq!(problems("void *s, u32 f, int x"), ["in this kernel the function has 2 parameters"]);
}

#[test]
fn a_system_calls_arguments_come_from_its_callers_registers_and_memory() {
    let declared = Some("char *dev_name, char *dir_name, char *type");
    let found = checked("__x64_sys_mount", declared, "STRCMP(type, \"ext4\")").unwrap();
    let address = Box::new(load(Ir::Argument(0), 96, 8, false));
    assert_eq!(found, Ir::SameBytes { address, bytes: b"ext4\0".to_vec(), space: Space::User });
    let first = checked("__x64_sys_mount", declared, "dev_name[0] == '/'").unwrap();
    let address = Box::new(load(Ir::Argument(0), 112, 8, false));
    let read = Ir::Load { address, offset: 0, bytes: 1, signed: true, space: Space::User };
    assert_eq!(first, Ir::binary(Op::Eq, read, Ir::Const(47)));
    let Err(Problems::Predicate(undeclared)) = checked("__x64_sys_mount", None, "type") else { panic!() };
    let help = "declare what the system call takes in `parameters`, as its manual page does";
    assert_eq!(undeclared[0].help.as_deref(), Some(help));
}

#[test]
fn the_longest_chains_of_operators_fit_the_stack_of_a_thread() {
    let left = format!("small{}", " + 1".repeat(498));
    let right = format!("{}1{}", "small ? ".repeat(30), " : 1".repeat(30));
    let arrows = format!("name{}", "->name".repeat(499));
    for text in [left.as_str(), &right] {
        let condition = value("lookup", text);
        let predicate = crate::codegen::Predicate { number: 1, condition };
        assert!(predicate.condition.clone().arguments() > 0, "{predicate:?}");
    }
    assert!(matches!(checked("lookup", None, &arrows), Err(Problems::Predicate(_))));
    assert_eq!(
        parse(&format!("1{}", " + 1".repeat(500))).unwrap_err()[0].message,
        "more than 1000 words and signs"
    );
}

#[test]
fn a_name_means_one_parameter_and_a_system_call_has_those_of_its_manual_page() {
    let declared = |parameters: &str| match checked("__x64_sys_mount", Some(parameters), "a") {
        Err(Problems::Parameters(problems)) => {
            problems.into_iter().map(|problem| problem.message).collect::<Vec<_>>()
        }
        other => panic!("{parameters}: {other:?}"),
    };
    assert_eq!(declared("char *a, char *a"), vec!["a second parameter called `a`".to_owned()]);
    assert_eq!(
        declared("const struct pt_regs *regs"),
        vec![
            "a system call's parameters are those of its manual page, not the caller's registers".to_owned()
        ]
    );
}

#[test]
fn what_a_system_call_takes_as_a_number_is_an_address_of_its_callers() {
    let read = checked("__x64_sys_mount", Some("unsigned long a"), "*(int *)a").unwrap();
    assert!(
        matches!(&read, Ir::Binary(Op::Ne, left, _) if matches!(**left, Ir::Load { space: Space::User, .. }))
    );
    let either = checked("__x64_sys_mount", Some("char *a"), "STRCMP(a ? NULL : a, \"x\")").unwrap();
    assert!(matches!(either, Ir::SameBytes { space: Space::User, .. }));
}

#[test]
fn what_stands_behind_a_struct_that_is_handed_over_by_value_is_found() {
    let mut builder = BtfBuilder::new();
    let int = builder.signed_int("int", 4);
    let pointer = builder.pointer(0);
    let pair = builder.structure("pair", 16, &[("p", pointer, 0), ("flag", int, 64)]);
    builder.function("f", &[("first", int), ("pair", pair), ("last", int)]);
    let btf = Btf::parse(builder.build()).unwrap();
    let id = btf.functions("f").next().unwrap();
    let last =
        check(Function { btf: &btf, id, is_syscall: false }, None, &parse("last == 4").unwrap()).unwrap();
    assert_eq!(last.arguments(), 4);
}

#[test]
fn members_of_a_struct_that_is_handed_over_by_value_are_cut_out_of_its_words() {
    let mut builder = BtfBuilder::new();
    let int = builder.signed_int("int", 4);
    let byte = builder.int("unsigned char", 1);
    let pointer = builder.pointer(int);
    let text = builder.array(byte, int, 2);
    let inner = builder.structure("", 4, &[("low", byte, 0), ("high", byte, 8)]);
    let pair = builder.structure(
        "pair",
        16,
        &[("p", pointer, 0), ("n", int, 64), ("", inner, 96), ("t", text, 112)],
    );
    let bits = builder.packed("bits", 16, &[("a", int, 3, 7), ("across", int, 60, 8)]);
    builder.function("f", &[("first", int), ("pair", pair), ("bits", bits)]);
    let btf = Btf::parse(builder.build()).unwrap();
    let id = btf.functions("f").next().unwrap();
    let of = |text: &str| check(Function { btf: &btf, id, is_syscall: false }, None, &parse(text).unwrap());
    let not_0 = |value: Ir| Ok(value.truth());
    assert_eq!(of("pair.p"), not_0(Ir::Argument(1)));
    assert_eq!(of("*pair.p"), not_0(load(Ir::Argument(1), 0, 4, true)));
    assert_eq!(of("pair.n"), not_0(Ir::Argument(2).narrow(32, true)));
    let high = Ir::binary(Op::Shr, Ir::Argument(2), Ir::Const(40));
    assert_eq!(of("pair.high"), not_0(high.narrow(8, false)));
    let bit_field = Ir::binary(Op::Shr, Ir::Argument(3), Ir::Const(3));
    assert_eq!(of("bits.a"), not_0(bit_field.narrow(7, true)));
    let low = Ir::binary(Op::Shr, Ir::Argument(3), Ir::Const(60));
    let across = Ir::binary(Op::Or, low, Ir::binary(Op::Shl, Ir::Argument(4), Ir::Const(4)));
    assert_eq!(of("bits.across"), not_0(across.narrow(8, true)));
    assert!(of("&pair.n").is_err() && of("pair.t[0]").is_err() && of("pair").is_err());
}

#[test]
fn a_bit_field_is_read_within_its_struct_and_put_together_where_no_load_holds_it() {
    let mut builder = BtfBuilder::new();
    let long = builder.int("unsigned long", 8);
    let of_three = builder.packed("three", 3, &[("x", long, 1, 22)]);
    let odd = builder.packed("odd", 9, &[("y", long, 4, 64)]);
    let [of_three, odd] = [of_three, odd].map(|of| builder.pointer(of));
    builder.function("f", &[("a", of_three), ("b", odd)]);
    let btf = Btf::parse(builder.build()).unwrap();
    let id = btf.functions("f").next().unwrap();
    let of = |text: &str| {
        check(Function { btf: &btf, id, is_syscall: false }, None, &parse(text).unwrap()).unwrap()
    };
    let low = Ir::binary(Op::Shr, load(Ir::Argument(0), 0, 2, false), Ir::Const(1));
    let high = Ir::binary(Op::Shl, load(Ir::Argument(0), 2, 1, false), Ir::Const(15));
    assert_eq!(of("a->x"), Ir::binary(Op::Or, low, high).narrow(22, false).truth());
    let low = Ir::binary(Op::Shr, load(Ir::Argument(1), 0, 8, false), Ir::Const(4));
    let high = Ir::binary(Op::Shl, load(Ir::Argument(1), 8, 1, false), Ir::Const(60));
    assert_eq!(of("b->y"), Ir::binary(Op::Or, low, high).truth());
}

#[test]
fn whether_a_char_has_a_sign_is_the_kernels_to_say() {
    for signed in [true, false] {
        let mut builder = BtfBuilder::new();
        let char = if signed { builder.signed_int("char", 1) } else { builder.int("char", 1) };
        builder.function("f", &[("c", char)]);
        let btf = Btf::parse(builder.build()).unwrap();
        let id = btf.functions("f").next().unwrap();
        let of =
            |text: &str| check(Function { btf: &btf, id, is_syscall: false }, None, &parse(text).unwrap());
        let is = |holds: bool| Ok(Ir::Const(holds.into()));
        assert_eq!(of("(char)200 < 0"), is(signed));
        assert_eq!(of("'\\xff' == -1"), is(signed));
        assert_eq!(of("(signed char)200 < 0 && (unsigned char)200 == 200 && 'a' == 97"), is(true));
    }
}

#[test]
fn a_pointer_that_is_marked_leads_into_the_callers_memory() {
    let mut builder = BtfBuilder::new();
    let byte = builder.int("unsigned char", 1);
    let tagged = builder.tagged("user", byte);
    let constant = builder.constant(tagged);
    let other = builder.tagged("rcu", byte);
    let [user, kernel] = [constant, other].map(|of| builder.pointer(of));
    let holder = builder.structure("holder", 8, &[("buf", user, 0)]);
    let holder = builder.pointer(holder);
    builder.function("vfs_read", &[("buf", user), ("holder", holder), ("own", kernel)]);
    let btf = Btf::parse(builder.build()).unwrap();
    let id = btf.functions("vfs_read").next().unwrap();
    let of = |text: &str| {
        check(Function { btf: &btf, id, is_syscall: false }, None, &parse(text).unwrap()).unwrap()
    };
    let byte = |address: Ir, space| {
        Ir::Load { address: Box::new(address), offset: 0, bytes: 1, signed: false, space }.truth()
    };
    assert_eq!(of("*buf"), byte(Ir::Argument(0), Space::User));
    assert_eq!(of("holder->buf[0]"), byte(load(Ir::Argument(1), 0, 8, false), Space::User));
    assert_eq!(of("*own"), byte(Ir::Argument(2), Space::Kernel));
}

#[test]
fn every_name_of_a_type_has_a_size_where_no_parameter_is_called_so() {
    assert_eq!(
        value("lookup", "sizeof(sector_t) == 8 && sizeof(sector_t *) == 8 && sizeof(gfp_t) == 4"),
        Ir::Const(1)
    );
    assert_eq!(value("lookup", "sizeof(small) == 1"), Ir::Const(1));
    assert_eq!(wrong("sizeof(no_such_t)").len(), 1);
    assert_eq!(wrong("sizeof sector_t").len(), 1);
}

#[test]
fn a_function_that_is_declared_without_parameters_has_none() {
    assert!(checked("lookup", Some("void"), "current->pid").is_ok());
    assert!(matches!(checked("lookup", Some("void"), "small"), Err(Problems::Predicate(_))));
}

#[test]
fn declarations_that_go_in_circles_are_refused() {
    let mut builder = BtfBuilder::new();
    // The pointer has the id 1, and points to the alias of itself.
    let pointer = builder.pointer(2);
    let own = builder.typedef("own", pointer);
    builder.function("f", &[("x", own)]);
    let btf = Btf::parse(builder.build()).unwrap();
    let id = btf.functions("f").next().unwrap();
    let declared = parse_parameters("own x").unwrap();
    let checked = check(Function { btf: &btf, id, is_syscall: false }, Some(&declared), &parse("x").unwrap());
    assert!(matches!(checked, Err(Problems::Parameters(_))));
}

#[test]
fn a_function_that_the_kernel_does_not_describe_takes_what_is_declared() {
    let btf = kernel();
    let function = Function { btf: &btf, id: UNDESCRIBED, is_syscall: false };
    let of = |parameters: Option<&str>, text: &str| {
        let declared =
            parameters.map(|parameters| faultline_api::predicate::parse_parameters(parameters).unwrap());
        check(function, declared.as_deref(), &parse(text).unwrap())
    };
    let condition = of(Some("void *first, unsigned int second"), "second == 4").unwrap();
    assert_eq!(condition, Ir::binary(Op::Eq, Ir::Argument(1).narrow(32, false), Ir::Const(4)));
    let Err(Problems::Predicate(problems)) = of(None, "second == 4") else { panic!() };
    let help = "declare what it takes in `parameters`: the kernel does not describe this function";
    assert_eq!(problems[0].help.as_deref(), Some(help));
    let Err(Problems::Parameters(problems)) = of(Some("struct none_such *p, struct task_struct t"), "1")
    else {
        panic!()
    };
    assert!(problems.last().unwrap().message.starts_with("no register holds"), "{problems:?}");
}

#[test]
fn what_is_nearly_a_type_or_a_constant_of_the_kernel_is_suggested() {
    assert_eq!(
        wrong("((struct qtsr *)name)->len == sizeof(setcor_t *) + ZONE_NROMAL"),
        [
            "struct qtsr *: this kernel has no type `struct qtsr`; did you mean `struct qstr`?",
            "setcor_t *: this kernel has no type `setcor_t`; did you mean `sector_t`?",
            "ZONE_NROMAL: nothing here is called `ZONE_NROMAL`; did you mean `ZONE_NORMAL`?",
        ]
    );
}
