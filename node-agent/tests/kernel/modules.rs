//! Chains through a module that comes, goes, and comes back.

use std::fs::File;
use std::path::Path;

use faultline_node_agent::kernel::{Kernel, Mechanism, ProbeOutcome, ProbeSpec};
use rustix::fs::OFlags;
use rustix::system::{delete_module, finit_module};

use crate::world::{Vary, World, failing_mounts};

const ENOMEM: i32 = 12;
const ENODEV: i32 = 19;

/// Under it a mount of the module's file system allocates; nobody calls it but through a pointer.
const FILL: &str = "bm_fill_super";

/// The module, loaded until this is dropped.
struct Module;

impl Module {
    fn load() -> Self {
        finit_module(File::open("/lib/modules/binfmt_misc.ko").unwrap(), c"", 0).unwrap();
        Self
    }

    /// Without waiting for anybody who holds it.
    fn unload(self) {
        delete_module(c"binfmt_misc", unload_flags()).unwrap();
        std::mem::forget(self);
    }
}

impl Drop for Module {
    fn drop(&mut self) {
        let _ = delete_module(c"binfmt_misc", unload_flags());
    }
}

fn unload_flags() -> i32 {
    i32::try_from(OFlags::NONBLOCK.bits()).unwrap()
}

fn through(scope: &Path, function: &str) -> ProbeSpec {
    failing_mounts(scope).frames(&["__x64_sys_mount", function])
}

fn converge(world: &mut World, spec: &ProbeSpec) -> ProbeOutcome {
    world.engine.converge(std::slice::from_ref(spec)).remove(0)
}

/// Which programs of the engine are in the module.
fn in_module(world: &World) -> Vec<String> {
    let names = world.engine.programs().into_iter().map(|program| program.name);
    names.filter(|name| name.contains(FILL)).collect()
}

#[test]
fn a_function_of_a_module_is_a_frame_with_and_without_the_modules_name() {
    let Some(mut world) = World::with_module() else { return };
    let _module = Module::load();
    let (target, mut victim) = world.container("target");
    let (_, mut sibling) = world.container("sibling");
    for name in [FILL, "binfmt_misc:bm_fill_super", "binfmt-misc:bm_fill_super"] {
        let spec = through(&target, name);
        let attached = converge(&mut world, &spec).result.unwrap();
        let point = &attached.points[1];
        assert_eq!(point.function, "binfmt_misc:bm_fill_super");
        let Mechanism::Kprobes { instead } = &point.mechanism else { panic!("{point:?}") };
        assert!(instead.contains("hold the module"), "{instead}");
        let tally = victim.ask("mount-misc 5");
        let counters = world.counters(&spec);
        assert_eq!((tally.failed, tally.errno, counters.injections), (5, ENOMEM, 5), "{name}: {counters:?}");
        assert_eq!((victim.ask("mount 5 1").failed, sibling.ask("mount-misc 5").failed), (0, 0), "{name}");
        assert_eq!(world.counters(&spec).missed_returns, 0, "{name}");
    }
}

#[test]
fn a_predicate_on_a_function_of_a_module_is_compiled_with_the_modules_types() {
    let Some(mut world) = World::with_module() else { return };
    let _module = Module::load();
    let (target, mut victim) = world.container("target");
    for (text, failed) in [
        ("STRCMP(sb->s_type->name, \"binfmt_misc\") && fc->sb_flags == 0", 5),
        ("STRCMP(sb->s_type->name, \"tmpfs\")", 0),
        ("sizeof(Node) > sizeof(struct list_head)", 5),
    ] {
        let spec = through(&target, FILL).when(text);
        world.arm(std::slice::from_ref(&spec));
        assert_eq!(victim.ask("mount-misc 5").failed, failed, "{text}: {:?}", world.counters(&spec));
    }
}

#[test]
fn a_module_that_is_not_loaded_is_waited_for_and_a_name_that_nobody_has_is_not() {
    let Some(mut world) = World::with_module() else { return };
    let (target, mut victim) = world.container("target");
    let (named, plain) = (through(&target, "binfmt_misc:bm_fill_super"), through(&target, FILL));
    let outcomes = world.engine.converge(&[named.clone(), plain]);
    let errors = outcomes.iter().map(|outcome| outcome.result.as_ref().unwrap_err());
    let errors: Vec<_> = errors.map(|error| (error.is_pending(), error.to_string())).collect();
    assert_eq!(errors[0], (true, "module `binfmt_misc` is not loaded".to_owned()));
    assert!(!errors[1].0 && errors[1].1.contains("does not exist"), "{errors:?}");
    let _module = Module::load();
    converge(&mut world, &named).result.unwrap();
    assert_eq!(victim.ask("mount-misc 5").failed, 5);
}

#[test]
fn an_armed_module_is_unloaded_at_once_and_found_again() {
    let Some(mut world) = World::with_module() else { return };
    let module = Module::load();
    let (target, mut victim) = world.container("target");
    let spec = through(&target, "binfmt_misc:bm_fill_super");
    world.arm(std::slice::from_ref(&spec));
    assert_eq!(victim.ask("mount-misc 5").failed, 5);
    module.unload();
    assert_eq!(victim.ask("mount-misc 5").errno, ENODEV);
    let error = converge(&mut world, &spec).result.unwrap_err();
    assert!(error.is_pending(), "{error}");
    assert_eq!(in_module(&world), [""; 0]);

    let _module = Module::load();
    world.arm(std::slice::from_ref(&spec));
    assert_eq!(victim.ask("mount-misc 5").failed, 5);
    let counters = world.counters(&spec);
    assert_eq!((counters.injections, counters.missed_returns), (5, 0), "{counters:?}");
}

#[test]
fn a_module_that_came_back_before_anybody_looked_injects_nothing_until_somebody_does() {
    let Some(mut world) = World::with_module() else { return };
    let module = Module::load();
    let (target, mut victim) = world.container("target");
    let spec = through(&target, FILL);
    world.arm(std::slice::from_ref(&spec));
    module.unload();
    let _module = Module::load();
    assert_eq!(victim.ask("mount-misc 5").failed, 0);
    assert_eq!(world.counters(&spec).injections, 0);
    converge(&mut world, &spec).result.unwrap();
    assert_eq!((victim.ask("mount-misc 5").failed, in_module(&world).len()), (5, 2));
}
