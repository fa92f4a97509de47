//! `mode` and `value`: how many of the selected pods are hit.

use std::ops::RangeInclusive;

use crate::{Code, Diagnostic, Mode, Percent, yaml::Resolved};

use super::{
    fields::{Field, Fields},
    findings::Findings,
    kind::Dialect,
};

/// What `mode` says without its `value`.
#[derive(Clone, Copy)]
enum ModeWord {
    One,
    All,
    Fixed,
    FixedPercent,
    RandomMaxPercent,
}

const MODES: [(&str, ModeWord); 5] = [
    ("one", ModeWord::One),
    ("all", ModeWord::All),
    ("fixed", ModeWord::Fixed),
    ("fixed-percent", ModeWord::FixedPercent),
    ("random-max-percent", ModeWord::RandomMaxPercent),
];

/// Reads `mode` and `value`.
pub(super) fn mode(spec: &mut Fields<'_>, dialect: Dialect, findings: &mut Findings) -> Option<Mode> {
    let mode = spec.require("mode", findings);
    let word = mode.and_then(|field| field.word(&MODES, findings));
    let value = spec.take("value", findings);
    match word? {
        ModeWord::One => without_value(Mode::One, value, findings),
        ModeWord::All => without_value(Mode::All, value, findings),
        ModeWord::Fixed => {
            let count = mode_value(spec, value, 1..=u32::MAX.into(), dialect, findings)?;
            u32::try_from(count).ok().map(Mode::Fixed)
        }
        ModeWord::FixedPercent => {
            mode_value(spec, value, 0..=100, dialect, findings).and_then(percent).map(Mode::FixedPercent)
        }
        ModeWord::RandomMaxPercent => {
            mode_value(spec, value, 0..=100, dialect, findings).and_then(percent).map(Mode::RandomMaxPercent)
        }
    }
}

fn without_value(mode: Mode, value: Option<Field<'_>>, findings: &mut Findings) -> Option<Mode> {
    if let Some(value) = value {
        let message = "`value` means nothing with this mode";
        let help = "remove it, or use the mode `fixed`, `fixed-percent` or `random-max-percent`";
        findings.push(Diagnostic::warning(Code::NoEffect, value.place, message).help(help));
    }
    Some(mode)
}

/// The number in `value`, which Chaos Mesh has as a string.
fn mode_value(
    spec: &Fields<'_>,
    value: Option<Field<'_>>,
    range: RangeInclusive<u64>,
    dialect: Dialect,
    findings: &mut Findings,
) -> Option<u64> {
    let Some(field) = value else {
        if !spec.has("value") {
            let message = "this mode needs the field `value`";
            findings.push(Diagnostic::error(Code::MissingField, spec.place(), message));
        }
        return None;
    };
    let wanted = "a whole number in quotes, such as \"50\"";
    let scalar = field.scalar(wanted, findings)?;
    let number = match scalar.resolve() {
        Resolved::Text(text) => text.parse::<i128>().ok(),
        Resolved::Int(_) if scalar.yaml_1_1_meaning().is_some() => return field.number(range, findings),
        Resolved::Int(number) => {
            if dialect == Dialect::ChaosMesh {
                let message = format!("Chaos Mesh takes `value` as a string: \"{number}\"");
                findings.push(Diagnostic::note(Code::WrongType, field.node.span, message));
            }
            Some(number)
        }
        Resolved::Null | Resolved::Bool(_) | Resolved::Float(_) => None,
    };
    let Some(number) = number else {
        findings.push(field.wrong_type(wanted));
        return None;
    };
    let number = field.in_range(number, range, findings)?;
    if number == 0 {
        let message = "0 percent of the pods is none";
        findings.push(Diagnostic::warning(Code::NeverInjects, field.node.span, message));
    }
    Some(number)
}

/// A number that is known to be at most 100.
pub(super) fn percent(number: u64) -> Option<Percent> {
    u8::try_from(number).ok().and_then(Percent::new)
}
