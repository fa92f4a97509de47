//! The macros that manifests lean on: comparisons of texts, numbers of devices, errors among pointers.

use faultline_api::{
    Span,
    predicate::{Expr, ExprKind, misuse},
};

use super::{
    check::{Checked, Checker, Wrong, value_of},
    convert::converted,
    held::Typed,
    ir::{Ir, MAX_TEXT, Op},
    ty::Ty,
};

/// Bits of the minor number in a `dev_t` of the kernel's own.
const MINOR_BITS: u32 = 20;

/// The kernel's highest errno: a pointer at most that far below 0 is an error.
const MAX_ERRNO: i64 = 4095;

impl Checker<'_, '_> {
    /// A macro applied to arguments.
    pub(super) fn call(&mut self, name: &str, at: Span, arguments: &[Expr], span: Span) -> Checked<Typed> {
        if let Some(problem) = misuse(name, at, arguments.len(), span) {
            self.problems.push(problem);
            return Err(Wrong);
        }
        let device = Ty::Int { bytes: 4, signed: false };
        let shift = Ir::Const(i64::from(MINOR_BITS));
        let minors = Ir::Const((1 << MINOR_BITS) - 1);
        match (name, arguments) {
            ("STRCMP", [pointer, text]) => self.same_text(pointer, text, None),
            ("STRNCMP", [pointer, text, length]) => self.same_text(pointer, text, Some(length)),
            ("MKDEV", [major, minor]) => {
                let (major, minor) = (self.integer(major), self.integer(minor));
                let (major, minor) = (major?.0, minor?.0);
                let value = Ir::binary(Op::Or, Ir::binary(Op::Shl, major, shift), minor);
                Ok(value_of(device.clone(), converted(value, &device)))
            }
            ("MAJOR", [of]) => {
                let value = converted(self.integer(of)?.0, &device);
                Ok(value_of(device, Ir::binary(Op::Shr, value, shift)))
            }
            ("MINOR", [of]) => {
                let value = self.integer(of)?.0;
                Ok(value_of(device, Ir::binary(Op::And, value, minors)))
            }
            (_, [pointer]) => {
                let value = self.scalar(pointer)?.0;
                let lowest = Ir::Const(-MAX_ERRNO);
                Ok(value_of(Ty::INT, Ir::binary(Op::Le, lowest, value)))
            }
            _ => Err(Wrong),
        }
    }

    /// True when equal, whatever the name suggests: that is what manifests mean by it.
    fn same_text(&mut self, pointer: &Expr, text: &Expr, length: Option<&Expr>) -> Checked<Typed> {
        let address = self.scalar(pointer);
        let length = length.map(|length| self.integer(length).map(|(value, _)| (value, length.span)));
        let (address, ty) = address?;
        let Ty::Pointer { space, .. } = ty else {
            let message = format!("{} is no pointer to a text", ty.name(self.btf));
            return self.fail(pointer.span, message, None);
        };
        let ExprKind::Text(text_bytes) = &text.kind else { return Err(Wrong) };
        // A 0 within the text ends it, as it ends what it is compared with.
        let mut bytes: Vec<u8> = text_bytes.iter().copied().take_while(|byte| *byte != 0).collect();
        bytes.push(0);
        if let Some(length) = length {
            let (value, at) = length?;
            let Some(length) = value.constant() else {
                return self.fail(at, "the length must be a constant", None);
            };
            let Ok(length) = usize::try_from(length) else {
                return self.fail(at, "the length is negative", None);
            };
            if length == 0 {
                return self.fail(at, "a comparison of no bytes is always true", None);
            }
            bytes.truncate(length);
        }
        if bytes.len() > MAX_TEXT {
            let message = format!("a text of {} bytes, and at most {} are compared", bytes.len(), MAX_TEXT);
            return self.fail(text.span, message, Some("compare its beginning with STRNCMP".to_owned()));
        }
        Ok(value_of(Ty::INT, Ir::SameBytes { address: Box::new(address), bytes, space }))
    }
}
