//! The words of a predicate, as C has them.

use super::problem::{Problem, Problems};
use crate::{Span, yaml::quoted};

/// One word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) span: Span,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A name or keyword.
    Word(String),
    /// A number, with what its suffix says.
    Number {
        value: u64,
        unsigned: bool,
        long: bool,
    },
    /// Text in double quotes, or several characters in single ones, escapes resolved.
    Text(Vec<u8>),
    /// One character in single quotes.
    Character(u8),
    /// An operator or bracket; one of [`SYMBOLS`].
    Symbol(&'static str),
    /// Something that was reported already.
    Broken,
    End,
}

/// Longest first, so that the first that fits is the longest.
const SYMBOLS: [&str; 46] = [
    "<<=", ">>=", "...", "->", "++", "--", "<<", ">>", "<=", ">=", "==", "!=", "&&", "||", "+=", "-=", "*=",
    "/=", "%=", "&=", "|=", "^=", "(", ")", "[", "]", "{", "}", ".", ",", ";", "?", ":", "+", "-", "*", "/",
    "%", "&", "|", "^", "~", "!", "<", ">", "=",
];

/// Cuts `text` into words; the last is [`Kind::End`].
pub(super) fn tokens(text: &str, problems: &mut Problems) -> Vec<Token> {
    let mut lexer = Lexer { text, at: 0, problems };
    let mut tokens = Vec::new();
    loop {
        let token = lexer.next();
        let is_end = token.kind == Kind::End;
        tokens.push(token);
        if is_end {
            return tokens;
        }
    }
}

struct Lexer<'t> {
    text: &'t str,
    at: usize,
    problems: &'t mut Problems,
}

impl Lexer<'_> {
    fn next(&mut self) -> Token {
        self.skip_blank();
        let start = self.at;
        let kind = match self.rest().chars().next() {
            None => Kind::End,
            Some(c) if is_word(c) && !c.is_ascii_digit() => self.word(),
            Some(c) if c.is_ascii_digit() => self.number(),
            Some('"') => self.quoted('"'),
            Some('\'') => self.quoted('\''),
            Some(c) => self.symbol(c),
        };
        Token { kind, span: Span { start, end: self.at } }
    }

    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn problem(&mut self, start: usize, message: impl Into<String>, help: impl Into<String>) {
        let span = Span { start, end: self.at };
        self.problems.add(Problem::new(span, message).help(help));
    }

    /// White space and comments.
    fn skip_blank(&mut self) {
        loop {
            let rest = self.rest();
            let blank = rest.len() - rest.trim_start().len();
            self.at += blank;
            let rest = self.rest();
            let start = self.at;
            if rest.starts_with("//") {
                self.at += rest.find('\n').unwrap_or(rest.len());
                // Where lines are folded into one, it would hide all that follows.
                self.problem(start, "a comment to the end of the line", "write it as /* … */");
            } else if rest.starts_with("/*") {
                let end = rest.find("*/");
                self.at += end.map_or(rest.len(), |end| end + 2);
                if end.is_none() {
                    self.problem(start, "a comment without its end", "end it with */");
                }
            } else {
                return;
            }
        }
    }

    fn take_while(&mut self, belongs: impl Fn(char) -> bool) -> String {
        let rest = self.rest();
        let end = rest.find(|c| !belongs(c)).unwrap_or(rest.len());
        let taken = rest[..end].to_owned();
        self.at += end;
        taken
    }

    fn word(&mut self) -> Kind {
        Kind::Word(self.take_while(is_word))
    }

    fn number(&mut self) -> Kind {
        let start = self.at;
        let written = self.take_while(is_word).to_ascii_lowercase();
        if self.rest().starts_with('.') && self.rest()[1..].starts_with(|c: char| c.is_ascii_digit()) {
            self.at += 1;
            self.take_while(is_word);
            self.problem(start, "a fraction", "the kernel computes with whole numbers");
            return Kind::Broken;
        }
        let (digits, radix) = match written.get(..2) {
            Some("0x") => (&written[2..], 16),
            Some("0b") => (&written[2..], 2),
            _ if written.starts_with('0') && written.len() > 1 => (&written[1..], 8),
            _ => (written.as_str(), 10),
        };
        let end = digits.find(|c: char| !c.is_digit(radix)).unwrap_or(digits.len());
        let (digits, suffix) = digits.split_at(end);
        let (unsigned, long) = match suffix {
            "" => (false, false),
            "u" => (true, false),
            "l" | "ll" => (false, true),
            "ul" | "ull" | "lu" | "llu" => (true, true),
            _ => {
                self.problem(
                    start,
                    format!("`{written}` is no number"),
                    "write it as C does: 10, 0x0a, 012, 10UL",
                );
                return Kind::Broken;
            }
        };
        // `0` alone has no digits left behind its prefix, and `0u` has none either.
        let value = if digits.is_empty() && radix == 8 { Ok(0) } else { u64::from_str_radix(digits, radix) };
        match value {
            // As in C: a constant that only its type without a sign holds has that type, unless it is decimal.
            Ok(value @ 0x8000_0000..=0xffff_ffff) if radix != 10 && !long => {
                Kind::Number { value, unsigned: true, long }
            }
            Ok(value) => Kind::Number { value, unsigned, long },
            Err(_) if digits.is_empty() => {
                self.problem(start, format!("`{written}` has no digits"), "write it as C does: 0x0a");
                Kind::Broken
            }
            Err(_) => {
                self.problem(
                    start,
                    format!("`{written}` does not fit into 64 bits"),
                    "the largest is 0xffffffffffffffff",
                );
                Kind::Broken
            }
        }
    }

    fn quoted(&mut self, quote: char) -> Kind {
        let start = self.at;
        self.at += 1;
        let mut bytes = Vec::new();
        loop {
            let Some(c) = self.rest().chars().next() else {
                let message = format!("the closing {quote} is missing");
                self.problem(start, message, "a text ends where it began");
                return Kind::Broken;
            };
            self.at += c.len_utf8();
            match c {
                _ if c == quote => break,
                '\\' => bytes.extend(self.escape()),
                c => bytes.extend(c.encode_utf8(&mut [0; 4]).bytes()),
            }
        }
        match (quote, bytes.as_slice()) {
            ('\'', [byte]) => Kind::Character(*byte),
            _ => Kind::Text(bytes),
        }
    }

    /// What a backslash, which was taken, and the characters behind it stand for.
    fn escape(&mut self) -> Option<u8> {
        let start = self.at - 1;
        let c = self.rest().chars().next()?;
        self.at += c.len_utf8();
        let byte = match c {
            'n' => b'\n',
            't' => b'\t',
            'r' => b'\r',
            'a' => 7,
            'b' => 8,
            'f' => 12,
            'v' => 11,
            '\\' | '\'' | '"' | '?' => c as u8,
            'x' => return self.coded(start, 16, ""),
            '0'..='7' => return self.coded(start, 8, c.encode_utf8(&mut [0; 4])),
            _ => {
                self.problem(start, format!("`\\{c}` is no escape"), "write a backslash as \\\\");
                return None;
            }
        };
        Some(byte)
    }

    /// A byte by its number, of which `first` was taken already.
    fn coded(&mut self, start: usize, radix: u32, first: &str) -> Option<u8> {
        let most = if radix == 8 { 2 } else { usize::MAX };
        let rest = self.rest();
        let digits: String = rest.chars().take_while(|c| c.is_digit(radix)).take(most).collect();
        self.at += digits.len();
        let byte = u8::from_str_radix(&format!("{first}{digits}"), radix).ok();
        if byte.is_none() {
            self.problem(start, "an escape that is no byte", "bytes are \\x00 to \\xff, or \\0 to \\377");
        }
        byte
    }

    fn symbol(&mut self, c: char) -> Kind {
        if let Some(symbol) = SYMBOLS.iter().find(|symbol| self.rest().starts_with(**symbol)) {
            self.at += symbol.len();
            return Kind::Symbol(symbol);
        }
        let start = self.at;
        self.at += c.len_utf8();
        self.problem(
            start,
            format!("{} has no meaning here", quoted(c.encode_utf8(&mut [0; 4]))),
            "a predicate is an expression of C",
        );
        Kind::Broken
    }
}

/// Whether a word of C goes on with it.
const fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}
