//! Constants of the kernel's macros: what an allocation is asked for (`GFP_KERNEL`, `__GFP_ZERO`).
//!
//! Macros leave no trace in BTF. From 6.10 on each flag's bit is an enumerator, which is asked; the kernels before had
//! fixed bits, which are listed here from `include/linux/gfp.h` (5.15) and `gfp_types.h` (6.1, 6.6). Where those
//! disagree and BTF does not tell one from the other, nothing is assumed.

use crate::btf::{Btf, Kind};

/// What a name of this family is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Constant {
    /// This.
    Is(u32),
    /// It depends on what BTF does not tell.
    Undecided,
}

/// Flags with their bits in all kernels before 6.10.
const FLAGS: [(&str, u32); 23] = [
    ("DMA", 0),
    ("HIGHMEM", 1),
    ("DMA32", 2),
    ("MOVABLE", 3),
    ("RECLAIMABLE", 4),
    ("HIGH", 5),
    ("IO", 6),
    ("FS", 7),
    ("ZERO", 8),
    ("DIRECT_RECLAIM", 10),
    ("KSWAPD_RECLAIM", 11),
    ("WRITE", 12),
    ("NOWARN", 13),
    ("RETRY_MAYFAIL", 14),
    ("NOFAIL", 15),
    ("NORETRY", 16),
    ("MEMALLOC", 17),
    ("COMP", 18),
    ("NOMEMALLOC", 19),
    ("HARDWALL", 20),
    ("THISNODE", 21),
    ("ACCOUNT", 22),
    ("ZEROTAGS", 23),
];

/// Of `__GFP_ATOMIC`, until 6.2.
const ATOMIC_BIT: u32 = 9;

const RECLAIM: &[&str] = &["DIRECT_RECLAIM", "KSWAPD_RECLAIM"];
const KERNEL: &[&str] = &["DIRECT_RECLAIM", "KSWAPD_RECLAIM", "IO", "FS"];
const USER: &[&str] = &["DIRECT_RECLAIM", "KSWAPD_RECLAIM", "IO", "FS", "HARDWALL"];

/// Which kernels may have these types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Era {
    /// Up to 6.2: `__GFP_ATOMIC` exists.
    Atomic,
    /// 6.3 to 6.9, or an older one with changes of those.
    Between,
    /// From 6.10 on: the bits are in BTF.
    Enumerated,
}

/// The value of a flag or of a combination of flags; `None` for a name that is neither.
pub(super) fn constant(btf: &Btf, name: &str) -> Option<Constant> {
    let era = Era::of(btf);
    let (flags, more): (&[&str], &[&str]) = match (name, era) {
        ("__GFP_RECLAIM" | "GFP_NOIO", _) => (RECLAIM, &[]),
        ("GFP_KERNEL", _) => (KERNEL, &[]),
        ("GFP_KERNEL_ACCOUNT", _) => (KERNEL, &["ACCOUNT"]),
        ("GFP_NOFS", _) => (RECLAIM, &["IO"]),
        ("GFP_USER", _) => (USER, &[]),
        ("GFP_HIGHUSER", _) => (USER, &["HIGHMEM"]),
        // 5.15 has a flag for KASAN in it, whatever its configuration; 6.1 has none on this machine.
        ("GFP_HIGHUSER_MOVABLE", Era::Atomic) => return Some(Constant::Undecided),
        ("GFP_HIGHUSER_MOVABLE", _) => (USER, &["HIGHMEM", "MOVABLE"]),
        ("GFP_ATOMIC", Era::Atomic) => (&["HIGH", "KSWAPD_RECLAIM"], &["ATOMIC"]),
        ("GFP_ATOMIC", Era::Enumerated) => (&["HIGH", "KSWAPD_RECLAIM"], &[]),
        // Between 6.6 and 6.10 it became silent.
        ("GFP_NOWAIT", Era::Atomic) => (&["KSWAPD_RECLAIM"], &[]),
        ("GFP_NOWAIT", Era::Enumerated) => (&["KSWAPD_RECLAIM"], &["NOWARN"]),
        ("__GFP_ATOMIC" | "GFP_ATOMIC" | "GFP_NOWAIT", Era::Between) => return Some(Constant::Undecided),
        ("GFP_DMA", _) => (&["DMA"], &[]),
        ("GFP_DMA32", _) => (&["DMA32"], &[]),
        _ => (&[name.strip_prefix("__GFP_")?], &[]),
    };
    let bits = flags.iter().chain(more).map(|flag| era.bit(btf, flag));
    bits.sum::<Option<u32>>().map(Constant::Is)
}

impl Era {
    fn of(btf: &Btf) -> Self {
        if btf.enumerator("___GFP_DMA_BIT").is_some() {
            return Self::Enumerated;
        }
        // The release that dropped `__GFP_ATOMIC` also began to guard the flags of a mapping.
        let mapping = btf.find(Kind::Struct, "vm_area_struct");
        let is_guarded = mapping.is_some_and(|id| btf.field(id, "__vm_flags").is_some());
        if is_guarded { Self::Between } else { Self::Atomic }
    }

    /// The flag's bit, where it has one.
    fn bit(self, btf: &Btf, flag: &str) -> Option<u32> {
        let bit = match self {
            Self::Enumerated => u32::try_from(btf.enumerator(&format!("___GFP_{flag}_BIT"))?).ok()?,
            Self::Atomic if flag == "ATOMIC" => ATOMIC_BIT,
            Self::Atomic | Self::Between => FLAGS.iter().find(|(known, _)| *known == flag)?.1,
        };
        1_u32.checked_shl(bit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::btf::BtfBuilder;

    fn kernel(guarded: bool, bits: &[(&str, i32)]) -> Btf {
        let mut builder = BtfBuilder::new();
        let flags = builder.int("unsigned long", 8);
        let member = if guarded { "__vm_flags" } else { "vm_flags" };
        builder.structure("vm_area_struct", 8, &[(member, flags, 0)]);
        if !bits.is_empty() {
            builder.enumeration("", bits);
        }
        Btf::parse(builder.build()).unwrap()
    }

    fn values(btf: &Btf, names: &[&str]) -> Vec<Option<Constant>> {
        names.iter().map(|name| constant(btf, name)).collect()
    }

    #[test]
    fn flags_without_enumerators_have_the_bits_of_old_kernels() {
        let is = |value| Some(Constant::Is(value));
        for guarded in [false, true] {
            let names = ["__GFP_DMA", "__GFP_ZERO", "__GFP_NOFAIL", "__GFP_ACCOUNT", "__GFP_RECLAIM"];
            assert_eq!(
                values(&kernel(guarded, &[]), &names),
                [is(1), is(0x100), is(0x8000), is(0x40_0000), is(0xc00)]
            );
            let names = ["GFP_KERNEL", "GFP_NOFS", "GFP_NOIO", "GFP_USER", "GFP_HIGHUSER", "GFP_DMA32"];
            let expected = [is(0xcc0), is(0xc40), is(0xc00), is(0x10_0cc0), is(0x10_0cc2), is(4)];
            assert_eq!(values(&kernel(guarded, &[]), &names), expected);
        }
    }

    #[test]
    fn what_changed_between_releases_is_decided_only_where_the_types_tell_the_release() {
        let (is, undecided) = (|value| Some(Constant::Is(value)), Some(Constant::Undecided));
        let names = ["__GFP_ATOMIC", "GFP_ATOMIC", "GFP_NOWAIT", "GFP_HIGHUSER_MOVABLE"];
        assert_eq!(values(&kernel(false, &[]), &names), [is(0x200), is(0xa20), is(0x800), undecided]);
        assert_eq!(values(&kernel(true, &[]), &names), [undecided, undecided, undecided, is(0x10_0cca)]);
    }

    #[test]
    fn enumerators_count_where_there_are_any() {
        let bits =
            ["DMA", "IO", "FS", "HIGH", "NOWARN", "KSWAPD_RECLAIM"].map(|flag| format!("___GFP_{flag}_BIT"));
        let bits: Vec<_> = bits.iter().map(String::as_str).zip(0..).collect();
        let btf = kernel(true, &bits);
        let is = |value| Some(Constant::Is(value));
        let names = ["__GFP_IO", "GFP_ATOMIC", "GFP_NOWAIT", "GFP_DMA"];
        assert_eq!(values(&btf, &names), [is(2), is(0x28), is(0x30), is(1)]);
        let absent = ["__GFP_ATOMIC", "__GFP_ZERO", "GFP_KERNEL", "GFP_NOTHING", "zero"];
        assert_eq!(values(&btf, &absent), [None; 5]);
    }
}
