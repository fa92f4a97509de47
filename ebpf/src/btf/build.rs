//! Writing BTF: for the maps whose keys and values the kernel wants described, and for fixtures.

const MAGIC_AND_VERSION: [u8; 4] = [0x9f, 0xeb, 1, 0];
const HEADER: u32 = 24;
const KIND_INT: u32 = 1;
const KIND_PTR: u32 = 2;
const KIND_ARRAY: u32 = 3;
const KIND_STRUCT: u32 = 4;
const KIND_ENUM: u32 = 6;
const KIND_TYPEDEF: u32 = 8;
const KIND_CONST: u32 = 10;
const KIND_FUNC: u32 = 12;
const KIND_FUNC_PROTO: u32 = 13;
const KIND_VAR: u32 = 14;
const KIND_TYPE_TAG: u32 = 18;
const FLAG: u32 = 1 << 31;

/// Collects types. Each method appends one and returns its id, for later ones to refer to.
#[derive(Debug, Clone)]
pub struct BtfBuilder {
    types: Vec<u8>,
    strings: Vec<u8>,
    /// Bytes of the names that a module's go on from.
    inherited_text: u32,
    /// The last id given.
    count: u32,
    /// Whether enums say that they have a sign.
    tells_signs: bool,
}

impl Default for BtfBuilder {
    fn default() -> Self {
        Self { types: Vec::new(), strings: vec![0], inherited_text: 0, count: 0, tells_signs: true }
    }
}

impl BtfBuilder {
    /// No types yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Those of a module on top of what `kernel` has so far: their ids go on from there, and may be mixed.
    #[must_use]
    pub fn module(kernel: &Self) -> Self {
        let inherited_text = kernel.inherited_text.saturating_add(length(&kernel.strings));
        Self { types: Vec::new(), strings: Vec::new(), inherited_text, ..*kernel }
    }

    /// As the kernels before 6.0 wrote it: no enum says whether it has a sign.
    #[must_use]
    pub fn before_signs(self) -> Self {
        Self { tells_signs: false, ..self }
    }

    /// An unsigned integer of `size` bytes.
    pub fn int(&mut self, name: &str, size: u32) -> u32 {
        self.add(name, KIND_INT, 0, size, &[size * 8])
    }

    /// A signed integer of `size` bytes.
    pub fn signed_int(&mut self, name: &str, size: u32) -> u32 {
        self.add(name, KIND_INT, 0, size, &[(1 << 24) | (size * 8)])
    }

    /// A pointer.
    pub fn pointer(&mut self, to: u32) -> u32 {
        self.add("", KIND_PTR, 0, to, &[])
    }

    /// An array; `index` is the integer type of its subscripts.
    pub fn array(&mut self, of: u32, index: u32, length: u32) -> u32 {
        self.add("", KIND_ARRAY, 0, 0, &[of, index, length])
    }

    /// A struct of `size` bytes; members are name, type and offset in bits.
    pub fn structure(&mut self, name: &str, size: u32, members: &[(&str, u32, u32)]) -> u32 {
        let mut tail = Vec::new();
        for (member, type_id, offset) in members {
            tail.extend([self.string(member), *type_id, *offset]);
        }
        self.add(name, KIND_STRUCT, members.len(), size, &tail)
    }

    /// A struct with bit fields: members are name, type, offset in bits and width in bits, 0 for whole values.
    pub fn packed(&mut self, name: &str, size: u32, members: &[(&str, u32, u32, u32)]) -> u32 {
        let mut tail = Vec::new();
        for (member, type_id, offset, bits) in members {
            tail.extend([self.string(member), *type_id, bits << 24 | offset]);
        }
        self.add(name, KIND_STRUCT | FLAG >> 24, members.len(), size, &tail)
    }

    /// A named alias.
    pub fn typedef(&mut self, name: &str, of: u32) -> u32 {
        self.add(name, KIND_TYPEDEF, 0, of, &[])
    }

    /// `const` of a type.
    pub fn constant(&mut self, of: u32) -> u32 {
        self.add("", KIND_CONST, 0, of, &[])
    }

    /// What a pointer points to, marked so: the kernel's `__user` is the tag `user`.
    pub fn tagged(&mut self, tag: &str, of: u32) -> u32 {
        self.add(tag, KIND_TYPE_TAG, 0, of, &[])
    }

    /// A function without a result and its prototype; the id is the function's.
    pub fn function(&mut self, name: &str, params: &[(&str, u32)]) -> u32 {
        let mut tail = Vec::new();
        for (param, type_id) in params {
            tail.extend([self.string(param), *type_id]);
        }
        let proto = self.add("", KIND_FUNC_PROTO, params.len(), 0, &tail);
        self.add(name, KIND_FUNC, 0, proto, &[])
    }

    /// A variable.
    pub fn variable(&mut self, name: &str, of: u32) -> u32 {
        self.add(name, KIND_VAR, 0, of, &[0])
    }

    /// An enum of signed 32-bit constants.
    pub fn enumeration(&mut self, name: &str, constants: &[(&str, i32)]) -> u32 {
        let mut tail = Vec::new();
        for (constant, value) in constants {
            tail.extend([self.string(constant), u32::from_le_bytes(value.to_le_bytes())]);
        }
        let flag = if self.tells_signs { FLAG >> 24 } else { 0 };
        self.add(name, KIND_ENUM | flag, constants.len(), 4, &tail)
    }

    /// The bytes.
    #[must_use]
    pub fn build(&self) -> Vec<u8> {
        let (types, strings) = (length(&self.types), length(&self.strings));
        let mut bytes = MAGIC_AND_VERSION.to_vec();
        for word in [HEADER, 0, types, types, strings] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(&self.types);
        bytes.extend(&self.strings);
        bytes
    }

    fn add(&mut self, name: &str, kind: u32, count: usize, size_or_type: u32, tail: &[u32]) -> u32 {
        let info = kind << 24 | u32::from(u16::try_from(count).unwrap_or(u16::MAX));
        for word in [self.string(name), info, size_or_type].iter().chain(tail) {
            self.types.extend(word.to_le_bytes());
        }
        self.count += 1;
        self.count
    }

    fn string(&mut self, text: &str) -> u32 {
        if text.is_empty() {
            return 0;
        }
        let at = self.inherited_text.saturating_add(length(&self.strings));
        self.strings.extend(text.as_bytes());
        self.strings.push(0);
        at
    }
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}
