//! Names of the classes of characters that `\p{...}` takes.
//!
//! Source: Unicode 15.0, `PropertyValueAliases.txt`: the general categories and the scripts.

/// Categories by their short names, beside those of one letter.
const CATEGORIES: &str = "Cc Cf Cn Co Cs Lc Ll Lm Lo Lt Lu Mc Me Mn Nd Nl No Pc Pd Pe Pf Pi Po Ps Sc Sk Sm So Zl Zp Zs";
const CATEGORY_LETTERS: &str = "CLMNPSZ";

/// Categories by their long names, and the three sets that are neither category nor script.
const LONG_NAMES: &str = "Any Ascii Assigned \
    Casedletter Closepunctuation Cntrl Combiningmark Connectorpunctuation Control Currencysymbol Dashpunctuation \
    Decimalnumber Digit Enclosingmark Finalpunctuation Format Initialpunctuation Letter Letternumber Lineseparator \
    Lowercaseletter Mark Mathsymbol Modifierletter Modifiersymbol Nonspacingmark Number Openpunctuation Other \
    Otherletter Othernumber Otherpunctuation Othersymbol Paragraphseparator Privateuse Punct Punctuation Separator \
    Spaceseparator Spacingmark Surrogate Symbol Titlecaseletter Unassigned Uppercaseletter";

/// Scripts whose name is one word. Hubble drops the underscores of a name before it looks it up, so that it knows no
/// script with one in its own, and none with a capital inside.
const SCRIPTS: &str = "Adlam Ahom Arabic Armenian Avestan Balinese Bamum Batak Bengali Bhaiksuki Bopomofo Brahmi \
    Braille Buginese Buhid Carian Chakma Cham Cherokee Chorasmian Common Coptic Cuneiform Cypriot Cyrillic Deseret \
    Devanagari Dogra Duployan Elbasan Elymaic Ethiopic Georgian Glagolitic Gothic Grantha Greek Gujarati Gurmukhi \
    Han Hangul Hanunoo Hatran Hebrew Hiragana Inherited Javanese Kaithi Kannada Katakana Kawi Kharoshthi Khmer \
    Khojki Khudawadi Lao Latin Lepcha Limbu Lisu Lycian Lydian Mahajani Makasar Malayalam Mandaic Manichaean \
    Marchen Medefaidrin Miao Modi Mongolian Mro Multani Myanmar Nabataean Nandinagari Newa Nko Nushu Ogham Oriya \
    Osage Osmanya Palmyrene Phoenician Rejang Runic Samaritan Saurashtra Sharada Shavian Siddham Sinhala Sogdian \
    Soyombo Sundanese Syriac Tagalog Tagbanwa Takri Tamil Tangsa Tangut Telugu Thaana Thai Tibetan Tifinagh Tirhuta \
    Toto Ugaritic Vai Vithkuqi Wancho Yezidi Yi";

/// The name as the tables have it: without underscores, hyphens and spaces, a capital and small letters. `None` for what
/// is in none of them.
pub(super) fn canonical(name: &str) -> Option<String> {
    let mut canonical: String = name.chars().filter(|c| !matches!(c, '_' | '-' | ' ')).collect();
    canonical.make_ascii_lowercase();
    canonical.get_mut(..1)?.make_ascii_uppercase();
    let one_letter = canonical.len() == 1 && CATEGORY_LETTERS.contains(&canonical);
    let known = [CATEGORIES, LONG_NAMES, SCRIPTS].iter().any(|names| names.split(' ').any(|name| *name == canonical));
    (one_letter || known).then_some(canonical)
}
