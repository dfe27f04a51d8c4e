//! What a backslash begins: sets of characters, and characters by number or name.

/// `\d`, `\pL` and the like, as what stands inside of brackets.
pub(super) fn class_escape(text: &str) -> Result<Option<(String, &str)>, String> {
    let Some(escape) = text.strip_prefix('\\') else { return Ok(None) };
    let Some(c) = escape.chars().next() else { return Ok(None) };
    let after = &escape[c.len_utf8()..];
    let plain = match c {
        'd' => "0-9",
        'D' => "^0-9",
        's' => r"\t\n\x0C\r\x20",
        'S' => r"^\t\n\x0C\r\x20",
        'w' => "0-9A-Za-z_",
        'W' => "^0-9A-Za-z_",
        'p' | 'P' => return unicode_class(c == 'P', text, after).map(Some),
        _ => return Ok(None),
    };
    Ok(Some((plain.to_owned(), after)))
}

fn unicode_class<'a>(negated: bool, text: &'a str, after: &'a str) -> Result<(String, &'a str), String> {
    let refused = |what: &str| format!("invalid character class range: {what:?}");
    let (name, rest) = match after.strip_prefix('{') {
        Some(inner) => {
            let end = inner.find('}').ok_or_else(|| refused(text))?;
            (&inner[..end], &inner[end + 1..])
        }
        None => {
            let c = after.chars().next().ok_or_else(|| refused(text))?;
            after.split_at(c.len_utf8())
        }
    };
    let (negated, name) = name.strip_prefix('^').map_or((negated, name), |name| (!negated, name));
    let name = super::classes::canonical(name).ok_or_else(|| refused(name))?;
    // No text has half a surrogate pair.
    if name == "Cs" || name == "Surrogate" {
        return Ok((if negated { r"\x{0}-\x{10FFFF}" } else { r"^\x{0}-\x{10FFFF}" }.to_owned(), rest));
    }
    Ok((format!("\\{}{{{name}}}", if negated { 'P' } else { 'p' }), rest))
}

/// An escape that stands for one character; `None` for half a surrogate pair.
pub(super) fn char_escape(text: &str) -> Result<(Option<char>, &str), String> {
    escaped_number(text).map(|(number, rest)| (char::from_u32(number), rest))
}

pub(super) fn escaped_number(text: &str) -> Result<(u32, &str), String> {
    let refused = || format!("invalid escape sequence: {:?}", text.chars().take(2).collect::<String>());
    let mut chars = text[1..].chars();
    let c = chars.next().ok_or_else(|| "trailing backslash at end of expression".to_owned())?;
    let rest = chars.as_str();
    let plain = match c {
        'a' => 7,
        'f' => 12,
        'n' => 10,
        'r' => 13,
        't' => 9,
        'v' => 11,
        'x' => return hexadecimal(rest).ok_or_else(refused),
        '0'..='7' => {
            // One digit that is not zero would refer back, which RE2 does not.
            let digits = 1 + rest.bytes().take(2).take_while(|b| matches!(b, b'0'..=b'7')).count();
            if digits == 1 && c != '0' {
                return Err(refused());
            }
            let number = u32::from_str_radix(&text[1..=digits], 8).map_err(|_| refused())?;
            return Ok((number, &text[1 + digits..]));
        }
        c if c.is_ascii() && !c.is_ascii_alphanumeric() => u32::from(c),
        _ => return Err(refused()),
    };
    Ok((plain, rest))
}

/// `41` or `{1F600}` behind `\x`.
fn hexadecimal(text: &str) -> Option<(u32, &str)> {
    let (digits, rest) = match text.strip_prefix('{') {
        Some(inner) => inner.split_once('}')?,
        None => text.split_at_checked(2)?,
    };
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_hexdigit());
    let digits = digits.trim_start_matches('0');
    let number = if digits.is_empty() { 0 } else { u32::from_str_radix(digits, 16).ok()? };
    (plain && number <= u32::from(char::MAX)).then_some((number, rest))
}
