//! Rules on HTTP records.

use super::FilterError;

/// Status codes and starts of status codes, any of which may match.
#[derive(Clone, Debug, Default)]
pub struct StatusCodes {
    exact: Vec<u32>,
    /// First digits and how many.
    starts: Vec<(u32, u32)>,
}

impl StatusCodes {
    /// Reads codes (`404`) and starts (`5+`, `40+`).
    ///
    /// # Errors
    /// A value is neither.
    pub fn parse(values: &[String]) -> Result<Self, FilterError> {
        let mut codes = Self::default();
        for text in values {
            let digits = text.strip_suffix('+').unwrap_or(text);
            let well_formed =
                matches!(digits.as_bytes().first(), Some(b'1'..=b'5')) && digits.bytes().all(|b| b.is_ascii_digit());
            let number = digits.parse().ok().filter(|_| well_formed);
            match (number, text.ends_with('+'), digits.len()) {
                (Some(code), false, 3) => codes.exact.push(code),
                (Some(start), true, 1) => codes.starts.push((start, 1)),
                (Some(start), true, 2) => codes.starts.push((start, 2)),
                _ => return Err(FilterError::StatusCode { text: text.clone() }),
            }
        }
        Ok(codes)
    }

    /// Whether one of them is the code or its start. Code 0, that of a request, never matches.
    #[must_use]
    pub fn matches(&self, code: u32) -> bool {
        // Codes are written with three digits at least, and no start begins with 0.
        code >= 100
            && (self.exact.contains(&code)
                || self.starts.iter().any(|&(start, digits)| first_digits(code, digits) == start))
    }
}

/// Whether the texts are the same but for the case of letters, those of other alphabets included.
#[must_use]
pub fn equal_fold(a: &str, b: &str) -> bool {
    if a.is_ascii() && b.is_ascii() {
        return a.eq_ignore_ascii_case(b);
    }
    // The Kelvin sign and the long s fold to letters of ASCII.
    let fold = |c: char| match c {
        '\u{212a}' => 'k',
        '\u{17f}' => 's',
        c => c.to_lowercase().next().unwrap_or(c),
    };
    a.chars().map(fold).eq(b.chars().map(fold))
}

fn first_digits(mut code: u32, digits: u32) -> u32 {
    let limit = 10_u32.pow(digits);
    while code >= limit {
        code /= 10;
    }
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_digits_are_those_of_the_written_number() {
        assert_eq!((first_digits(503, 1), first_digits(503, 2), first_digits(5_031, 2)), (5, 50, 50));
        let codes = StatusCodes::parse(&["5+".to_owned(), "40+".to_owned(), "200".to_owned()]).unwrap();
        let matching: Vec<u32> = (0..1000).filter(|code| codes.matches(*code)).collect();
        let expected: Vec<u32> = [200].into_iter().chain(400..410).chain(500..600).collect();
        assert_eq!(matching, expected);
    }
}
