//! An input read as a list of choices.

use arbitrary::Unstructured;

/// The choices of one input, from its front. When it is used up, every choice is the first.
pub struct Choices<'a>(Unstructured<'a>);

impl<'a> Choices<'a> {
    /// The choices of an input.
    pub fn new(data: &'a [u8]) -> Choices<'a> {
        Choices(Unstructured::new(data))
    }

    /// True while there is something left to choose from.
    pub fn any(&self) -> bool {
        !self.0.is_empty()
    }

    /// One of `count`, by one byte.
    pub fn below(&mut self, count: u8) -> u8 {
        if count < 2 {
            return 0;
        }
        self.0.int_in_range(0..=count - 1).unwrap_or(0)
    }

    /// One of these.
    pub fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[usize::from(self.below(all.len() as u8))]
    }

    /// An index into `length` things, none when there are none.
    pub fn index(&mut self, length: usize) -> Option<usize> {
        let byte = usize::from(self.byte());
        (length > 0).then(|| byte % length)
    }

    /// Yes or no; no when the input is used up.
    pub fn yes(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    /// Any byte.
    pub fn byte(&mut self) -> u8 {
        self.0.arbitrary().unwrap_or(0)
    }

    /// Any number below 65,536.
    pub fn short(&mut self) -> u16 {
        self.0.arbitrary().unwrap_or(0)
    }

    /// Milliseconds: nothing, a few, or some days.
    pub fn wait_ms(&mut self) -> u64 {
        let mantissa = u64::from(self.byte());
        mantissa << (2 * self.below(12))
    }

    /// Bytes with their length in front; fewer if the input ends.
    pub fn bytes(&mut self) -> &'a [u8] {
        let length = usize::from(self.short()) % 1_400;
        let length = length.min(self.0.len());
        self.0.bytes(length).unwrap_or_default()
    }
}
