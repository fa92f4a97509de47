//! Finding where the header's sections and each type start.

use std::sync::Arc;

use super::{Btf, BtfError, Kind, Record};

const MAGIC: u16 = 0xeb9f;
const VERSION: u8 = 1;
/// Bytes of a type before its variable part.
const FIXED: usize = 12;

impl Btf {
    /// Takes in the bytes of `/sys/kernel/btf/vmlinux` or of a BTF file.
    ///
    /// # Errors
    /// Bytes that are no BTF, or whose types cannot be told apart.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, BtfError> {
        Self::on(None, bytes)
    }

    /// Takes in the bytes of `/sys/kernel/btf/<module>`, whose types refer to those of its kernel.
    ///
    /// # Errors
    /// As [`parse`](Self::parse); also bytes that cannot be on top of `base`.
    pub fn parse_split(bytes: Vec<u8>, base: Arc<Self>) -> Result<Self, BtfError> {
        let split = Self::on(Some(base), bytes)?;
        if split.own_records().all(|(_, record)| split.is_start(record.name)) {
            Ok(split)
        } else {
            Err(BtfError::Base)
        }
    }

    fn on(base: Option<Arc<Self>>, bytes: Vec<u8>) -> Result<Self, BtfError> {
        let magic = half(&bytes, 0).ok_or(BtfError::Magic)?;
        if magic != MAGIC {
            return Err(BtfError::Magic);
        }
        match bytes.get(2) {
            Some(&VERSION) => {}
            Some(&version) => return Err(BtfError::Version(version)),
            None => return Err(BtfError::Magic),
        }
        let header = index(&bytes, 4).ok_or(BtfError::Section)?;
        let types = section(&bytes, header, 8)?;
        let strings = section(&bytes, header, 16)?;
        let tells_signs = base.as_ref().is_some_and(|base| base.tells_signs);
        let mut btf = Self { base, bytes, strings, starts: Vec::new(), tells_signs };
        btf.starts = btf.scan(types)?;
        let tells = |record: Record<'_>| matches!(record.kind, Kind::Enum | Kind::Enum64) && record.flag;
        let tells_signs = btf.own_records().any(|(_, record)| tells(record));
        btf.tells_signs |= tells_signs;
        Ok(btf)
    }

    fn scan(&self, types: std::ops::Range<usize>) -> Result<Vec<usize>, BtfError> {
        let mut starts = Vec::with_capacity(types.len() / 24);
        let mut at = types.start;
        while at < types.end {
            let id = u32::try_from(self.inherited() + starts.len() + 1).unwrap_or(u32::MAX);
            let truncated = BtfError::Truncated { id };
            let info = word(&self.bytes, at + 4).ok_or(truncated.clone())?;
            let kind = info >> 24 & 0x1f;
            let tail = tail_size(kind, (info & 0xffff) as usize).ok_or(BtfError::UnknownKind { id, kind })?;
            starts.push(at);
            at += FIXED + tail;
            if at > types.end {
                return Err(truncated);
            }
        }
        Ok(starts)
    }

    /// How many types are the base's.
    pub(super) fn inherited(&self) -> usize {
        self.base.as_ref().map_or(0, |base| base.len())
    }

    pub(super) fn record(&self, id: u32) -> Option<Record<'_>> {
        let nth = usize::try_from(id.checked_sub(1)?).ok()?;
        let Some(nth) = nth.checked_sub(self.inherited()) else { return self.base.as_ref()?.record(id) };
        let at = *self.starts.get(nth)?;
        let info = word(&self.bytes, at + 4)?;
        Some(Record {
            name: word(&self.bytes, at)?,
            kind: kind(info >> 24 & 0x1f),
            count: (info & 0xffff) as usize,
            flag: info >> 31 == 1,
            size_or_type: word(&self.bytes, at + 8)?,
            tail: self.bytes.get(at + FIXED..)?,
        })
    }

    /// A name; empty for anonymous types. Absent where it is no valid string.
    pub(super) fn string(&self, offset: u32) -> Option<&str> {
        let rest = self.text_at(offset)?;
        let end = rest.iter().position(|byte| *byte == 0)?;
        std::str::from_utf8(rest.get(..end)?).ok()
    }

    /// Compares without looking for the end first.
    pub(super) fn is_named(&self, offset: u32, name: &str) -> bool {
        let Some(rest) = self.text_at(offset) else { return false };
        rest.starts_with(name.as_bytes()) && rest.get(name.len()) == Some(&0)
    }

    /// The bytes from there to the end of the section: the base's, or behind those the own ones.
    fn text_at(&self, offset: u32) -> Option<&[u8]> {
        let at = usize::try_from(offset).ok()?;
        let Some(own) = at.checked_sub(self.inherited_text()) else {
            return self.base.as_ref()?.text_at(offset);
        };
        self.bytes.get(self.strings.clone())?.get(own..)
    }

    fn inherited_text(&self) -> usize {
        self.base.as_ref().map_or(0, |base| base.inherited_text() + base.strings.len())
    }

    /// Whether a name begins there, and none before it reaches so far.
    fn is_start(&self, offset: u32) -> bool {
        let before = offset.checked_sub(1).and_then(|before| self.text_at(before)?.first().copied());
        self.text_at(offset).is_some_and(|text| !text.is_empty()) && before.is_none_or(|byte| byte == 0)
    }
}

impl Record<'_> {
    /// The `nth` word of the variable part.
    pub(super) fn tail(&self, nth: usize) -> Option<u32> {
        word(self.tail, nth.checked_mul(4)?)
    }
}

fn kind(number: u32) -> Kind {
    match number {
        1 => Kind::Int,
        2 => Kind::Ptr,
        3 => Kind::Array,
        4 => Kind::Struct,
        5 => Kind::Union,
        6 => Kind::Enum,
        7 => Kind::Forward,
        8 => Kind::Typedef,
        9 | 10 | 11 | 18 => Kind::Qualifier,
        12 => Kind::Func,
        13 => Kind::FuncProto,
        14 => Kind::Var,
        19 => Kind::Enum64,
        _ => Kind::Other,
    }
}

/// Bytes after the fixed part; absent for kinds that are not defined (yet).
fn tail_size(kind: u32, count: usize) -> Option<usize> {
    Some(match kind {
        1 | 14 | 17 => 4,
        2 | 7..=12 | 16 | 18 => 0,
        3 => 12,
        4 | 5 | 15 | 19 => 12 * count,
        6 | 13 => 8 * count,
        _ => return None,
    })
}

fn section(bytes: &[u8], header: usize, field: usize) -> Result<std::ops::Range<usize>, BtfError> {
    let start = index(bytes, field).and_then(|offset| header.checked_add(offset)).ok_or(BtfError::Section)?;
    let length = index(bytes, field + 4).ok_or(BtfError::Section)?;
    let end = start.checked_add(length).ok_or(BtfError::Section)?;
    if end > bytes.len() { Err(BtfError::Section) } else { Ok(start..end) }
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

fn index(bytes: &[u8], at: usize) -> Option<usize> {
    usize::try_from(word(bytes, at)?).ok()
}
