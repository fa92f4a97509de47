//! From the parser's events to nodes.

use std::{
    collections::{HashMap, hash_map::Entry as Slot},
    sync::Arc,
};

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Tag};

use super::{
    Budget, MAX_DEPTH, MAX_NODES, MAX_TEXT_BYTES, YamlDocument,
    node::{CoreTag, Entry, Node, Scalar, Style, Value},
    quoted,
};
use crate::{Code, Diagnostic, Span};

/// Reads the documents of `text`, which begins at the byte `base` of its file.
pub(super) fn documents(text: &str, base: usize, budget: &mut Budget) -> Vec<YamlDocument> {
    let offsets = Offsets::new(text, base);
    let mut parser = Parser::new_from_str(text);
    let mut builder = Builder { budget, documents: Vec::new(), open: None };
    while let Some(event) = parser.next_event() {
        let step = match event {
            Ok((event, span)) => builder.event(event, offsets.span(span)),
            Err(error) => Err(syntax_error(&error, text, &offsets)),
        };
        if let Err(fatal) = step {
            builder.break_off(fatal, Span { start: base, end: base + text.len() });
            break;
        }
    }
    builder.documents
}

/// Byte offsets of characters: the parser counts characters.
struct Offsets {
    base: usize,
    length: usize,
    /// Offset of each character; empty where every character is one byte.
    of_chars: Vec<usize>,
}

impl Offsets {
    fn new(text: &str, base: usize) -> Self {
        let of_chars =
            if text.is_ascii() { Vec::new() } else { text.char_indices().map(|(at, _)| at).collect() };
        Self { base, length: text.len(), of_chars }
    }

    fn at(&self, char_index: usize) -> usize {
        let ascii = self.of_chars.is_empty().then_some(char_index.min(self.length));
        self.base + ascii.or_else(|| self.of_chars.get(char_index).copied()).unwrap_or(self.length)
    }

    fn span(&self, span: saphyr_parser::Span) -> Span {
        let start = self.at(span.start.index());
        Span { start, end: self.at(span.end.index()).max(start) }
    }
}

/// The parser's complaint, at one character, with what usually causes it.
fn syntax_error(error: &ScanError, text: &str, offsets: &Offsets) -> Diagnostic {
    let start = offsets.at(error.marker().index());
    let within = start - offsets.base;
    let end = start + text[within..].chars().next().map_or(0, char::len_utf8);
    let line_start = text[..within].rfind(['\n', '\r']).map_or(0, |at| at + 1);
    let diagnostic =
        Diagnostic::error(Code::YamlSyntax, Span { start, end }, format!("not YAML: {}", error.info()));
    let line = text[line_start..].lines().next().unwrap_or_default();
    let indentation = &line[..line.len() - line.trim_start_matches([' ', '\t']).len()];
    if indentation.contains('\t') {
        diagnostic.help("indent with spaces: YAML does not allow tabs there")
    } else if error.info().contains("quoted scalar") {
        diagnostic.help("is the quote closed before the document ends?")
    } else if line.contains("{{") {
        diagnostic.help("this looks like a template: render it first")
    } else {
        diagnostic
    }
}

struct Builder<'b> {
    budget: &'b mut Budget,
    documents: Vec<YamlDocument>,
    open: Option<OpenDocument>,
}

#[derive(Default)]
struct OpenDocument {
    stack: Vec<Open>,
    root: Option<Node>,
    anchors: HashMap<usize, Node>,
    problems: Vec<Diagnostic>,
}

/// A sequence or mapping that has begun.
struct Open {
    start: Span,
    /// Behind the last thing in it.
    end: usize,
    anchor: usize,
    content: Content,
}

enum Content {
    Sequence(Vec<Node>),
    Mapping { entries: Vec<Entry>, seen: HashMap<Arc<str>, Span>, key: Key },
}

/// What came of the key of the mapping's next value.
enum Key {
    /// It comes next.
    Awaited,
    /// This one.
    Is(Arc<str>, Span),
    /// It is unusable, and so is its value.
    Unusable,
}

impl Builder<'_> {
    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), Diagnostic> {
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd => Ok(()),
            Event::DocumentStart(_) => {
                self.open = Some(OpenDocument::default());
                Ok(())
            }
            Event::DocumentEnd => {
                self.finish(None, span);
                Ok(())
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.scalar(&text, style, anchor, tag.as_deref(), span)
            }
            Event::Alias(anchor) => self.alias(anchor, span),
            Event::SequenceStart(anchor, tag) => {
                self.begin(Content::Sequence(Vec::new()), anchor, tag.as_deref(), "seq", span)
            }
            Event::MappingStart(anchor, tag) => {
                let content =
                    Content::Mapping { entries: Vec::new(), seen: HashMap::new(), key: Key::Awaited };
                self.begin(content, anchor, tag.as_deref(), "map", span)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(span),
        }
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<&Tag>,
        span: Span,
    ) -> Result<(), Diagnostic> {
        self.spend(1, text.len(), span)?;
        let style = match style {
            ScalarStyle::Plain => Style::Plain,
            ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => Style::Quoted,
            ScalarStyle::Literal | ScalarStyle::Folded => Style::Block,
        };
        let tag = tag.and_then(|tag| self.scalar_tag(tag, span));
        let node = Node { span, value: Value::Scalar(Scalar { text: text.into(), style, tag }) };
        self.anchor(anchor, &node)?;
        self.add(node, span);
        Ok(())
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Result<(), Diagnostic> {
        let Some(node) = self.open.as_ref().and_then(|open| open.anchors.get(&anchor)).cloned() else {
            let message = "an alias cannot stand inside the value that its anchor names";
            return Err(Diagnostic::error(Code::YamlSyntax, span, message));
        };
        self.check_depth(depth(&node), span)?;
        self.spend_copy(&node, span)?;
        self.add(node, span);
        Ok(())
    }

    fn begin(
        &mut self,
        content: Content,
        anchor: usize,
        tag: Option<&Tag>,
        own_tag: &str,
        span: Span,
    ) -> Result<(), Diagnostic> {
        if let Some(tag) = tag
            && !(tag.is_yaml_core_schema() && tag.suffix == own_tag)
        {
            self.unsupported_tag(tag, span);
        }
        self.spend(1, 0, span)?;
        self.check_depth(1, span)?;
        if let Some(open) = &mut self.open {
            open.stack.push(Open { start: span, end: span.end, anchor, content });
        }
        Ok(())
    }

    fn end(&mut self, span: Span) -> Result<(), Diagnostic> {
        let Some(closed) = self.open.as_mut().and_then(|open| open.stack.pop()) else { return Ok(()) };
        // A closing bracket has a width; the end of a block is wherever the next thing begins.
        let end = if span.start < span.end { span.end } else { closed.end };
        let whole = Span { start: closed.start.start, end };
        let node = Node { span: whole, value: closed.content.into_value() };
        let anchored = self.anchor(closed.anchor, &node);
        self.add(node, whole);
        anchored
    }

    /// Puts a complete node, written at `place`, where it belongs.
    fn add(&mut self, node: Node, place: Span) {
        let Some(open) = &mut self.open else { return };
        let Some(parent) = open.stack.last_mut() else {
            open.root = Some(node);
            return;
        };
        parent.end = parent.end.max(place.end);
        match &mut parent.content {
            Content::Sequence(items) => items.push(node),
            Content::Mapping { entries, seen, key } => match std::mem::replace(key, Key::Awaited) {
                Key::Awaited => *key = read_key(&node, place, seen, &mut open.problems),
                Key::Is(text, key_span) => entries.push(Entry { key: text, key_span, value: node }),
                Key::Unusable => {}
            },
        }
    }

    /// Keeps a copy of what an anchor names, at the price of a use: anchors nest, and copies of copies add up.
    fn anchor(&mut self, anchor: usize, node: &Node) -> Result<(), Diagnostic> {
        if anchor > 0 {
            self.spend_copy(node, node.span)?;
            if let Some(open) = &mut self.open {
                open.anchors.insert(anchor, node.clone());
            }
        }
        Ok(())
    }

    fn spend_copy(&mut self, node: &Node, span: Span) -> Result<(), Diagnostic> {
        let (nodes, text_bytes) = size(node);
        self.spend(nodes, text_bytes, span)
    }

    fn scalar_tag(&mut self, tag: &Tag, span: Span) -> Option<CoreTag> {
        match (tag.is_yaml_core_schema(), tag.handle.as_str(), tag.suffix.as_str()) {
            (true, _, "str") | (false, "" | "!", "" | "!") => Some(CoreTag::Str),
            (true, _, "int" | "float" | "bool" | "null") => Some(CoreTag::Plain),
            _ => {
                self.unsupported_tag(tag, span);
                None
            }
        }
    }

    fn unsupported_tag(&mut self, tag: &Tag, span: Span) {
        let Some(open) = &mut self.open else { return };
        let name = if tag.is_yaml_core_schema() { format!("!!{}", tag.suffix) } else { tag.to_string() };
        let message = format!("the tag {} has no meaning here", quoted(&name));
        open.problems.push(Diagnostic::error(Code::UnsupportedYaml, span, message).help("remove the tag"));
    }

    fn check_depth(&self, more: usize, span: Span) -> Result<(), Diagnostic> {
        if self.open.as_ref().map_or(0, |open| open.stack.len()) + more <= MAX_DEPTH {
            return Ok(());
        }
        let message = format!("nested deeper than {MAX_DEPTH} levels");
        Err(Diagnostic::error(Code::LimitExceeded, span, message))
    }

    fn spend(&mut self, nodes: usize, text_bytes: usize, span: Span) -> Result<(), Diagnostic> {
        match (self.budget.nodes.checked_sub(nodes), self.budget.text_bytes.checked_sub(text_bytes)) {
            (Some(nodes), Some(text_bytes)) => {
                (self.budget.nodes, self.budget.text_bytes) = (nodes, text_bytes);
                Ok(())
            }
            (nodes_left, _) => {
                // The rest of the file is not read either: its documents would each be allowed as much again.
                self.budget.exhausted = true;
                let what = if nodes_left.is_none() {
                    format!("{MAX_NODES} nodes")
                } else {
                    format!("{MAX_TEXT_BYTES} bytes of text")
                };
                let message = format!("the file comes to more than {what}, aliases written out");
                Err(Diagnostic::error(Code::LimitExceeded, span, message)
                    .help("nothing of the file is read from here on: split it, or use fewer aliases"))
            }
        }
    }

    /// Ends the open document; without one, a fatal finding makes one of its own.
    fn finish(&mut self, fatal: Option<Diagnostic>, place: Span) {
        let open = self.open.take();
        let Some(OpenDocument { root, problems, .. }) =
            open.or_else(|| fatal.is_some().then(OpenDocument::default))
        else {
            return;
        };
        if fatal.is_none() && root.as_ref().is_none_or(is_empty) {
            return;
        }
        let span = root.as_ref().map_or(place, |root| root.span);
        self.documents.push(YamlDocument { span, root, fatal, problems });
    }

    /// Closes everything that is open: what was read so far is all there will be of this document.
    fn break_off(&mut self, fatal: Diagnostic, place: Span) {
        while self.open.as_ref().is_some_and(|open| !open.stack.is_empty()) {
            let end =
                self.open.as_ref().and_then(|open| open.stack.last()).map_or(place.end, |open| open.end);
            // Running out of budget again changes nothing: reading has ended.
            let _ = self.end(Span { start: end, end });
        }
        self.finish(Some(fatal), place);
    }
}

impl Content {
    fn into_value(self) -> Value {
        match self {
            Self::Sequence(items) => Value::Sequence(items),
            Self::Mapping { entries, .. } => Value::Mapping(entries),
        }
    }
}

/// What a key comes to, and what is wrong with it.
fn read_key(
    node: &Node,
    place: Span,
    seen: &mut HashMap<Arc<str>, Span>,
    problems: &mut Vec<Diagnostic>,
) -> Key {
    let Value::Scalar(scalar) = &node.value else {
        let message = "a key must be a single value";
        problems.push(Diagnostic::error(Code::UnsupportedYaml, node.span, message));
        return Key::Unusable;
    };
    if &*scalar.text == "<<" && scalar.style == Style::Plain {
        let message = "merge keys are not supported";
        let help = "write the fields out: what an experiment hits should stand where it is reviewed";
        problems.push(Diagnostic::error(Code::UnsupportedYaml, place, message).help(help));
        return Key::Unusable;
    }
    match seen.entry(scalar.text.clone()) {
        Slot::Occupied(first) => {
            let message = format!("the key {} is there twice", quoted(&scalar.text));
            let diagnostic =
                Diagnostic::error(Code::DuplicateKey, place, message).also(*first.get(), "first here");
            problems.push(diagnostic);
            Key::Unusable
        }
        Slot::Vacant(slot) => {
            slot.insert(place);
            Key::Is(scalar.text.clone(), place)
        }
    }
}

/// Levels of nesting in a node; 0 for a scalar.
fn depth(node: &Node) -> usize {
    match &node.value {
        Value::Scalar(_) => 0,
        Value::Sequence(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Mapping(entries) => 1 + entries.iter().map(|entry| depth(&entry.value)).max().unwrap_or(0),
    }
}

/// Nodes and bytes of text in a node.
fn size(node: &Node) -> (usize, usize) {
    let sum = |sizes: &mut dyn Iterator<Item = (usize, usize)>| {
        sizes.fold((1, 0), |(nodes, bytes), (n, b)| (nodes + n, bytes + b))
    };
    match &node.value {
        Value::Scalar(scalar) => (1, scalar.text.len()),
        Value::Sequence(items) => sum(&mut items.iter().map(size)),
        Value::Mapping(entries) => sum(&mut entries.iter().map(|entry| {
            let (nodes, bytes) = size(&entry.value);
            (nodes + 1, bytes + entry.key.len())
        })),
    }
}

/// Whether a document is nothing but its marker.
fn is_empty(root: &Node) -> bool {
    matches!(&root.value, Value::Scalar(scalar) if scalar.text.is_empty() && scalar.style == Style::Plain)
}
