//! Domain names in messages.

/// Bytes of a name on the wire, lengths and final zero included: RFC 1035, section 3.1.
const NAME_BYTES_MAX: usize = 255;
/// Pointers of one name: as many as the longest name has labels, less one. A longer chain has pointers that lead to
/// nothing but pointers, and costs time alone. Go's DNS library, and so Cilium, has the same limit.
const POINTERS_MAX: u8 = 126;

/// Reads the name at `at`: its text in lower case with a trailing dot, and the position behind it.
///
/// `None` where the name is cut off, too long, points at itself or forward, or has too many pointers. The text holds printable ASCII only:
/// special characters are escaped by a backslash, all other bytes as `\DDD`, as in zone files.
pub(super) fn read(message: &[u8], at: usize) -> Option<(String, usize)> {
    let mut text = String::new();
    let (mut at, mut behind) = (at, None);
    // Each pointer must lead to before the place where this part of the name began, so there is no loop.
    let mut part_start = at;
    let (mut wire_bytes, mut pointers) = (1, 0);
    loop {
        let length = *message.get(at)?;
        match length {
            0 => break,
            1..=63 => {
                let label = message.get(at + 1..at + 1 + usize::from(length))?;
                wire_bytes += 1 + label.len();
                if wire_bytes > NAME_BYTES_MAX {
                    return None;
                }
                label.iter().for_each(|byte| push_escaped(&mut text, *byte));
                text.push('.');
                at += 1 + label.len();
            }
            0xC0.. => {
                let target = usize::from(u16::from_be_bytes([length & 0x3F, *message.get(at + 1)?]));
                behind = behind.or(Some(at + 2));
                pointers += 1;
                if target >= part_start || pointers > POINTERS_MAX {
                    return None;
                }
                (at, part_start) = (target, target);
            }
            _ => return None,
        }
    }
    if text.is_empty() {
        text.push('.');
    }
    Some((text, behind.unwrap_or(at + 1)))
}

fn push_escaped(text: &mut String, byte: u8) {
    match byte {
        b'.' | b' ' | b'\'' | b'@' | b';' | b'(' | b')' | b'"' | b'\\' => {
            text.push('\\');
            text.push(char::from(byte));
        }
        0x21..=0x7E => text.push(char::from(byte.to_ascii_lowercase())),
        _ => {
            text.push('\\');
            for digit in [byte / 100, byte / 10 % 10, byte % 10] {
                text.push(char::from(b'0' + digit));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_names() {
        let long_label = [&[63][..], &[b'a'; 63]].concat();
        let too_long = [&long_label[..], &long_label, &long_label, &long_label, &[0]].concat();
        let longest = [&long_label[..], &long_label, &long_label, &[61], &[b'a'; 61], &[0]].concat();
        type Case<'a> = (&'a [u8], usize, Option<(&'a str, usize)>);
        let cases: [Case<'_>; 14] = [
            (b"\x03wWw\x02de\x00", 0, Some(("www.de.", 8))),
            (b"\x00", 0, Some((".", 1))),
            (b"\x02de\x00\x03www\xC0\x00", 4, Some(("www.de.", 10))),
            (b"\x02de\x00\x01a\xC0\x00\xC0\x04", 8, Some(("a.de.", 10))),
            (b"\x06a.b c\\\x01\xFF\x00", 0, Some(("a\\.b\\ c\\\\.\\255.", 10))),
            (b"\x04\"\x1b\n@\x00", 0, Some(("\\\"\\027\\010\\@.", 6))),
            // Loops, forward pointers and cut names.
            (b"\xC0\x00", 0, None),
            (b"\x01a\xC0\x00", 0, None),
            (b"\xC0\x02\xC0\x00", 0, None),
            (b"\x03ww", 0, None),
            (b"\xC0", 0, None),
            (b"\x40a", 0, None),
            (&too_long, 0, None),
            (b"", 7, None),
        ];
        for (message, at, expected) in cases {
            let got = read(message, at);
            assert_eq!(got.as_ref().map(|(text, behind)| (text.as_str(), *behind)), expected, "{message:?}");
        }
        assert_eq!(read(&longest, 0).map(|(text, behind)| (text.len(), behind)), Some((254, 255)));
    }

    #[test]
    fn pointers_that_lead_to_pointers_are_followed_so_far() {
        for (pointers, expected) in [(126, Some("a.")), (127, None), (8_000, None)] {
            let mut message = b"\x01a\x00".to_vec();
            for at in (0..pointers).map(|n: u16| if n == 0 { 0 } else { 1 + 2 * n }) {
                message.extend((0xC000 | at).to_be_bytes());
            }
            let got = read(&message, message.len() - 2);
            assert_eq!(got.as_ref().map(|(text, _)| text.as_str()), expected, "{pointers}");
        }
    }
}
