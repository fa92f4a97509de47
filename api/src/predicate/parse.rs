//! From words to an expression, by precedence climbing. What is wrong in one operand of `&&` or `||` does not keep the
//! others from being read.

use super::{
    ast::{Binary, Expr, ExprKind, Unary},
    macros::misuse,
    problem::{Problem, Problems},
    token::{Kind, Token},
    type_name::{begins_type, is_integer_alias},
};
use crate::{Span, yaml::quoted};

/// How deep an expression may nest, and with it how deep whatever walks it recurses.
const MAX_DEPTH: usize = 64;

/// An operand could not be read; the reason was told.
pub(super) struct Unread;

pub(super) type Parsed<T> = Result<T, Unread>;

/// Reads tokens in order.
pub(super) struct Parser<'t> {
    text: &'t str,
    tokens: &'t [Token],
    at: usize,
    depth: usize,
    problems: &'t mut Problems,
}

impl<'t> Parser<'t> {
    pub(super) fn new(text: &'t str, tokens: &'t [Token], problems: &'t mut Problems) -> Self {
        Self { text, tokens, at: 0, depth: 0, problems }
    }

    /// The whole text as one expression.
    pub(super) fn whole(&mut self) -> Parsed<Expr> {
        let expr = self.expression();
        if !self.is_end() && expr.is_ok() {
            self.unexpected("an operator or the end");
            return Err(Unread);
        }
        expr
    }

    pub(super) fn expression(&mut self) -> Parsed<Expr> {
        self.nested(Self::conditional)
    }

    fn conditional(&mut self) -> Parsed<Expr> {
        let condition = self.binary(0)?;
        if !self.takes("?") {
            return self.no_assignment(condition);
        }
        let then = self.expression()?;
        self.expect(":")?;
        let otherwise = self.expression()?;
        let span = Span { start: condition.span.start, end: otherwise.span.end };
        let parts = (Box::new(condition), Box::new(then), Box::new(otherwise));
        Ok(Expr { kind: ExprKind::Conditional(parts.0, parts.1, parts.2), span })
    }

    /// A predicate changes nothing, so what would is told by its own words.
    fn no_assignment(&mut self, expr: Expr) -> Parsed<Expr> {
        let span = self.peek().span;
        match self.peek().kind {
            Kind::Symbol("=") => self.fail(span, "a predicate changes nothing", "to compare, write =="),
            Kind::Symbol(
                "+=" | "-=" | "*=" | "/=" | "%=" | "&=" | "|=" | "^=" | "<<=" | ">>=" | "++" | "--",
            ) => self.fail(span, "a predicate changes nothing", "compute the value without storing it"),
            _ => Ok(expr),
        }
    }

    /// Operators that bind at least as tightly as `least`.
    fn binary(&mut self, least: u8) -> Parsed<Expr> {
        let mut left = self.unary();
        if left.is_err() {
            self.skip_operand();
        }
        loop {
            let Some((op, strength)) = self.operator().filter(|(_, strength)| *strength >= least) else {
                return left;
            };
            if left.is_err() && !matches!(op, Binary::And | Binary::Or) {
                return left;
            }
            self.at += 1;
            let right = self.binary(strength + 1);
            left = match (left, right) {
                (Ok(left), Ok(right)) => {
                    let span = Span { start: left.span.start, end: right.span.end };
                    Ok(Expr { kind: ExprKind::Binary(op, Box::new(left), Box::new(right)), span })
                }
                (Err(unread), _) | (_, Err(unread)) => Err(unread),
            };
        }
    }

    fn operator(&self) -> Option<(Binary, u8)> {
        let Kind::Symbol(symbol) = self.peek().kind else { return None };
        Some(match symbol {
            "||" => (Binary::Or, 1),
            "&&" => (Binary::And, 2),
            "|" => (Binary::BitOr, 3),
            "^" => (Binary::BitXor, 4),
            "&" => (Binary::BitAnd, 5),
            "==" => (Binary::Eq, 6),
            "!=" => (Binary::Ne, 6),
            "<" => (Binary::Lt, 7),
            ">" => (Binary::Gt, 7),
            "<=" => (Binary::Le, 7),
            ">=" => (Binary::Ge, 7),
            "<<" => (Binary::Shl, 8),
            ">>" => (Binary::Shr, 8),
            "+" => (Binary::Add, 9),
            "-" => (Binary::Sub, 9),
            "*" => (Binary::Mul, 10),
            "/" => (Binary::Div, 10),
            "%" => (Binary::Rem, 10),
            _ => return None,
        })
    }

    fn unary(&mut self) -> Parsed<Expr> {
        let token = self.peek().clone();
        let operator = match &token.kind {
            Kind::Symbol("!") => Unary::Not,
            Kind::Symbol("~") => Unary::Complement,
            Kind::Symbol("-") => Unary::Negate,
            Kind::Symbol("+") => Unary::Plus,
            Kind::Symbol("*") => Unary::Dereference,
            Kind::Symbol("&") => Unary::AddressOf,
            Kind::Symbol("++" | "--") => {
                return self.fail(token.span, "a predicate changes nothing", "write + 1 or - 1");
            }
            Kind::Symbol("(") if self.begins_cast() => return self.cast(token.span.start),
            Kind::Word(word) if word == "sizeof" => return self.size_of(token.span.start),
            _ => return self.postfix(),
        };
        self.at += 1;
        let operand = self.nested(Self::unary)?;
        let span = Span { start: token.span.start, end: operand.span.end };
        Ok(Expr { kind: ExprKind::Unary(operator, Box::new(operand)), span })
    }

    /// Runs `read` one level deeper.
    fn nested(&mut self, read: impl FnOnce(&mut Self) -> Parsed<Expr>) -> Parsed<Expr> {
        self.depth += 1;
        let expr = if self.depth > MAX_DEPTH {
            let message = format!("the expression nests deeper than {MAX_DEPTH} levels");
            self.fail(self.peek().span, message, "write it flatter")
        } else {
            read(self)
        };
        self.depth -= 1;
        expr
    }

    /// Whether a bracket opens a type. A lone name may be a typedef or a value: only what follows tells.
    fn begins_cast(&self) -> bool {
        let inside = self.tokens.get(self.at + 1..).unwrap_or_default();
        let [Token { kind: Kind::Word(word), .. }, then, ..] = inside else { return false };
        if begins_type(word) {
            return true;
        }
        let after = |nth: usize| inside.get(nth).map(|token| &token.kind);
        match &then.kind {
            // (name *)x, (name **)x
            Kind::Symbol("*") => {
                let stars = inside[1..].iter().take_while(|token| token.kind == Kind::Symbol("*")).count();
                after(1 + stars) == Some(&Kind::Symbol(")"))
            }
            Kind::Symbol(")") => match after(2) {
                Some(Kind::Word(_) | Kind::Number { .. } | Kind::Character(_)) => true,
                Some(Kind::Symbol("(" | "~" | "!")) => true,
                Some(Kind::Symbol("-" | "+" | "*" | "&")) => is_integer_alias(word),
                _ => false,
            },
            _ => false,
        }
    }

    fn cast(&mut self, start: usize) -> Parsed<Expr> {
        self.at += 1;
        let to = self.type_name()?;
        self.expect(")")?;
        let operand = self.nested(Self::unary)?;
        let span = Span { start, end: operand.span.end };
        Ok(Expr { kind: ExprKind::Cast(to, Box::new(operand)), span })
    }

    fn size_of(&mut self, start: usize) -> Parsed<Expr> {
        self.at += 1;
        if self.peek().kind == Kind::Symbol("(") && self.names_type() {
            self.at += 1;
            let of = self.type_name()?;
            let end = self.expect(")")?.end;
            return Ok(Expr { kind: ExprKind::SizeOfType(of), span: Span { start, end } });
        }
        let operand = self.nested(Self::unary)?;
        let span = Span { start, end: operand.span.end };
        Ok(Expr { kind: ExprKind::SizeOf(Box::new(operand)), span })
    }

    /// Whether a bracket behind `sizeof` opens a type. A lone name may be an alias, which only a kernel's types tell;
    /// with a star and nothing behind it, it can be nothing else.
    fn names_type(&self) -> bool {
        let inside = self.tokens.get(self.at + 1..).unwrap_or_default();
        let Some(Token { kind: Kind::Word(word), .. }) = inside.first() else { return false };
        let stars = inside[1..].iter().take_while(|token| token.kind == Kind::Symbol("*")).count();
        let closes = inside.get(1 + stars).is_some_and(|token| token.kind == Kind::Symbol(")"));
        begins_type(word) || is_integer_alias(word) || (stars > 0 && closes)
    }

    fn postfix(&mut self) -> Parsed<Expr> {
        let mut expr = self.primary()?;
        loop {
            let arrow = match self.peek().kind {
                Kind::Symbol("[") => {
                    self.at += 1;
                    let index = self.expression()?;
                    let end = self.expect("]")?.end;
                    let span = Span { start: expr.span.start, end };
                    expr = Expr { kind: ExprKind::Index(Box::new(expr), Box::new(index)), span };
                    continue;
                }
                Kind::Symbol("->") => true,
                Kind::Symbol(".") => false,
                _ => return Ok(expr),
            };
            self.at += 1;
            let Token { kind: Kind::Word(name), span: at } = self.peek().clone() else {
                self.unexpected("the name of a member");
                return Err(Unread);
            };
            self.at += 1;
            let span = Span { start: expr.span.start, end: at.end };
            expr = Expr { kind: ExprKind::Member { of: Box::new(expr), arrow, name, at }, span };
        }
    }

    fn primary(&mut self) -> Parsed<Expr> {
        let Token { kind, span } = self.peek().clone();
        let kind = match kind {
            Kind::Number { value, unsigned, long } => {
                let (unsigned, long) =
                    (unsigned || value > i64::MAX as u64, long || value > u64::from(u32::MAX));
                ExprKind::Number { value, unsigned, long }
            }
            Kind::Character(byte) => ExprKind::Character(byte),
            Kind::Text(_) => {
                self.at += 1;
                let help = "compare it with STRCMP(pointer, \"text\") or STRNCMP(pointer, \"text\", length)";
                return self.fail(span, "a text is no value", help);
            }
            Kind::Word(name)
                if self.tokens.get(self.at + 1).is_some_and(|next| next.kind == Kind::Symbol("(")) =>
            {
                return self.call(name, span);
            }
            Kind::Word(name) => ExprKind::Name(name),
            Kind::Symbol("(") => return self.bracketed(span.start),
            Kind::Broken => {
                self.at += 1;
                return Err(Unread);
            }
            Kind::Symbol(_) | Kind::End => {
                self.unexpected("a value");
                return Err(Unread);
            }
        };
        self.at += 1;
        Ok(Expr { kind, span })
    }

    fn bracketed(&mut self, start: usize) -> Parsed<Expr> {
        self.at += 1;
        if self.peek().kind == Kind::Symbol("{") {
            return self.statements(start);
        }
        let inner = self.expression();
        if inner.is_err() {
            self.skip_to_closing();
        }
        let end = self.expect(")");
        // What was inside keeps its own place; the brackets only show where it ends.
        Ok(Expr { span: Span { start, end: end?.end }, ..inner? })
    }

    /// GNU's statements in an expression: refused, with the way to write them.
    fn statements(&mut self, start: usize) -> Parsed<Expr> {
        let mut open = 0_usize;
        loop {
            match self.peek().kind {
                Kind::Symbol("{" | "(") => open += 1,
                Kind::Symbol("}" | ")") if open == 0 => break,
                Kind::Symbol("}" | ")") => open -= 1,
                Kind::End => break,
                _ => {}
            }
            self.at += 1;
        }
        let end = self.peek().span.end;
        let closes = self.takes(")");
        let help = "a predicate is one expression: put what each variable stands for in its place, as in \
                    `((struct hd_struct *)p)->start == 0` for `({struct hd_struct *q = p; q->start == 0;})`";
        let span = Span { start, end: if closes { end } else { self.text.len() } };
        self.fail(span, "statements inside an expression", help)
    }

    fn call(&mut self, name: String, at: Span) -> Parsed<Expr> {
        self.at += 2;
        let takes_text = matches!(name.as_str(), "STRCMP" | "STRNCMP");
        let mut arguments = Vec::new();
        if self.peek().kind != Kind::Symbol(")") {
            loop {
                let argument =
                    if takes_text && arguments.len() == 1 { self.text_argument() } else { self.expression() };
                if argument.is_err() {
                    self.skip_to_closing();
                    let _ = self.expect(")");
                    return Err(Unread);
                }
                arguments.extend(argument.ok());
                if !self.takes(",") {
                    break;
                }
            }
        }
        let span = Span { start: at.start, end: self.expect(")")?.end };
        if let Some(problem) = misuse(&name, at, arguments.len(), span) {
            self.problems.add(problem);
        }
        Ok(Expr { kind: ExprKind::Call { name, at, arguments }, span })
    }

    /// The text to compare with: quoted, or everything up to the next comma or bracket, as inject.py takes it.
    fn text_argument(&mut self) -> Parsed<Expr> {
        let first = self.peek().clone();
        let quoted = match first.kind {
            Kind::Text(text) => Some(text),
            Kind::Character(byte) => Some(vec![byte]),
            _ => None,
        };
        if let Some(text) = quoted {
            self.at += 1;
            return Ok(Expr { kind: ExprKind::Text(text), span: first.span });
        }
        while !matches!(self.peek().kind, Kind::Symbol("," | ")") | Kind::End) {
            self.at += 1;
        }
        let span = Span { start: first.span.start, end: self.last_end(first.span.start) };
        let text = self.text.get(span.start..span.end).unwrap_or_default();
        if text.is_empty() {
            self.unexpected("the text to compare with");
            return Err(Unread);
        }
        Ok(Expr { kind: ExprKind::Text(text.as_bytes().to_vec()), span })
    }

    pub(super) fn peek(&self) -> &'t Token {
        // The last token is the end, and nothing goes beyond it.
        &self.tokens[self.at.min(self.tokens.len() - 1)]
    }

    /// Where the last word that was taken ends, if any was since `start`.
    pub(super) fn last_end(&self, start: usize) -> usize {
        let last = self.at.checked_sub(1).and_then(|last| self.tokens.get(last));
        last.map_or(start, |token| token.span.end.max(start))
    }

    pub(super) fn advance(&mut self) {
        self.at += 1;
    }

    pub(super) fn is_end(&self) -> bool {
        self.peek().kind == Kind::End
    }

    /// Whether all that is left is this word.
    pub(super) fn is_lone(&self, word: &str) -> bool {
        let rest = self.tokens.get(self.at..).unwrap_or_default();
        matches!(rest, [Token { kind: Kind::Word(found), .. }, Token { kind: Kind::End, .. }] if found == word)
    }

    pub(super) fn takes(&mut self, symbol: &str) -> bool {
        let there = matches!(self.peek().kind, Kind::Symbol(found) if found == symbol);
        self.at += usize::from(there);
        there
    }

    pub(super) fn expect(&mut self, symbol: &str) -> Parsed<Span> {
        let span = self.peek().span;
        if self.takes(symbol) {
            return Ok(span);
        }
        self.unexpected(&format!("`{symbol}`"));
        Err(Unread)
    }

    pub(super) fn fail<T>(
        &mut self,
        span: Span,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Parsed<T> {
        self.problems.add(Problem::new(span, message).help(help));
        Err(Unread)
    }

    pub(super) fn unexpected(&mut self, wanted: &str) {
        let token = self.peek();
        // What is broken was told when it was cut.
        if token.kind == Kind::Broken {
            return;
        }
        let found = self.text.get(token.span.start..token.span.end).unwrap_or_default();
        let found = if token.kind == Kind::End { "the text ends here".to_owned() } else { quoted(found) };
        self.problems.add(Problem::new(token.span, format!("{found}, where {wanted} is expected")));
    }

    /// Up to the next operand of `&&` or `||` of this bracket, or its end.
    fn skip_operand(&mut self) {
        self.skip(|symbol| matches!(symbol, "&&" | "||" | ")" | "]" | ","));
    }

    fn skip_to_closing(&mut self) {
        self.skip(|symbol| symbol == ")");
    }

    fn skip(&mut self, ends: impl Fn(&str) -> bool) {
        let mut open = 0_usize;
        while let Some(Token { kind, .. }) = self.tokens.get(self.at).filter(|token| token.kind != Kind::End)
        {
            if let Kind::Symbol(symbol) = kind {
                if open == 0 && ends(symbol) {
                    return;
                }
                match *symbol {
                    "(" | "[" | "{" => open += 1,
                    ")" | "]" | "}" => open = open.saturating_sub(1),
                    _ => {}
                }
            }
            self.at += 1;
        }
    }
}
