//! One small kernel with two modules.

use std::sync::Arc;

use super::*;
use crate::btf::{Btf, BtfBuilder};

/// Everything that the tests look for, as `/proc/kallsyms` has it.
const KALLSYMS: &str = "\
ffffffff81000010 T __x64_sys_mount\nffffffff81000020 T path_mount\nffffffff81000030 t many\n\
ffffffff81000040 t many\nffffffff81000050 t shared\nffffffffc0000010 t shared\t[first]\n\
ffffffffc0000020 t own\t[first]\nffffffffc0001010 t twin\t[first]\nffffffffc0002010 t twin\t[second]\n\
ffffffff81000060 t cloned.isra.0\nffffffff81000070 t chilled.cold\nffffffff81000080 t assembly\n\
ffffffff81000090 T weak\nffffffff810000a0 T unlike\nffffffffc0003010 t plain\t[untold]\n\
ffffffffc0000030 t same\t[first]\nffffffff810000b0 T same\nffffffff810000c0 T path_mounts\n";

struct Fixture {
    kernel: Arc<Btf>,
    modules: Modules,
}

impl Fixture {
    fn new() -> Self {
        let mut builder = BtfBuilder::new();
        let int = builder.int("int", 4);
        let long = builder.int("long", 8);
        for name in [
            "__x64_sys_mount",
            "path_mount",
            "path_mounts_inlined",
            "many",
            "shared",
            "inlined",
            "cloned",
            "chilled",
        ] {
            builder.function(name, &[("arg", int)]);
        }
        builder.function("path_mounts", &[]);
        builder.function("same", &[("arg", int)]);
        // As kernels have system calls that they may be built without: two prototypes that differ in names only.
        builder.function("weak", &[("regs", int)]);
        builder.function("weak", &[("unused", int)]);
        builder.function("unlike", &[("arg", int)]);
        builder.function("unlike", &[("arg", long)]);
        let [mut first, mut second] = [BtfBuilder::module(&builder), BtfBuilder::module(&builder)];
        for name in ["shared", "own", "twin"] {
            first.function(name, &[("arg", long)]);
        }
        second.function("twin", &[]);
        let kernel = Arc::new(Btf::parse(builder.build()).unwrap());
        let split = |builder: BtfBuilder| Btf::parse_split(builder.build(), Arc::clone(&kernel)).unwrap();
        let modules = [
            ("first".to_owned(), Some(Arc::new(split(first)))),
            ("second".to_owned(), Some(Arc::new(split(second)))),
            ("untold".to_owned(), None),
        ];
        Self { modules: modules.into(), kernel }
    }

    /// On the kernel itself; its addresses may be hidden.
    fn table(written: &str, text: &str) -> Table {
        let mut table = Table::of(spellings(Name::parse(written).function));
        text.lines().filter_map(Line::parse).for_each(|line| table.take(&line));
        table
    }

    fn find(&self, written: &str) -> Result<Symbol, Unresolved> {
        let table = Self::table(written, KALLSYMS);
        let objects = Objects { kernel: &self.kernel, modules: &self.modules, table: Some(&table) };
        objects.find(written).map_err(|unresolved| {
            let mut table = Table::of(unresolved.candidates().map(str::to_owned));
            KALLSYMS.lines().filter_map(Line::parse).for_each(|line| table.take(&line));
            unresolved.only_in(&table)
        })
    }

    fn index(&self) -> Index {
        Index::new(reading(KALLSYMS), &self.kernel)
    }

    fn find_by_types(&self, written: &str) -> Result<Symbol, Unresolved> {
        Objects { kernel: &self.kernel, modules: &self.modules, table: None }.find(written)
    }

    fn error(&self, written: &str) -> String {
        self.find(written).unwrap_err().to_string()
    }
}

fn reading(text: &str) -> Reading {
    let mut reading = Reading::default();
    text.lines().filter_map(Line::parse).for_each(|line| reading.take(&line));
    reading
}

#[test]
fn every_spelling_of_a_system_call_finds_it_with_and_without_a_symbol_table() {
    let fixture = Fixture::new();
    for name in ["mount", "sys_mount", "SyS_mount", "__x64_sys_mount", "vmlinux:sys_mount"] {
        let symbol = fixture.find(name).unwrap();
        assert_eq!((symbol.name.as_str(), symbol.address), ("__x64_sys_mount", Some(0xffff_ffff_8100_0010)));
        let by_types = fixture.find_by_types(name).unwrap();
        assert_eq!(by_types, Symbol { address: None, ..symbol });
    }
    assert!(is_syscall("__x64_sys_mount") && !is_syscall("path_mount") && !is_syscall("sys_mount"));
}

#[test]
fn a_function_of_a_module_is_found_with_and_without_its_name() {
    let fixture = Fixture::new();
    for name in ["own", "first:own"] {
        let symbol = fixture.find(name).unwrap();
        assert_eq!((symbol.module.as_deref(), symbol.address), (Some("first"), Some(0xffff_ffff_c000_0020)));
        let types = fixture.modules["first"].as_ref().unwrap();
        assert_eq!(types.functions("own").next(), Some(symbol.id));
    }
    assert_eq!(Name::parse("snd-hda:probe").module().as_deref(), Some("snd_hda"));
}

#[test]
fn a_name_that_is_unknown_is_offered_its_attachable_neighbours() {
    let fixture = Fixture::new();
    let unknown = fixture.find("path_muont").unwrap_err();
    assert_eq!(unknown.nearest(), ["path_mount", "path_mounts"], "not the one that is inlined");
    assert_eq!(fixture.find("sys_moutn").unwrap_err().nearest(), ["__x64_sys_mount"]);
    assert_eq!(fixture.find("first:sharde").unwrap_err().nearest(), ["first:shared"]);
    assert_eq!(fixture.error("zzz"), "kernel function `zzz` does not exist");
}

#[test]
fn what_the_compiler_took_away_is_said_so() {
    let fixture = Fixture::new();
    assert!(matches!(fixture.find("inlined"), Err(Unresolved::Inlined { .. })));
    for (name, left) in [("cloned", "cloned.isra.0"), ("chilled", "chilled.cold")] {
        let Err(Unresolved::Copied { copy, .. }) = fixture.find(name) else { panic!("{name}") };
        assert_eq!(copy, left);
    }
    let Err(Unresolved::Inlined { nearest, .. }) = fixture.find("path_mounts_inlined") else { panic!() };
    assert_eq!(nearest, ["path_mounts", "path_mount"]);
    assert!(matches!(fixture.find("assembly"), Err(Unresolved::Untyped { module: None, .. })));
    assert!(matches!(fixture.find("plain"), Err(Unresolved::Untyped { module: Some(_), .. })));
}

#[test]
fn a_name_that_several_have_is_refused_unless_a_module_is_named() {
    let fixture = Fixture::new();
    let ambiguous = "kernel function `shared` is ambiguous: write `vmlinux:shared`, or `first:shared`";
    assert_eq!(fixture.error("shared"), ambiguous);
    assert_eq!(fixture.find("vmlinux:shared").unwrap().module, None);
    let named = fixture.find("first:shared").unwrap();
    assert_eq!(named.module.as_deref(), Some("first"));
    assert!(matches!(fixture.find("twin"), Err(Unresolved::Ambiguous { .. })));
    assert!(matches!(fixture.find_by_types("twin"), Err(Unresolved::Ambiguous { .. })));
    assert_eq!(fixture.find("second:twin").unwrap().module.as_deref(), Some("second"));
    let statics = "kernel function `many` is ambiguous: there are 2 of `vmlinux:many`";
    assert_eq!([fixture.error("many"), fixture.error("vmlinux:many")], [statics, statics]);
}

#[test]
fn prototypes_that_differ_in_names_only_are_one_and_others_are_ambiguous() {
    let fixture = Fixture::new();
    assert_eq!(fixture.find("weak").unwrap().name, "weak");
    for found in [fixture.find("unlike"), fixture.find_by_types("unlike")] {
        assert!(matches!(found, Err(Unresolved::Ambiguous { .. })), "{found:?}");
    }
}

#[test]
fn a_function_that_a_module_describes_as_its_kernel_does_is_described_there() {
    let fixture = Fixture::new();
    let [kernels, modules] = ["vmlinux:same", "first:same"].map(|name| fixture.find(name).unwrap());
    assert_eq!(kernels.id, modules.id);
    assert_ne!(kernels.address, modules.address);
}

#[test]
fn a_module_that_is_not_loaded_may_yet_come() {
    let fixture = Fixture::new();
    let absent = fixture.find("third:own").unwrap_err();
    assert!(absent.is_pending());
    assert_eq!(absent.to_string(), "module `third` is not loaded");
    assert!(fixture.error("third:path_mount").ends_with("of that name: `vmlinux:path_mount`"));
    assert!(!fixture.find("own_").unwrap_err().is_pending());
}

#[test]
fn an_address_that_is_hidden_is_told() {
    let fixture = Fixture::new();
    let table = Fixture::table("path_mount", "0000000000000000 T path_mount\n");
    let objects = Objects { kernel: &fixture.kernel, modules: &fixture.modules, table: Some(&table) };
    assert_eq!(objects.find("path_mount"), Err(Unresolved::Hidden { name: "path_mount".to_owned() }));
}

#[test]
fn what_the_index_tells_the_whole_table_tells_too() {
    let fixture = Fixture::new();
    let index = fixture.index();
    let plain = ["path_mount", "path_mounts", "mount", "sys_mount", "__x64_sys_mount", "weak"];
    let kernels = ["vmlinux:shared", "vmlinux:same", "vmlinux:path_mount", "vmlinux:mount"];
    for name in plain.into_iter().chain(kernels) {
        assert_eq!(index.find(name), Some(fixture.find(name).unwrap()), "{name}");
    }
    // In a module too, in a module only, several, without types, with types that differ, not there, misspelt.
    for name in [
        "shared",
        "same",
        "own",
        "first:own",
        "first:path_mount",
        "twin",
        "many",
        "vmlinux:many",
        "assembly",
        "unlike",
        "inlined",
        "cloned",
        "cloned.isra.0",
        "chilled",
        "plain",
        "path_muont",
        "",
        ":",
    ] {
        assert_eq!(index.find(name), None, "{name}");
    }
}

#[test]
fn a_name_is_not_plain_while_a_module_has_it() {
    let fixture = Fixture::new();
    let mut index = fixture.index();
    index.renew(reading("ffffffffc0000010 t path_mount\t[new]\nffffffffc0000020 t mount\t[new]\n"));
    assert_eq!([index.find("path_mount"), index.find("mount")], [None, None]);
    assert!(index.find("same").is_some() && index.find("vmlinux:path_mount").is_some());
    index.renew(Reading::default());
    assert!(index.find("path_mount").is_some());
}

#[test]
fn a_function_whose_address_is_hidden_is_not_plain() {
    let fixture = Fixture::new();
    let hidden = reading("0000000000000000 T path_mount\n0000000000031000 T path_mounts\n");
    let index = Index::new(hidden, &fixture.kernel);
    assert_eq!([index.find("path_mount"), index.find("path_mounts")], [None, None]);
}

#[test]
fn a_function_ends_where_the_next_one_begins() {
    let table = "ffffffff81000010 t first\nffffffff81000010 t alias\nffffffff81000018 d data\n\
                 ffffffffc0000000 t of_module\t[ext4]\nffffffff81000050 t second\nffffffff81000090 t second.cold\n";
    let index = Index::new(reading(table), &Fixture::new().kernel);
    let size = |address| index.size(address);
    assert_eq!([size(0xffff_ffff_8100_0010), size(0xffff_ffff_8100_0050)], [0x40, 0x40]);
    assert_eq!([0xffff_ffff_8100_0090, 0xffff_ffff_c000_0000, 0, u64::MAX].map(size), [1 << 20; 4]);
}
