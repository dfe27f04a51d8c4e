//! Texts of which there are few.

/// Texts, each with a number, such as reasons and functions of the kernel, which are some hundred; what comes beyond the
/// limit shares the last number.
#[derive(Debug, Default)]
pub(crate) struct FewTexts(Vec<String>);

impl FewTexts {
    const MAX: usize = 2_000;

    pub(crate) fn number(&mut self, text: &str) -> u32 {
        let number = self.0.iter().position(|known| known == text).unwrap_or_else(|| {
            if self.0.len() < Self::MAX {
                self.0.push(text.to_owned());
            }
            self.0.len() - 1
        });
        u32::try_from(number).expect("below the limit")
    }

    pub(crate) fn text(&self, number: u32) -> &str {
        &self.0[number as usize]
    }

    /// The texts in the order of their numbers.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}
