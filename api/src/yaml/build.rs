//! From the parser's events to nodes.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Tag};

use super::{
    Budget, MAX_DEPTH, MAX_NODES, MAX_TEXT_BYTES, YamlDocument,
    node::{CoreTag, Node, Scalar, Style, Value},
    open::{Content, Key, Open},
    quoted,
    syntax::{Offsets, hint, syntax_error},
    text_map::properties,
};
use crate::{Code, Diagnostic, Span};

/// Reads the documents of `text`, which begins at the byte `base` of its file.
pub(super) fn documents(text: &str, base: usize, budget: &mut Budget) -> Vec<YamlDocument> {
    let offsets = Offsets::new(text, base);
    let mut parser = Parser::new_from_str(text);
    let mut builder = Builder { budget, documents: Vec::new(), open: None };
    while let Some(event) = parser.next_event() {
        let step = match event {
            Ok((event, span)) => {
                let span = offsets.span(span);
                let span = if is_quoted(&event) { up_to_the_quote(text, base, span) } else { span };
                builder.event(event, span)
            }
            Err(error) => Err(syntax_error(&error, text, &offsets)),
        };
        if let Err(fatal) = step {
            builder.break_off(fatal, Span { start: base, end: base + text.len() });
            break;
        }
    }
    for document in &mut builder.documents {
        document.fatal.iter_mut().chain(&mut document.problems).for_each(|found| hint(found, text, base));
    }
    builder.documents
}

const fn is_quoted(event: &Event<'_>) -> bool {
    matches!(event, Event::Scalar(_, ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted, ..))
}

/// The parser takes white space and comments behind a closing quote for part of the scalar.
fn up_to_the_quote(text: &str, base: usize, span: Span) -> Span {
    let written = text.get(span.start - base..span.end - base).unwrap_or_default();
    let open = properties(written.as_bytes());
    let mut rest = written.char_indices().skip_while(|(at, _)| *at < open);
    let Some((_, quote)) = rest.next() else { return span };
    let mut end = None;
    while let Some((at, c)) = rest.next() {
        if c == '\\' && quote == '"' {
            rest.next();
        } else if c == quote {
            // In single quotes, two of them are one of the text's.
            if quote == '\'' && written[at + 1..].starts_with(quote) {
                rest.next();
                continue;
            }
            end = Some(at + 1);
            break;
        }
    }
    Span { end: end.map_or(span.end, |end| span.start + end), ..span }
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
        let node = self.open.as_ref().and_then(|open| open.anchors.get(&anchor)).cloned();
        let Some(node) = node.map(|node| Node { span, ..node }) else {
            let message = "an alias cannot stand inside the value that its anchor names";
            return Err(Diagnostic::error(Code::YamlSyntax, span, message));
        };
        self.check_depth(node.depth(), span)?;
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
        parent.content.add(node, place, &mut open.problems);
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
        let (nodes, text_bytes) = node.size();
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
                // The rest of the file is not read either: each of its documents would be allowed as much again.
                self.budget.exhausted = true;
                let what = if nodes_left.is_none() {
                    format!("{MAX_NODES} nodes")
                } else {
                    format!("{MAX_TEXT_BYTES} bytes of text")
                };
                let message = format!("the file comes to more than {what}, aliases written out");
                Err(Diagnostic::error(Code::LimitExceeded, span, message)
                    .help("split the file, or use fewer aliases"))
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
        if fatal.is_none() && root.as_ref().is_none_or(Node::is_empty_document) {
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
