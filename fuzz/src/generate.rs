//! Inputs made of other inputs, the same ones each time.

/// Numbers that follow from the first.
#[derive(Debug, Clone)]
pub struct Dice(pub u64);

impl Dice {
    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or(0) % bound
    }
}

/// Longest input that is made.
const LONGEST: usize = 8192;

/// One of the seeds with a few changes: bytes, words, numbers of four bytes, parts that move, go, double, or come from
/// another seed.
#[must_use]
pub fn changed(seeds: &[Vec<u8>], words: &[&str], dice: &mut Dice) -> Vec<u8> {
    let mut input = seeds[dice.below(seeds.len())].clone();
    for _ in 0..=dice.below(6) {
        change(&mut input, seeds, words, dice);
    }
    input.truncate(LONGEST);
    input
}

fn change(input: &mut Vec<u8>, seeds: &[Vec<u8>], words: &[&str], dice: &mut Dice) {
    let at = dice.below(input.len() + 1);
    let part = at..(at + 1 + dice.below(16)).min(input.len());
    match dice.below(9) {
        0 => input.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << dice.below(8)),
        1 => input.iter_mut().skip(at).take(1).for_each(|byte| *byte = dice.below(256).to_le_bytes()[0]),
        2 | 3 if !words.is_empty() => {
            let word = words[dice.below(words.len())].bytes();
            drop(input.splice(if dice.below(2) == 0 { at..at } else { part }, word));
        }
        2 => four_bytes(input, dice),
        3 => {
            let byte = dice.below(256).to_le_bytes()[0];
            input.insert(at, byte);
        }
        4 => drop(input.drain(part)),
        5 => {
            let doubled = input[part].to_vec();
            let to = dice.below(input.len() + 1);
            drop(input.splice(to..to, doubled));
        }
        6 => {
            let other = &seeds[dice.below(seeds.len())];
            let from = dice.below(other.len() + 1);
            let until = (from + 1 + dice.below(64)).min(other.len());
            drop(input.splice(at..at, other[from..until].iter().copied()));
        }
        7 => input.truncate(at),
        _ => four_bytes(input, dice),
    }
}

/// Replaces an aligned number by a small one, another of the input, or one at an edge.
fn four_bytes(input: &mut [u8], dice: &mut Dice) {
    let numbers = input.len() / 4;
    if numbers == 0 {
        return;
    }
    let (to, from) = (4 * dice.below(numbers), 4 * dice.below(numbers));
    let number = match dice.below(4) {
        0 => u32::try_from(dice.below(64)).unwrap_or(0).to_le_bytes(),
        1 => [0xff, 0xff, 0xff, [0xff, 0x7f, 0][dice.below(3)]],
        2 => (1_u32 << dice.below(32)).to_le_bytes(),
        _ => [input[from], input[from + 1], input[from + 2], input[from + 3]],
    };
    input[to..to + 4].copy_from_slice(&number);
}
