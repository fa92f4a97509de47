//! Types by name, and declarations of parameters.

use super::{
    ast::{BaseType, Parameter, TypeName},
    parse::{Parsed, Parser, Unread},
    token::Kind,
};
use crate::Span;

/// Words that say nothing about what a value is.
const QUALIFIERS: [&str; 10] = [
    "const",
    "volatile",
    "restrict",
    "__restrict",
    "__user",
    "__rcu",
    "__iomem",
    "__percpu",
    "__force",
    "register",
];

/// Words of which integer types are made.
const INTEGER_WORDS: [&str; 7] = ["char", "short", "int", "long", "signed", "unsigned", "__signed__"];

/// Typedefs of integers that manifests use; all others are looked up where the predicate is compiled.
const INTEGER_ALIASES: [&str; 37] = [
    "u8",
    "u16",
    "u32",
    "u64",
    "s8",
    "s16",
    "s32",
    "s64",
    "__u8",
    "__u16",
    "__u32",
    "__u64",
    "__s8",
    "__s16",
    "__s32",
    "__s64",
    "uint8_t",
    "uint16_t",
    "uint32_t",
    "uint64_t",
    "int8_t",
    "int16_t",
    "int32_t",
    "int64_t",
    "size_t",
    "ssize_t",
    "loff_t",
    "off_t",
    "sector_t",
    "dev_t",
    "gfp_t",
    "umode_t",
    "pid_t",
    "pgoff_t",
    "ulong",
    "uint",
    "uintptr_t",
];

/// Most stars: what has more is no type of a kernel.
const MAX_POINTERS: u8 = 8;

/// Whether a word can only be the beginning of a type.
pub(super) fn begins_type(word: &str) -> bool {
    matches!(word, "struct" | "union" | "enum" | "void" | "bool" | "_Bool")
        || QUALIFIERS.contains(&word)
        || INTEGER_WORDS.contains(&word)
}

/// Whether a word is a well-known typedef of an integer, so that `(word)-1` is a cast and no subtraction.
pub(super) fn is_integer_alias(word: &str) -> bool {
    INTEGER_ALIASES.contains(&word)
}

impl Parser<'_> {
    /// A type such as `const struct qstr *`.
    pub(super) fn type_name(&mut self) -> Parsed<TypeName> {
        let start = self.peek().span.start;
        let base = self.base_type()?;
        let mut end = self.last_end(start);
        let mut pointers = 0_u8;
        loop {
            if self.takes("*") {
                pointers += 1;
            } else if !self.skips_qualifier() {
                break;
            }
            end = self.last_end(start);
            if pointers > MAX_POINTERS {
                return self.fail(
                    Span { start, end },
                    "a pointer of too many levels",
                    "no kernel function has one",
                );
            }
        }
        Ok(TypeName { base, pointers, span: Span { start, end } })
    }

    fn base_type(&mut self) -> Parsed<BaseType> {
        while self.skips_qualifier() {}
        let Kind::Word(word) = self.peek().kind.clone() else {
            self.unexpected("a type");
            return Err(Unread);
        };
        let base = match word.as_str() {
            "struct" | "union" | "enum" => return self.tagged(&word),
            _ if INTEGER_WORDS.contains(&word.as_str()) => return self.integer(),
            "void" => BaseType::Void,
            "bool" | "_Bool" => BaseType::Bool,
            _ => BaseType::Alias(word),
        };
        self.advance();
        while self.skips_qualifier() {}
        Ok(base)
    }

    fn tagged(&mut self, keyword: &str) -> Parsed<BaseType> {
        self.advance();
        let Kind::Word(name) = self.peek().kind.clone() else {
            self.unexpected(&format!("the name of the {keyword}"));
            return Err(Unread);
        };
        self.advance();
        while self.skips_qualifier() {}
        Ok(match keyword {
            "struct" => BaseType::Struct(name),
            "union" => BaseType::Union(name),
            _ => BaseType::Enum(name),
        })
    }

    /// `unsigned long int`, in any order that C allows.
    fn integer(&mut self) -> Parsed<BaseType> {
        let start = self.peek().span.start;
        let (mut chars, mut shorts, mut ints, mut longs, mut signs, mut unsigned) = (0, 0, 0, 0, 0, false);
        while let Kind::Word(word) = &self.peek().kind {
            match word.as_str() {
                "char" => chars += 1,
                "short" => shorts += 1,
                "int" => ints += 1,
                "long" => longs += 1,
                "signed" | "__signed__" => signs += 1,
                "unsigned" => (signs, unsigned) = (signs + 1, true),
                word if QUALIFIERS.contains(&word) => {}
                _ => break,
            }
            self.advance();
        }
        let bytes = match (chars, shorts, ints, longs) {
            (1, 0, 0, 0) => 1,
            (0, 1, 0 | 1, 0) => 2,
            (0, 0, 0 | 1, 0) => 4,
            (0, 0, 0 | 1, 1 | 2) => 8,
            _ => 0,
        };
        if bytes == 0 || signs > 1 {
            let span = Span { start, end: self.last_end(start) };
            return self.fail(span, "no integer type is called that", "such as int, unsigned long, u32");
        }
        if bytes == 1 && signs == 0 {
            return Ok(BaseType::Char);
        }
        Ok(BaseType::Int { bytes, signed: !unsigned })
    }

    /// Parameters as a frame declares them: `struct dentry *parent, const struct qstr *name`.
    pub(super) fn parameters(&mut self) -> Parsed<Vec<Parameter>> {
        let mut parameters = Vec::new();
        if self.is_lone("void") {
            self.advance();
        }
        if self.is_end() {
            return Ok(parameters);
        }
        loop {
            parameters.push(self.parameter()?);
            if !self.takes(",") {
                break;
            }
        }
        if self.is_end() {
            return Ok(parameters);
        }
        self.unexpected("a comma or the end");
        Err(Unread)
    }

    fn parameter(&mut self) -> Parsed<Parameter> {
        let mut of = self.type_name()?;
        let token = self.peek().clone();
        let (name, at) = match token.kind {
            Kind::Word(name) => {
                self.advance();
                (name, token.span)
            }
            Kind::Symbol("(") => {
                return self.fail(
                    token.span,
                    "a pointer to a function",
                    "declare it as `void *` and its name",
                );
            }
            _ => (String::new(), Span { start: token.span.start, end: token.span.start }),
        };
        if self.takes("[") {
            // As a parameter, an array is a pointer to its first element; its length says nothing.
            if matches!(self.peek().kind, Kind::Number { .. } | Kind::Word(_)) {
                self.advance();
            }
            self.expect("]")?;
            of.pointers = of.pointers.saturating_add(1);
        }
        Ok(Parameter { of, name, at })
    }

    fn skips_qualifier(&mut self) -> bool {
        let is_one = matches!(&self.peek().kind, Kind::Word(word) if QUALIFIERS.contains(&word.as_str()));
        if is_one {
            self.advance();
        }
        is_one
    }
}
