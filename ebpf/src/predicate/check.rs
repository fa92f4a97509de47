//! From an expression as it is written to one whose every value is known: names are looked up, C's conversions made,
//! and what is known already computed.

use faultline_api::{
    Span,
    predicate::{Binary, Expr, ExprKind, Problem, TypeName, Unary},
};

use super::{
    constants::{Constant, constant},
    convert::{common, compared, converted, is_comparison},
    held::{Bits, Held, Typed},
    ir::{Ir, Op, Space},
    names::Names,
    nearest::{nearest, nearest_of_many},
    ty::{To, Ty},
};
use crate::btf::{Btf, Field, Kind};

/// A name that a predicate may use.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) name: String,
    pub(super) ty: Ty,
    pub(super) value: Ir,
}

/// The reason was told.
pub(super) struct Wrong;

pub(super) type Checked<T> = Result<T, Wrong>;

pub(super) struct Checker<'a, 'b> {
    pub(super) btf: &'a Btf,
    pub(super) types: &'a mut Names<'b>,
    pub(super) names: &'a [Known],
    /// What to do where the parameters are not declared, and the kernel does not name them either.
    pub(super) undeclared: Option<&'static str>,
    /// Whose addresses numbers are that are cast to pointers.
    pub(super) numbers: Space,
    pub(super) problems: Vec<Problem>,
}

impl Checker<'_, '_> {
    /// The condition: 1 or 0.
    pub(super) fn condition(&mut self, expr: &Expr) -> Option<Ir> {
        self.truth(expr).ok()
    }

    pub(super) fn fail<T>(
        &mut self,
        span: Span,
        message: impl Into<String>,
        help: Option<String>,
    ) -> Checked<T> {
        let problem = Problem { span, message: message.into(), help };
        self.problems.push(problem);
        Err(Wrong)
    }

    fn truth(&mut self, expr: &Expr) -> Checked<Ir> {
        Ok(self.scalar(expr)?.0.truth())
    }

    /// A value that fits into a register, with its type after integer promotion.
    pub(super) fn scalar(&mut self, expr: &Expr) -> Checked<(Ir, Ty)> {
        let Typed { ty, held } = self.check(expr)?;
        match ty {
            Ty::Array { of, .. } => {
                let Held::Place { address, offset, space, .. } = held else {
                    return self.fail(
                        expr.span,
                        "this array was handed over by value, and has no address",
                        None,
                    );
                };
                let value = Ir::binary(Op::Add, address, Ir::Const(offset));
                Ok((value, Ty::Pointer { to: of, space }))
            }
            Ty::Int { .. } | Ty::Bool | Ty::Pointer { .. } => Ok(Typed { ty, held }.loaded()),
            Ty::Function => match held {
                Held::Value(value) => Ok((value, Ty::SIZE)),
                Held::Place { .. } | Held::Words { .. } => self.no_value(expr.span, &ty),
            },
            Ty::Void | Ty::Aggregate { .. } | Ty::Unreadable => self.no_value(expr.span, &ty),
        }
    }

    fn no_value<T>(&mut self, span: Span, ty: &Ty) -> Checked<T> {
        let message = format!("{} is not a value that can be compared", ty.name(self.btf));
        let help = matches!(ty, Ty::Aggregate { .. }).then(|| "name one of its members".to_owned());
        self.fail(span, message, help)
    }

    fn check(&mut self, expr: &Expr) -> Checked<Typed> {
        let span = expr.span;
        match &expr.kind {
            ExprKind::Number { value, unsigned, long } => {
                let ty = Ty::Int { bytes: if *long { 8 } else { 4 }, signed: !unsigned };
                // A decimal constant that needs the 32nd bit is long.
                let ty = if !long && *value > 0x7fff_ffff && !unsigned {
                    Ty::Int { bytes: 8, signed: true }
                } else {
                    ty
                };
                Ok(value_of(ty, Ir::Const(value.cast_signed())))
            }
            ExprKind::Character(byte) => Ok(value_of(Ty::INT, self.character(*byte))),
            ExprKind::Text(_) => {
                let help = "compare it with STRCMP(pointer, \"text\") or STRNCMP(pointer, \"text\", length)";
                self.fail(span, "a text is no value", Some(help.to_owned()))
            }
            ExprKind::Name(name) => self.name(name, span),
            ExprKind::Unary(op, of) => self.unary(*op, of, span),
            ExprKind::Binary(op, left, right) => self.binary(*op, left, right, span),
            ExprKind::Conditional(condition, then, otherwise) => {
                let condition = self.truth(condition);
                let (then, otherwise) = (self.scalar(then), self.scalar(otherwise));
                let (condition, (then, a), (otherwise, b)) = (condition?, then?, otherwise?);
                let ty = common(&a, &b);
                let (then, otherwise) = (converted(then, &ty), converted(otherwise, &ty));
                Ok(value_of(ty, Ir::choose(condition, then, otherwise)))
            }
            ExprKind::Member { of, arrow, name, at } => self.member(of, *arrow, name, *at),
            ExprKind::Index(of, index) => self.index(of, index),
            ExprKind::Cast(to, of) => self.cast(to, of),
            ExprKind::SizeOfType(of) => {
                let ty = self.ty(of, Space::Kernel)?;
                self.size_of(&ty, of.span)
            }
            ExprKind::SizeOf(of) => {
                let ty = match self.named_type(of) {
                    Some(ty) => ty,
                    None => self.check(of)?.ty,
                };
                self.size_of(&ty, of.span)
            }
            ExprKind::Call { name, at, arguments } => self.call(name, *at, arguments, span),
        }
    }

    /// A character constant: a `char` that became an int.
    fn character(&self, byte: u8) -> Ir {
        let signed = matches!(Ty::char(self.btf), Ty::Int { signed: true, .. });
        Ir::Const(byte.into()).narrow(8, signed)
    }

    fn name(&mut self, name: &str, span: Span) -> Checked<Typed> {
        if let Some(known) = self.names.iter().find(|known| known.name == name) {
            let held = match (&known.ty, &known.value) {
                (Ty::Aggregate { .. }, Ir::Argument(slot)) => {
                    Held::Words { slot: *slot, start: 0, width: None }
                }
                (_, value) => Held::Value(value.clone()),
            };
            return Ok(Typed { ty: known.ty.clone(), held });
        }
        match name {
            "true" => return Ok(value_of(Ty::INT, Ir::Const(1))),
            "false" => return Ok(value_of(Ty::INT, Ir::Const(0))),
            "NULL" => {
                let to = To::Kernel(0);
                return Ok(value_of(Ty::Pointer { to, space: Space::Kernel }, Ir::Const(0)));
            }
            _ => {}
        }
        if let Some(value) = self.enumerator(name, span)? {
            let ty = match (i32::try_from(value), u32::try_from(value)) {
                (Ok(_), _) => Ty::INT,
                (_, Ok(_)) => Ty::Int { bytes: 4, signed: false },
                _ => Ty::Int { bytes: 8, signed: true },
            };
            return Ok(value_of(ty, Ir::Const(value)));
        }
        match constant(self.btf, name) {
            Some(Constant::Is(value)) => return Ok(value_of(GFP, Ir::Const(i64::from(value)))),
            Some(Constant::Undecided) => {
                let message = format!("the types of this kernel do not tell what `{name}` is in its release");
                let help = "test single flags, such as gfpflags & __GFP_DIRECT_RECLAIM".to_owned();
                return self.fail(span, message, Some(help));
            }
            None => {}
        }
        let nearest = nearest(name, self.names.iter().map(|known| known.name.as_str()))
            .or_else(|| nearest_of_many(name, self.btf.enumerator_names().filter(|_| is_constant(name))));
        let names = self.names.iter().map(|known| known.name.as_str());
        let known: Vec<_> = names.filter(|name| !name.is_empty()).collect();
        let help = match nearest {
            Some(near) => format!("did you mean `{near}`?"),
            None if let Some(help) = self.undeclared => help.to_owned(),
            None => format!("known here: {}, and the constants of the kernel's enums", known.join(", ")),
        };
        self.fail(span, format!("nothing here is called `{name}`"), Some(help))
    }

    fn enumerator(&mut self, name: &str, span: Span) -> Checked<Option<i64>> {
        match self.btf.enumerators(name).as_slice() {
            [] => Ok(None),
            [value] => Ok(Some(*value)),
            values => {
                let values = values.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                let message = format!("this kernel has several constants `{name}`: {values}");
                self.fail(span, message, Some("write the number that is meant".to_owned()))
            }
        }
    }

    fn unary(&mut self, op: Unary, of: &Expr, span: Span) -> Checked<Typed> {
        match op {
            Unary::Not => {
                let value = self.truth(of)?;
                Ok(value_of(Ty::INT, Ir::binary(Op::Eq, value, Ir::Const(0))))
            }
            Unary::Dereference => {
                let (address, ty) = self.scalar(of)?;
                self.behind(address, &ty, of.span)
            }
            Unary::AddressOf => {
                let Typed { ty, held } = self.check(of)?;
                match held {
                    Held::Place { address, offset, bits: None, space } => {
                        let to = To::Named(Box::new(ty));
                        let value = Ir::binary(Op::Add, address, Ir::Const(offset));
                        Ok(value_of(Ty::Pointer { to, space }, value))
                    }
                    Held::Place { .. } => self.fail(span, "a bit field has no address", None),
                    Held::Value(_) | Held::Words { .. } => {
                        self.fail(span, "only what stands in memory has an address", None)
                    }
                }
            }
            Unary::Plus | Unary::Negate | Unary::Complement => {
                let (value, ty) = self.integer(of)?;
                let value = match op {
                    Unary::Plus => value,
                    Unary::Negate => Ir::binary(Op::Sub, Ir::Const(0), value),
                    _ => Ir::binary(Op::Xor, value, Ir::Const(-1)),
                };
                Ok(value_of(ty.clone(), converted(value, &ty)))
            }
        }
    }

    /// What a pointer points to.
    fn behind(&mut self, address: Ir, ty: &Ty, span: Span) -> Checked<Typed> {
        match ty {
            Ty::Pointer { to, space } => {
                let ty = to.ty(self.btf, *space);
                if ty == Ty::Void {
                    let help = "cast it first, as in ((struct page *)p)->flags".to_owned();
                    return self.fail(span, "what this points to is not known", Some(help));
                }
                Ok(Typed { ty, held: Held::Place { address, offset: 0, bits: None, space: *space } })
            }
            ty => {
                let message = format!("{} is no pointer", ty.name(self.btf));
                self.fail(span, message, None)
            }
        }
    }

    fn member(&mut self, of: &Expr, arrow: bool, name: &str, at: Span) -> Checked<Typed> {
        let within = if arrow {
            let (address, ty) = self.scalar(of)?;
            if matches!(ty, Ty::Int { .. }) {
                let message = format!("{} is no pointer", ty.name(self.btf));
                return self.fail(of.span, message, None);
            }
            self.behind(address, &ty, of.span)?
        } else {
            self.check(of)?
        };
        let (id, held) = match (&within.ty, within.held) {
            (Ty::Aggregate { id }, held @ (Held::Place { bits: None, .. } | Held::Words { .. })) => {
                (*id, held)
            }
            (Ty::Pointer { .. }, _) if !arrow => {
                let help = format!("write ->{name}");
                return self.fail(at, "this is a pointer", Some(help));
            }
            (ty, _) => {
                let message = format!("{} has no members", ty.name(self.btf));
                return self.fail(of.span, message, None);
            }
        };
        let Some(field) = self.btf.field(id, name) else {
            let fields = self.btf.fields(id);
            let nearest = nearest(name, fields.iter().map(|(label, _)| *label));
            let help = nearest.map(|near| format!("did you mean `{near}`?"));
            let message = format!("{} has no member `{name}` in this kernel", within.ty.name(self.btf));
            return self.fail(at, message, help);
        };
        let space = if let Held::Place { space, .. } = held { space } else { Space::Kernel };
        let ty = Ty::of_kernel(self.btf, field.type_id, space);
        Ok(Typed { ty, held: self.member_of(held, id, field) })
    }

    /// Where a member of the aggregate that is there is.
    fn member_of(&self, held: Held, aggregate: u32, field: Field) -> Held {
        match held {
            Held::Value(_) => held,
            Held::Words { slot, start, .. } => {
                Held::Words { slot, start: start.saturating_add(field.bit_offset), width: field.bits }
            }
            Held::Place { address, offset, space, .. } => {
                let within = self.btf.size_of(aggregate).unwrap_or(u32::MAX);
                let bits = field.bits.map(|width| Bits { start: field.bit_offset, width, within });
                let bytes = if bits.is_some() { 0 } else { i64::from(field.bit_offset / 8) };
                Held::Place { address, offset: offset.saturating_add(bytes), bits, space }
            }
        }
    }

    fn index(&mut self, of: &Expr, index: &Expr) -> Checked<Typed> {
        let (base, index) = (self.scalar(of), self.integer(index));
        let ((base, ty), (index, _)) = (base?, index?);
        let Ty::Pointer { to, .. } = &ty else {
            let message = format!("{} is no array and no pointer", ty.name(self.btf));
            return self.fail(of.span, message, None);
        };
        let size = self.element(to, of.span)?;
        let address = Ir::binary(Op::Add, base, Ir::binary(Op::Mul, index, Ir::Const(size)));
        self.behind(address, &ty, of.span)
    }

    /// Bytes from one element to the next; of void 1, as GNU C has it.
    fn element(&mut self, of: &To, span: Span) -> Checked<i64> {
        if of.ty(self.btf, Space::Kernel) == Ty::Void {
            return Ok(1);
        }
        let size = of.size(self.btf).and_then(|size| i64::try_from(size).ok());
        match size {
            Some(size) => Ok(size),
            None => self.fail(span, "what this points to has no size", None),
        }
    }

    fn cast(&mut self, to: &TypeName, of: &Expr) -> Checked<Typed> {
        let value = self.scalar(of);
        let (value, from) = value?;
        let space = if let Ty::Pointer { space, .. } = from { space } else { self.numbers };
        let ty = self.ty(to, space)?;
        match ty {
            Ty::Int { bytes, signed } => Ok(value_of(ty, value.narrow(8 * bytes, signed))),
            Ty::Bool => Ok(value_of(ty, value.truth())),
            Ty::Pointer { .. } => Ok(value_of(ty, value)),
            _ => {
                let message = format!("nothing can be cast to {}", ty.name(self.btf));
                self.fail(to.span, message, Some("cast to a pointer to it".to_owned()))
            }
        }
    }

    fn ty(&mut self, name: &TypeName, space: Space) -> Checked<Ty> {
        let find = |kind, tag: &str| self.types.find(kind, tag, name.span);
        Ty::of_name(self.btf, find, name, space).map_err(|unknown| {
            self.problems.push(unknown.problem(self.btf, name.span));
            Wrong
        })
    }

    /// The type that an operand of `sizeof` in brackets is the alias of, where it is no parameter.
    fn named_type(&mut self, of: &Expr) -> Option<Ty> {
        let ExprKind::Name(name) = &of.kind else { return None };
        let is_bracketed = of.span.end - of.span.start > name.len();
        if !is_bracketed || self.names.iter().any(|known| known.name == *name) {
            return None;
        }
        let id = self.types.find(Kind::Typedef, name, of.span)?;
        Some(Ty::of_kernel(self.btf, id, Space::Kernel))
    }

    fn size_of(&mut self, ty: &Ty, span: Span) -> Checked<Typed> {
        match ty.size(self.btf).and_then(|size| i64::try_from(size).ok()) {
            Some(size) => Ok(value_of(Ty::SIZE, Ir::Const(size))),
            None => {
                let message = format!("{} has no size", ty.name(self.btf));
                self.fail(span, message, None)
            }
        }
    }

    pub(super) fn integer(&mut self, expr: &Expr) -> Checked<(Ir, Ty)> {
        let (value, ty) = self.scalar(expr)?;
        if matches!(ty, Ty::Int { .. }) {
            return Ok((value, ty));
        }
        let message = format!("{} is no integer", ty.name(self.btf));
        self.fail(expr.span, message, Some("cast it: (unsigned long)pointer".to_owned()))
    }

    fn binary(&mut self, op: Binary, left: &Expr, right: &Expr, span: Span) -> Checked<Typed> {
        if let Binary::And | Binary::Or = op {
            let (left, right) = (self.truth(left), self.truth(right));
            let (left, right) = (left?, right?);
            let value = if op == Binary::And { Ir::and(left, right) } else { Ir::or(left, right) };
            return Ok(value_of(Ty::INT, value));
        }
        let (a, b) = (self.scalar(left), self.scalar(right));
        let ((a, a_ty), (b, b_ty)) = (a?, b?);
        match (&a_ty, &b_ty) {
            (Ty::Int { .. }, Ty::Int { .. }) => self.arithmetic(op, (a, &a_ty), (b, &b_ty), right.span),
            _ if is_comparison(op) => Ok(value_of(Ty::INT, compared(op, a, b, false))),
            _ => self.pointer_arithmetic(op, (a, &a_ty, left.span), (b, &b_ty, right.span), span),
        }
    }

    fn arithmetic(&mut self, op: Binary, a: (Ir, &Ty), b: (Ir, &Ty), divisor: Span) -> Checked<Typed> {
        // A shift has the type of what is shifted.
        let ty = if matches!(op, Binary::Shl | Binary::Shr) { a.1.clone() } else { common(a.1, b.1) };
        let Ty::Int { bytes, signed } = ty else { return Err(Wrong) };
        let (left, right) = (converted(a.0, &ty), b.0);
        let right = if matches!(op, Binary::Shl | Binary::Shr) { right } else { converted(right, &ty) };
        if is_comparison(op) {
            return Ok(value_of(Ty::INT, compared(op, left, right, signed)));
        }
        if matches!(op, Binary::Div | Binary::Rem) && right.constant() == Some(0) {
            return self.fail(divisor, "division by zero", None);
        }
        if let (Binary::Shl | Binary::Shr, Some(count)) = (op, right.constant())
            && !(0..i64::from(bytes) * 8).contains(&count)
        {
            let message = format!("a value of {} bits is shifted by {count}", 8 * u32::from(bytes));
            return self.fail(divisor, message, None);
        }
        let op = match (op, signed) {
            (Binary::Add, _) => Op::Add,
            (Binary::Sub, _) => Op::Sub,
            (Binary::Mul, _) => Op::Mul,
            (Binary::Div, true) => Op::SignedDiv,
            (Binary::Div, false) => Op::Div,
            (Binary::Rem, true) => Op::SignedRem,
            (Binary::Rem, false) => Op::Rem,
            (Binary::BitAnd, _) => Op::And,
            (Binary::BitOr, _) => Op::Or,
            (Binary::BitXor, _) => Op::Xor,
            (Binary::Shl, _) => Op::Shl,
            (Binary::Shr, true) => Op::SignedShr,
            _ => Op::Shr,
        };
        let value = converted(Ir::binary(op, left, right), &ty);
        Ok(value_of(ty, value))
    }

    fn pointer_arithmetic(
        &mut self,
        op: Binary,
        (a, a_ty, a_span): (Ir, &Ty, Span),
        (b, b_ty, b_span): (Ir, &Ty, Span),
        span: Span,
    ) -> Checked<Typed> {
        match (op, a_ty, b_ty) {
            (Binary::Add | Binary::Sub, Ty::Pointer { to, .. }, Ty::Int { .. }) => {
                let step = Ir::binary(Op::Mul, b, Ir::Const(self.element(to, a_span)?));
                let op = if op == Binary::Add { Op::Add } else { Op::Sub };
                Ok(value_of(a_ty.clone(), Ir::binary(op, a, step)))
            }
            (Binary::Add, Ty::Int { .. }, Ty::Pointer { to, .. }) => {
                let step = Ir::binary(Op::Mul, a, Ir::Const(self.element(to, b_span)?));
                Ok(value_of(b_ty.clone(), Ir::binary(Op::Add, b, step)))
            }
            (Binary::Sub, Ty::Pointer { to, .. }, Ty::Pointer { .. }) => {
                let size = self.element(to, a_span)?;
                let value = Ir::binary(Op::SignedDiv, Ir::binary(Op::Sub, a, b), Ir::Const(size.max(1)));
                Ok(value_of(Ty::Int { bytes: 8, signed: true }, value))
            }
            _ => {
                let message =
                    format!("{} and {} do not go together here", a_ty.name(self.btf), b_ty.name(self.btf));
                self.fail(
                    span,
                    message,
                    Some("cast a pointer to compute with it: (unsigned long)p".to_owned()),
                )
            }
        }
    }
}

/// `gfp_t`.
const GFP: Ty = Ty::Int { bytes: 4, signed: false };

pub(super) const fn value_of(ty: Ty, value: Ir) -> Typed {
    Typed::value(ty, value)
}

/// Whether it is spelt as constants are.
fn is_constant(name: &str) -> bool {
    name.contains(|letter: char| letter.is_ascii_uppercase())
}
