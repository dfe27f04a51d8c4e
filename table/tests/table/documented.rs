//! docs/sql.md names the columns that there are.

use std::path::Path;

#[test]
fn the_list_of_columns_in_the_guide_is_fresh() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/sql.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (begin, end) = ("<!-- columns: begin -->\n", "<!-- columns: end -->");
    let (before, rest) = page.split_once(begin).unwrap();
    let (listed, after) = rest.split_once(end).unwrap();
    let expected = table::schema::document();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, format!("{before}{begin}{expected}{end}{after}")).unwrap();
    } else {
        assert_eq!(listed, expected, "run the test again with UPDATE_GOLDEN=1");
    }
}
