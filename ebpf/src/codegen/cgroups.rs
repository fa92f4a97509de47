//! The programs that follow cgroups: a child is in scope before its first task can be, a removed one is gone.

use super::fastpath;
use super::scope;
use crate::asm::{Alu, Asm, AsmError, Attach, Cond, Helper, Label, MapId, Program, Reg, Width};
use crate::facts::{CgroupFacts, Facts};
use crate::layout::globals::Unit;
use crate::layout::{members, off};

/// Ids on the stack, and a copy of the parent's list below them.
const PARENT: i16 = -8;
const CHILD: i16 = -16;
const COPY: i16 = CHILD - off(members::SIZE);

/// Hierarchy 0 is cgroup v2; ids of v1 cgroups mean nothing here and may collide with ours.
const UNIFIED: i32 = 0;

/// On `cgroup_mkdir`: the child takes over its parent's list.
///
/// The tracepoint comes before the directory can be seen. An agent that changes the parent's list at that
/// moment walks the tree afterwards, and finds the child then.
///
/// # Errors
/// A mistake in the code generator.
pub fn cgroup_made(facts: &Facts, generation: u64) -> Result<Program, AsmError> {
    let mut asm = Asm::new();
    let out = asm.label("out");
    let at = facts.cgroup;
    head(&mut asm, at, generation, out);
    asm.note("ids of parent and child");
    asm.load(Width::U64, Reg::R1, Reg::R6, at.parent, "self.parent");
    asm.load(Width::U64, Reg::R1, Reg::R1, at.css_cgroup, "cgroup");
    id_of(&mut asm, Reg::R1, at, PARENT);
    id_of(&mut asm, Reg::R6, at, CHILD);
    copy_list(&mut asm, out);
    asm.note("the child is a member like its parent");
    asm.map(Reg::R1, MapId::Members);
    asm.address(Reg::R2, Reg::Fp, CHILD);
    asm.address(Reg::R3, Reg::Fp, COPY);
    asm.mov(Reg::R4, 0);
    asm.call(Helper::MapUpdate);
    asm.jump_if(Cond::Ne, Reg::R0, 0, out);
    set_bit(&mut asm);
    tail(&mut asm, out);
    asm.finish("fl_cgroup_made", Attach::Tracepoint("cgroup_mkdir".to_owned()), at.mkdir)
}

/// On `cgroup_rmdir`: the list goes with the cgroup. Its bit stays until the agent counts anew.
///
/// # Errors
/// A mistake in the code generator.
pub fn cgroup_removed(facts: &Facts, generation: u64) -> Result<Program, AsmError> {
    let mut asm = Asm::new();
    let out = asm.label("out");
    let at = facts.cgroup;
    head(&mut asm, at, generation, out);
    asm.note("no longer a member");
    id_of(&mut asm, Reg::R6, at, CHILD);
    asm.map(Reg::R1, MapId::Members);
    asm.address(Reg::R2, Reg::Fp, CHILD);
    asm.call(Helper::MapDelete);
    tail(&mut asm, out);
    asm.finish("fl_cgroup_gone", Attach::Tracepoint("cgroup_rmdir".to_owned()), at.rmdir)
}

/// R6 = the cgroup, if it is one of the unified hierarchy.
fn head(asm: &mut Asm, at: CgroupFacts, generation: u64, out: Label) {
    asm.note("a cgroup of the unified hierarchy?");
    asm.load(Width::U64, Reg::R6, Reg::R1, 0, "cgroup");
    asm.load(Width::U64, Reg::R1, Reg::R6, at.root, "root");
    asm.load(Width::U32, Reg::R1, Reg::R1, at.hierarchy, "hierarchy_id");
    asm.jump_if(Cond::Ne, Reg::R1, UNIFIED, out);
    scope::generation(asm, Unit::Cgroups, generation, out);
}

fn tail(asm: &mut Asm, out: Label) {
    asm.bind(out);
    asm.mov(Reg::R0, 0);
    asm.exit();
}

fn id_of(asm: &mut Asm, cgroup: Reg, at: CgroupFacts, to: i16) {
    asm.load(Width::U64, Reg::R1, cgroup, at.node, "kn");
    asm.load(Width::U64, Reg::R1, Reg::R1, at.id, "id");
    asm.store(Width::U64, Reg::Fp, to, Reg::R1, "id");
}

/// Copies the parent's list, and makes sure that it was one list throughout (see `scope::still_member`).
fn copy_list(asm: &mut Asm, out: Label) {
    asm.note("copy the parent's list");
    lookup(asm, out);
    for word in 0..off(members::SIZE) / 8 {
        asm.load(Width::U64, Reg::R1, Reg::R0, 8 * word, "");
        asm.store(Width::U64, Reg::Fp, COPY + 8 * word, Reg::R1, "");
    }
    lookup(asm, out);
    asm.load(Width::U64, Reg::R1, Reg::R0, off(members::VERSION), "version");
    asm.load(Width::U64, Reg::R2, Reg::Fp, COPY + off(members::VERSION), "version copied");
    asm.jump_if(Cond::Ne, Reg::R1, Reg::R2, out);
}

fn lookup(asm: &mut Asm, out: Label) {
    asm.map(Reg::R1, MapId::Members);
    asm.address(Reg::R2, Reg::Fp, PARENT);
    asm.call(Helper::MapLookup);
    asm.jump_if(Cond::Eq, Reg::R0, 0, out);
}

fn set_bit(asm: &mut Asm) {
    asm.note("set its bit, after the list is there");
    asm.load(Width::U64, Reg::R0, Reg::Fp, CHILD, "id");
    asm.mov(Reg::R1, Reg::R0);
    asm.alu(Alu::Shr, Reg::R1, 3);
    asm.alu(Alu::And, Reg::R1, fastpath::WORD_MASK);
    asm.map_value(Reg::R2, MapId::Globals, fastpath::BITMAP, "bitmap");
    asm.alu(Alu::Add, Reg::R2, Reg::R1);
    asm.mov(Reg::R1, 1);
    asm.alu(Alu::Shl, Reg::R1, Reg::R0);
    asm.atomic_or(Reg::R2, 0, Reg::R1);
}
